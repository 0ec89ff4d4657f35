package io.github.dimple4j.android;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.objectweb.asm.ClassReader;
import org.objectweb.asm.ClassVisitor;
import org.objectweb.asm.ClassWriter;
import org.objectweb.asm.MethodVisitor;
import org.objectweb.asm.Opcodes;
import org.objectweb.asm.Type;

/**
 * The classes of the API and of the JNI core as Android can have them: without those that need foreign functions, ImageIO or java.net.http,
 * without the methods that lead there, and with {@link Backports} called for what Android's Java lacks. Everything else is as it was compiled.
 */
final class AndroidClasses {
  /** Classes for the desktop alone; found through services, which the AAR's list otherwise. */
  private static final Pattern LEFT_OUT = Pattern.compile("module-info|io/github/dimple4j/(core/(Foreign|StructFields).*"
      + "|image/(ImageIoFormats|PlatformPicture|PlatformReader|BmpFile|TiffFile).*"
      + "|hub/.*|ModelStore.*|FetchException|FetchProgress)");
  /** Methods that need one of these: by the desktop's types in their descriptors, or by name. */
  private static final Pattern METHODS_LEFT_OUT = Pattern.compile(".*Ljava/awt/.*|io/github/dimple4j/DimpleModel\\.fetch\\(.*");
  private static final String BACKPORTS = Type.getInternalName(Backports.class);
  private static final Set<String> PORTED = Stream.of(Backports.class.getDeclaredMethods()).filter(method -> method.canAccess(null))
      .map(AndroidClasses::original).collect(Collectors.toSet());

  private AndroidClasses() {}

  /**
   * Reads, and changes, the classes of some folders.
   *
   * @return the content of each file by its name, in order
   */
  static Map<String, byte[]> of(List<Path> folders) throws IOException {
    Map<String, byte[]> classes = new TreeMap<>();
    for (Path folder : folders) {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.filter(each -> each.toString().endsWith(".class")).toList()) {
          String name = folder.relativize(file).toString().replace('\\', '/');
          if (!LEFT_OUT.matcher(name.replace(".class", "")).matches()) {
            classes.put(name, changed(Files.readAllBytes(file)));
          }
        }
      }
    }
    return classes;
  }

  private static byte[] changed(byte[] content) {
    var reader = new ClassReader(content);
    var writer = new ClassWriter(0);
    reader.accept(new ClassVisitor(Opcodes.ASM9, writer) {
      @Override
      public MethodVisitor visitMethod(int access, String name, String descriptor, String signature, String[] exceptions) {
        if (METHODS_LEFT_OUT.matcher(reader.getClassName() + "." + name + descriptor).matches()) {
          return null;
        }
        return new MethodVisitor(Opcodes.ASM9, super.visitMethod(access, name, descriptor, signature, exceptions)) {
          @Override
          public void visitMethodInsn(int opcode, String owner, String name, String descriptor, boolean isInterface) {
            if (PORTED.contains(owner + "." + name + descriptor)) {
              super.visitMethodInsn(Opcodes.INVOKESTATIC, BACKPORTS, name, descriptor.replace("(", "(L" + owner + ";"), false);
            } else {
              super.visitMethodInsn(opcode, owner, name, descriptor, isInterface);
            }
          }
        };
      }
    }, 0);
    return writer.toByteArray();
  }

  /** What a backport stands for: {@code java/util/List.getFirst()Ljava/lang/Object;}. */
  private static String original(Method backport) {
    Type[] parameters = Type.getArgumentTypes(backport);
    Type[] rest = Stream.of(parameters).skip(1).toArray(Type[]::new);
    return parameters[0].getInternalName() + "." + backport.getName() + Type.getMethodDescriptor(Type.getReturnType(backport), rest);
  }
}
