package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Everything but the call that asks Windows for the command line, which other systems have not. */
class WindowsArgumentsTest {
  private static final String JAVA = "\"C:\\Program Files\\jdk\\bin\\java.exe\" -XX:+UseSerialGC -jar \"C:\\dimple\\cli\\target\\dimple.jar\" ";

  /** As CommandLineToArgvW does it, run under wine, but for two marks within a quotation, which Java's launcher and Microsoft's C library take otherwise. */
  @Test
  void takesLinesApart() {
    Map.ofEntries(
        Map.entry("java a b", List.of("java", "a", "b")),
        Map.entry("\"C:\\a b\\java.exe\" x", List.of("C:\\a b\\java.exe", "x")),
        Map.entry("java.exe\t a\t\tb ", List.of("java.exe", "a", "b")),
        Map.entry("j \"a b\" c", List.of("j", "a b", "c")),
        Map.entry("j a\"b c\"d e", List.of("j", "ab cd", "e")),
        Map.entry("j a\\b c\\\\d", List.of("j", "a\\b", "c\\\\d")),
        Map.entry("j \"a\\\\\" b", List.of("j", "a\\", "b")),
        Map.entry("j a\\\"b c", List.of("j", "a\"b", "c")),
        Map.entry("j \"a\\\"b c\" d", List.of("j", "a\"b c", "d")),
        Map.entry("j a\\\\\\\"b", List.of("j", "a\\\"b")),
        Map.entry("j a\\\\ b", List.of("j", "a\\\\", "b")),
        Map.entry("j a\\", List.of("j", "a\\")),
        Map.entry("j \"\"", List.of("j", "")),
        Map.entry("j \"\" a", List.of("j", "", "a")),
        Map.entry("j \"a b", List.of("j", "a b")),
        Map.entry("j", List.of("j")),
        Map.entry("j ", List.of("j")),
        Map.entry("j \"\"\"\"", List.of("j", "\"")),
        Map.entry("j ü \"ł 🙂\"", List.of("j", "ü", "ł 🙂")),
        Map.entry("j a \"b\\\\\\\"\" c", List.of("j", "a", "b\\\"", "c")),
        Map.entry("j \"a\"\"b c\"", List.of("j", "a\"b c"))) // two marks
        .forEach((line, words) -> assertThat(WindowsArguments.split(line)).as(line).isEqualTo(words));
  }

  private static Optional<List<String>> given(String rest, String... decoded) {
    return WindowsArguments.given(decoded, JAVA + rest).map(List::of);
  }

  @Test
  void givesWhatTheCodePageLost() {
    assertThat(given("run --prompt \"Größe ł 🙂?\"", "run", "--prompt", "Größe l ???")).contains(List.of("run", "--prompt", "Größe ł 🙂?"));
    assertThat(given("run ł", "run", "l")).contains(List.of("run", "ł"));
    assertThat(given("run --image Größe.png", "run", "--image", "Gr\u00f6\u00dfe.png")).contains(List.of("run", "--image", "Größe.png"));
    assertThat(given("run 日本 x", "run", "??", "x")).contains(List.of("run", "日本", "x"));
    assertThat(WindowsArguments.given(new String[] {"a", "?"}, "java -cp x Main a ü").map(List::of)).contains(List.of("a", "ü"));
  }

  /** Where arguments are ASCII, Java has them right, and may have put names of files in the place of a pattern. */
  @Test
  void leavesAsciiAlone() {
    assertThat(given("run *.png", "run", "a.png", "b.png")).contains(List.of("run", "a.png", "b.png"));
    String[] decoded = {"run", "a.png", "b.png"};
    assertThat(WindowsArguments.given(decoded, "C:\\Jörg\\java.exe -jar C:\\Jörg\\dimple.jar run *.png")).contains(decoded);
    assertThat(WindowsArguments.given(new String[0], "C:\\Jörg\\java.exe -jar C:\\Jörg\\dimple.jar")).contains(new String[0]);
  }

  @Test
  void refusesWhatDoesNotBelongTogether() throws Arguments.Lost {
    assertThat(given("run *.png ü", "run", "a.png", "b.png", "ü")).isEmpty();
    assertThat(given("run *.png ü", "run", "a.png", "ü")).isEmpty();
    assertThat(given("run ü", "run", "ü", "x")).isEmpty();
    assertThat(given("run aüb", "run", "xyb")).isEmpty();
    String[] decoded = {"run", "a.png", "?"};
    assertThatExceptionOfType(Arguments.Lost.class).isThrownBy(() -> Arguments.onWindows(decoded, Optional.of(JAVA + "run *.png ü x"))).withMessageContaining("* or ?");
    assertThatExceptionOfType(Arguments.Lost.class).isThrownBy(() -> Arguments.onWindows(decoded, Optional.empty())).withMessageContaining("--enable-native-access");
    assertThatExceptionOfType(Arguments.Lost.class).isThrownBy(() -> Arguments.onWindows(new String[] {"run", "?"}, Optional.of(JAVA + "run \ud83d")))
        .withMessageContaining("argument 2").withMessageContaining("half of a surrogate pair");
    assertThat(Arguments.onWindows(new String[] {"run", "??"}, Optional.of(JAVA + "run 🙂"))).containsExactly("run", "🙂");
  }

  @Test
  void readsUtf16() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment line = arena.allocateFrom(ValueLayout.JAVA_CHAR, "a ü 🙂 \ud83d\0 behind the end".toCharArray());
      assertThat(WindowsArguments.text(line)).isEqualTo("a ü 🙂 \ud83d");
    }
    assertThat(WindowsArguments.commandLine()).as("here is no kernel32").isEmpty();
  }
}
