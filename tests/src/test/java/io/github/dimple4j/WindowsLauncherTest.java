package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code dimple.cmd} under wine's cmd, with a stand-in for Java that prints its arguments; skipped without wine and MinGW-w64. */
class WindowsLauncherTest {
  private static final Path WINE = Path.of("/usr/bin/wine");
  private static final Path COMPILER = Path.of("/usr/bin/x86_64-w64-mingw32-gcc");
  /** Not a folder that JUnit deletes: wine puts a link to the root into it. */
  private static final Path PREFIX = Path.of("target/wine").toAbsolutePath();
  private static final String STAND_IN = """
      #include <stdio.h>
      #include <windows.h>
      int main(int count, char **arguments) {
        char line[4096];
        for (int i = 1; i < count; i++) printf("[%s]", arguments[i]);
        WideCharToMultiByte(CP_UTF8, 0, GetCommandLineW(), -1, line, sizeof line, NULL, NULL);
        printf("{%s}", line);
        return 7;
      }
      """;

  @TempDir static Path folder;
  private static Path root;

  @BeforeAll
  static void buildStandIns() throws IOException, InterruptedException {
    assumeTrue(Files.isExecutable(WINE) && Files.isExecutable(COMPILER), "no wine, or no MinGW-w64");
    Files.createDirectories(PREFIX);
    root = Files.createDirectories(folder.resolve("with a blank"));
    Files.copy(Path.of("../dimple.cmd"), root.resolve("dimple.cmd"));
    jdk("jdk 25", "25.0.1");
    jdk("jdk-17", "17.0.9");
  }

  private static void jdk(String name, String version) throws IOException, InterruptedException {
    Path programs = Files.createDirectories(folder.resolve(name).resolve("bin"));
    Files.writeString(folder.resolve(name).resolve("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"" + version + "\"\n");
    Path source = Files.writeString(folder.resolve("java.c"), STAND_IN);
    Path java = programs.resolve("java.exe");
    assertThat(new ProcessBuilder(COMPILER.toString(), "-o", java.toString(), source.toString()).inheritIO().start().waitFor()).isZero();
    Files.copy(java, programs.resolve("javac.exe"));
  }

  private record Outcome(int status, String text) {}

  private static Outcome run(Map<String, String> environment, String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(WINE.toString(), "cmd", "/c", "dimple.cmd"));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).directory(root.toFile()).redirectErrorStream(true);
    builder.environment().clear();
    builder.environment().putAll(Map.of("PATH", "/usr/bin:/bin", "HOME", folder.toString(), "LC_ALL", "C.UTF-8",
        "WINEDEBUG", "-all", "WINEPREFIX", PREFIX.toString(), "WINEDLLOVERRIDES", "mscoree,mshtml=")); // no question whether to install them
    builder.environment().putAll(environment);
    Process process = builder.start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Outcome(process.waitFor(), text);
  }

  private static String windows(String name) {
    return "Z:" + folder.resolve(name).toString().replace('/', '\\');
  }

  @Test
  void findsJavaAndHandsArgumentsOn() throws IOException, InterruptedException {
    Path archive = root.resolve("cli/target/dimple.jar");
    Files.createDirectories(archive.getParent());
    Files.writeString(archive, "");
    try {
      Outcome named = run(Map.of("DIMPLE_JAVA_HOME", windows("jdk 25")), "run", "--prompt", "What is it?");
      assertThat(named.text).contains("[-jar][" + windows("with a blank\\cli\\target\\dimple.jar") + "][run][--prompt][What is it?]")
          .doesNotContain("dimple.library");
      assertThat(named.status).isEqualTo(7);

      Outcome letters = run(Map.of("DIMPLE_JAVA_HOME", windows("jdk 25")), "run", "--prompt", "Größe ł 🙂 日本"); // as WindowsArguments asks for them
      assertThat(letters.text).contains(" run --prompt \"Größe ł 🙂 日本\"}").doesNotContain("[Größe ł");

      Outcome found = run(Map.of("JAVA_HOME", windows("jdk 25"), "DIMPLE_LIBRARY", "c:\\my own\\dimple.dll"), "--help");
      assertThat(found.text).contains("[-Ddimple.library=c:\\my own\\dimple.dll][-jar]", "[--help]");
      assertThat(found.status).isEqualTo(7);

      Path cross = Files.createDirectories(root.resolve("target/natives/windows-x86_64")).resolve("dimple.dll");
      Files.writeString(cross, "");
      assertThat(run(Map.of("JAVA_HOME", windows("jdk 25"))).text).contains("[-Ddimple.library=" + windows("with a blank") + "\\target\\natives\\");
      Files.delete(cross);
    } finally {
      Files.delete(archive);
    }
  }

  @Test
  void saysWhatIsMissing() throws IOException, InterruptedException {
    Outcome old = run(Map.of("DIMPLE_JAVA_HOME", windows("jdk-17")));
    assertThat(old.text).contains("DIMPLE_JAVA_HOME=" + windows("jdk-17") + " is not a JDK of version 22 or newer, found: 17");
    assertThat(old.status).isEqualTo(1);

    Outcome none = run(Map.of("JAVA_HOME", windows("jdk-17")));
    assertThat(none.text).contains("needs a JDK of version 22 or newer", "last seen: 17 in " + windows("jdk-17"));
    assertThat(none.status).isEqualTo(1);

    Outcome unbuilt = run(Map.of("JAVA_HOME", windows("jdk 25")));
    assertThat(unbuilt.text).contains("building needs mvn.cmd", "building needs cmake.exe", "building needs ninja.exe", "building needs gcc.exe");
    assertThat(unbuilt.status).isEqualTo(1);
  }
}
