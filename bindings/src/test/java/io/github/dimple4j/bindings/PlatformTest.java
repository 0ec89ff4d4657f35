package io.github.dimple4j.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PlatformTest {
  private static final int HEADERS = 72;
  private static final int HEADER_SIZE = 56;
  private static final int PATH = HEADERS + 2 * HEADER_SIZE;

  @TempDir Path folder;

  @Test
  void namesAreThoseOfTheJars() throws IOException {
    Path glibc = program("glibc", "/lib64/ld-linux-x86-64.so.2");
    assertThat(name("Linux", "amd64", glibc)).isEqualTo("linux-x86_64");
    assertThat(name("Linux", "aarch64", glibc)).isEqualTo("linux-aarch64");
    assertThat(name("Mac OS X", "aarch64", glibc)).isEqualTo("macos-aarch64");
    assertThat(name("Mac OS X", "x86_64", glibc)).isEqualTo("macos-x86_64");
    assertThat(name("Windows 11", "amd64", glibc)).isEqualTo("windows-x86_64");
    assertThat(name("Linux", "riscv64", glibc)).isEqualTo("linux-riscv64");
  }

  @Test
  void muslIsToldByTheLoaderOfTheProgram() throws IOException {
    Path musl = program("musl", "/lib/ld-musl-x86_64.so.1");
    assertThat(name("Linux", "amd64", musl)).isEqualTo("linux-x86_64-musl");
    assertThat(name("Linux", "aarch64", program("nix", "/nix/store/musl-1.2/lib/ld-musl-aarch64.so.1"))).isEqualTo("linux-aarch64-musl");
    assertThat(name("Windows 11", "amd64", musl)).isEqualTo("windows-x86_64");
  }

  @Test
  void whatIsNoProgramWithALoaderCountsAsGlibc() throws IOException {
    byte[] whole = Files.readAllBytes(program("whole", "/lib/ld-musl-x86_64.so.1"));
    for (int length = 0; length < whole.length; length++) { // cut anywhere
      Path cut = Files.write(folder.resolve("cut"), Arrays.copyOf(whole, length));
      assertThat(Platform.usesMusl(cut)).isFalse();
    }
    whole[HEADERS + HEADER_SIZE] = 1; // nothing but PT_LOAD, as in a static program
    assertThat(Platform.usesMusl(Files.write(folder.resolve("static"), whole))).isFalse();
    whole[HEADERS + HEADER_SIZE] = 3;
    whole[HEADERS + HEADER_SIZE + 32 + 7] = -1; // a path of a negative length
    assertThat(Platform.usesMusl(Files.write(folder.resolve("negative"), whole))).isFalse();
    assertThat(Platform.usesMusl(Files.writeString(folder.resolve("script"), "#!/lib/ld-musl-x86_64.so.1 is no loader here, and no ELF file"))).isFalse();
    assertThat(Platform.usesMusl(folder)).isFalse();
    assertThat(Platform.usesMusl(folder.resolve("missing"))).isFalse();
  }

  @Test
  void thisJavaIsOfTheLibraryThatItHasInMemory() throws IOException {
    Path maps = Path.of("/proc/self/maps");
    assumeTrue(Files.isReadable(maps), "no Linux");
    boolean musl = Files.readString(maps).contains("ld-musl-");
    assertThat(Platform.usesMusl(Platform.THIS_PROGRAM)).isEqualTo(musl);
    assertThat(NativeLibrary.platform().endsWith("-musl")).isEqualTo(musl);
  }

  @Test
  void aProgramOfMuslsCompilerIsOne() throws IOException, InterruptedException {
    Path compiler = Path.of("/usr/bin/musl-gcc");
    assumeTrue(Files.isExecutable(compiler), "no musl-gcc");
    Path source = Files.writeString(folder.resolve("main.c"), "int main(void) { return 0; }");
    Path program = folder.resolve("main");
    assertThat(new ProcessBuilder(compiler.toString(), "-o", program.toString(), source.toString()).inheritIO().start().waitFor()).isZero();
    assertThat(Platform.usesMusl(program)).isTrue();
  }

  private static String name(String os, String arch, Path program) {
    return Platform.name(Map.of("os.name", os, "os.arch", arch), program);
  }

  /** An ELF file of two program headers, the second of which names a loader. */
  private Path program(String file, String loader) throws IOException {
    byte[] path = (loader + "\0").getBytes(StandardCharsets.UTF_8);
    ByteBuffer elf = ByteBuffer.allocate(PATH + path.length).order(ByteOrder.LITTLE_ENDIAN);
    elf.putInt(0, 0x464c457f).put(4, (byte) 2).putLong(32, HEADERS).putShort(54, (short) HEADER_SIZE).putShort(56, (short) 2);
    elf.putInt(HEADERS, 1); // PT_LOAD
    elf.putInt(HEADERS + HEADER_SIZE, 3).putLong(HEADERS + HEADER_SIZE + 8, PATH).putLong(HEADERS + HEADER_SIZE + 32, path.length);
    return Files.write(folder.resolve(file), elf.put(PATH, path).array());
  }
}
