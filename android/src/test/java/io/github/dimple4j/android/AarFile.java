package io.github.dimple4j.android;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.commons.ClassRemapper;
import org.objectweb.asm.commons.SimpleRemapper;

/** Makes the AAR, in two steps with D8 between them. No part of Android's SDK is used. Equal input gives equal files. */
final class AarFile {
  /** The folders of compiled classes that go in. */
  static final List<Path> CLASSES = List.of(Path.of("..", "java", "target", "classes"), Path.of("..", "bindings-jni", "target", "classes"),
      Path.of("target", "classes"));

  private static final Path FILES = Path.of("src", "main", "aar");
  private static final String SERVICE = "META-INF/services/io.github.dimple4j.core.CoreProvider";
  /** What D8 gives desugared records for a superclass. Every D8 makes one, so an app with records of its own would have two. */
  private static final SimpleRemapper RECORDS = new SimpleRemapper("com/android/tools/r8/RecordTag", "io/github/dimple4j/android/RecordTag");
  private static final LocalDateTime TIME = LocalDateTime.of(2020, 1, 1, 0, 0); // of all entries

  private AarFile() {}

  /**
   * {@code classes JAR} writes the classes for D8; {@code pack JAR NATIVES AAR} makes the AAR of what D8 wrote and of the folder with
   * {@code arm64-v8a/libdimple.so}.
   */
  public static void main(String[] arguments) throws IOException {
    if (arguments[0].equals("classes")) {
      Map<String, byte[]> classes = AndroidClasses.of(CLASSES);
      classes.put(SERVICE, Files.readAllBytes(Path.of("..", "bindings-jni", "src", "main", "resources").resolve(SERVICE)));
      write(Path.of(arguments[1]), classes);
    } else {
      pack(Path.of(arguments[1]), Path.of(arguments[2]), Path.of(arguments[3]));
    }
  }

  private static void pack(Path desugared, Path natives, Path aar) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    Path classes = aar.resolveSibling("classes.jar");
    write(classes, withOwnRecords(read(desugared)));
    files.put("classes.jar", Files.readAllBytes(classes));
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
    write(aar, files);
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
  static Map<String, byte[]> read(Path zip) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (var file = new ZipFile(zip.toFile(), StandardCharsets.UTF_8)) {
      for (ZipEntry entry : file.stream().filter(each -> !each.isDirectory()).toList()) {
        try (var in = file.getInputStream(entry)) {
          files.put(entry.getName(), in.readAllBytes());
        }
      }
    }
    return files;
  }

  private static void write(Path zip, Map<String, byte[]> files) throws IOException {
    Files.createDirectories(zip.toAbsolutePath().getParent());
    try (OutputStream out = Files.newOutputStream(zip); var entries = new ZipOutputStream(out)) {
      for (var file : files.entrySet()) {
        var entry = new ZipEntry(file.getKey());
        entry.setTimeLocal(TIME);
        entries.putNextEntry(entry);
        entries.write(file.getValue());
        entries.closeEntry();
      }
    }
  }
}
