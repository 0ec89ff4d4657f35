package io.github.dimple4j.bindings;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Map;

/** Names what a native library is built for: operating system, processor, and on Linux the C library where it is musl. */
final class Platform {
  /** The program that runs: Java's launcher, or one that has Java inside. */
  static final Path THIS_PROGRAM = Path.of("/proc/self/exe");

  private static final int MOST_HEADERS = 1 << 12;
  private static final int LONGEST_PATH = 1 << 12;

  private Platform() {}

  /**
   * The platform's name, as in the names of folders and jars: {@code linux-x86_64}, {@code linux-aarch64-musl}, {@code windows-x86_64}.
   *
   * @param properties {@code os.name} and {@code os.arch}
   * @param program on Linux tells which C library the process has; ignored elsewhere
   */
  static String name(Map<String, String> properties, Path program) {
    String os = properties.get("os.name").toLowerCase(Locale.ROOT);
    String arch = properties.get("os.arch").toLowerCase(Locale.ROOT);
    String system = os.startsWith("windows") ? "windows" : os.startsWith("mac") ? "macos" : os.replace(' ', '_');
    String processor = switch (arch) {
      case "amd64", "x86-64" -> "x86_64";
      case "arm64" -> "aarch64";
      default -> arch;
    };
    return system + "-" + processor + (system.equals("linux") && usesMusl(program) ? "-musl" : "");
  }

  /**
   * Whether a program is started by musl's loader. What the machine has besides does not matter: a glibc Java on Alpine (with gcompat or a
   * glibc of its own) needs the glibc library. A program that cannot be read, or has no loader, counts as one of glibc.
   */
  static boolean usesMusl(Path program) {
    try (FileChannel file = FileChannel.open(program, StandardOpenOption.READ)) {
      return interpreter(file).contains("ld-musl-");
    } catch (IOException | RuntimeException e) { // no /proc, or what is no ELF file at all
      return false;
    }
  }

  /** The path of the loader that an ELF file asks for (elf(5), PT_INTERP); empty if it asks for none. Of 64 bits, as are all platforms. */
  private static String interpreter(FileChannel file) throws IOException {
    ByteBuffer header = read(file, 0, 64);
    if (header.getInt(0) != 0x464c457f || header.get(4) != 2) { // "\177ELF", 64 bits
      return "";
    }
    long headers = header.getLong(32);
    int size = Short.toUnsignedInt(header.getShort(54));
    int count = Math.min(Short.toUnsignedInt(header.getShort(56)), MOST_HEADERS);
    for (int i = 0; i < count; i++) {
      ByteBuffer program = read(file, headers + (long) i * size, 56);
      if (program.getInt(0) == 3) { // PT_INTERP
        int length = Math.clamp(program.getLong(32), 0, LONGEST_PATH);
        return StandardCharsets.UTF_8.decode(read(file, program.getLong(8), length)).toString();
      }
    }
    return "";
  }

  private static ByteBuffer read(FileChannel file, long position, int size) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      int count = file.read(bytes, position + bytes.position());
      if (count < 0) {
        throw new EOFException();
      }
    }
    return bytes.flip();
  }
}
