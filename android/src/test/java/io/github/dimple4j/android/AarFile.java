package io.github.dimple4j.android;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;
import java.util.zip.ZipOutputStream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.commons.ClassRemapper;
import org.objectweb.asm.commons.SimpleRemapper;

/** Makes the AAR. Beside D8 no part of Android's SDK is used. Equal input gives equal files. */
final class AarFile {
  /** The folders of compiled classes that go in. */
  static final List<Path> CLASSES = List.of(Path.of("..", "java", "target", "classes"), Path.of("..", "bindings-jni", "target", "classes"),
      Path.of("target", "classes"));

  private static final Path FILES = Path.of("src", "main", "aar");
  private static final String SERVICE = "META-INF/services/io.github.dimple4j.core.CoreProvider";
  /** What D8 gives desugared records for a superclass. Every D8 makes one, so an app with records of its own would have two. */
  private static final SimpleRemapper RECORDS = new SimpleRemapper(Opcodes.ASM9, "com/android/tools/r8/RecordTag",
      "io/github/dimple4j/android/RecordTag");
  /** Below the AAR's own level, for which D8 would keep methods of buffers that the list of that level does not have. */
  private static final String MIN_API = "26";
  private static final LocalDateTime TIME = LocalDateTime.of(2020, 1, 1, 0, 0); // of all entries

  private AarFile() {}

  /** {@code NATIVES AAR}: the folder with {@code arm64-v8a/libdimple.so}, and the file to make. */
  public static void main(String[] arguments) throws IOException, ReflectiveOperationException {
    Path natives = Path.of(arguments[0]);
    Path aar = Path.of(arguments[1]);
    Map<String, byte[]> files = new TreeMap<>();
    Map<String, byte[]> classes = withOwnRecords(desugared(AndroidClasses.of(CLASSES)));
    classes.put(SERVICE, Files.readAllBytes(Path.of("..", "bindings-jni", "src", "main", "resources").resolve(SERVICE)));
    files.put("classes.jar", zip(classes));
    for (String name : List.of("AndroidManifest.xml", "proguard.txt")) {
      files.put(name, Files.readAllBytes(FILES.resolve(name)));
    }
    files.put("R.txt", new byte[0]);
    files.put("LICENSE", Files.readAllBytes(Path.of("..", "LICENSE")));
    try (Stream<Path> libraries = Files.walk(natives)) {
      for (Path library : libraries.filter(each -> each.toString().endsWith(".so")).toList()) {
        files.put("jni/" + natives.relativize(library).toString().replace('\\', '/'), Files.readAllBytes(library));
      }
    }
    Files.write(aar, zip(files));
  }

  /** Has D8, which the profile aar brings, turn classes into such of Java 8, with its own stand-ins for what came to Java later. */
  private static Map<String, byte[]> desugared(Map<String, byte[]> classes) throws IOException, ReflectiveOperationException {
    Path in = Files.createTempFile("dimple4j", ".jar");
    Path out = Files.createTempFile("dimple4j", ".jar");
    try {
      Files.write(in, zip(classes));
      List<String> arguments = new ArrayList<>(List.of("--classfile", "--min-api", MIN_API, "--lib", System.getProperty("java.home"),
          "--output", out.toString(), in.toString()));
      for (String jar : System.getProperty("java.class.path").split(File.pathSeparator)) {
        if (jar.contains("jackson")) {
          arguments.addAll(List.of("--classpath", jar));
        }
      }
      Class.forName("com.android.tools.r8.D8").getMethod("main", String[].class).invoke(null, (Object) arguments.toArray(String[]::new));
      return unzip(Files.readAllBytes(out));
    } finally {
      Files.delete(in);
      Files.delete(out);
    }
  }

  private static Map<String, byte[]> withOwnRecords(Map<String, byte[]> files) {
    Map<String, byte[]> own = new TreeMap<>();
    files.forEach((name, content) -> {
      if (name.endsWith(".class")) {
        var writer = new ClassWriter(0);
        new ClassReader(content).accept(new ClassRemapper(writer, RECORDS), 0);
        String renamed = RECORDS.map(name.replace(".class", ""));
        own.put(renamed == null ? name : renamed + ".class", writer.toByteArray());
      } else {
        own.put(name, content);
      }
    });
    return own;
  }

  /** The files of a zip by their names. */
  static Map<String, byte[]> unzip(byte[] zip) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (var in = new ZipInputStream(new ByteArrayInputStream(zip))) {
      for (ZipEntry entry = in.getNextEntry(); entry != null; entry = in.getNextEntry()) {
        files.put(entry.getName(), in.readAllBytes());
      }
    }
    return files;
  }

  private static byte[] zip(Map<String, byte[]> files) throws IOException {
    var out = new ByteArrayOutputStream();
    try (var entries = new ZipOutputStream(out)) {
      for (var file : files.entrySet()) {
        var entry = new ZipEntry(file.getKey());
        entry.setTimeLocal(TIME);
        entries.putNextEntry(entry);
        entries.write(file.getValue());
        entries.closeEntry();
      }
    }
    return out.toByteArray();
  }
}
