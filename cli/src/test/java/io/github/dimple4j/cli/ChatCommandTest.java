package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Conversations by lines; what a terminal adds is in the tests of processes. */
class ChatCommandTest {
  @TempDir private static Path folder;
  private static String model;

  @BeforeAll
  static void makeModel() {
    model = folder.resolve("synth.gguf").toString();
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "f32", "-o", model).status()).isZero();
  }

  private static Output chat(String input, String... options) {
    return chat(input, StandardCharsets.UTF_8, options);
  }

  private static Output chat(String input, Charset charset, String... options) {
    String[] arguments = new String[options.length + 4];
    System.arraycopy(new String[] {"chat", model, "--max-new-tokens", "4"}, 0, arguments, 0, 4);
    System.arraycopy(options, 0, arguments, 4, options.length);
    InputStream before = System.in;
    System.setIn(new ByteArrayInputStream(input.getBytes(charset)));
    try {
      return Output.of(arguments);
    } finally {
      System.setIn(before);
    }
  }

  @Test
  void aLineIsATurn() {
    Output output = chat("What?\n\n/quit\nnever read\n");
    assertThat(output.status()).isZero();
    assertThat(output.err()).hasLineCount(1).contains(" tokens, ");
    assertThat(output.out()).isEqualTo(chat("What?", "--quiet").out());
    assertThat(chat("What?\nAnd?\n").err()).hasLineCount(2);
  }

  /** The second answer is that of a conversation with the first one, unless that was forgotten. */
  @Test
  void turnsAreCarriedAndForgotten() {
    String alone = chat("And?\n", "--quiet").out();
    assertThat(chat("What?\n/reset\nAnd?\n", "--quiet").out()).endsWith(alone);
    assertThat(chat("/system Be brief.\nAnd?\n", "--quiet").out()).isEqualTo(chat("And?\n", "--quiet", "--system", "Be brief.").out());
    assertThat(chat("/system Be brief.\n/system\nAnd?\n", "--quiet").out()).isEqualTo(alone);
  }

  @Test
  void whatIsWrongDoesNotEndIt() throws IOException {
    Output output = chat("/fly\n/image\n/image " + folder.resolve("none.png") + "\n" + "word ".repeat(30_000) + "\n/help\n");
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("/image FILE", "^C");
    assertThat(output.err().lines().toList()).hasSize(4).satisfiesExactly(line -> assertThat(line).contains("no command /fly"),
        line -> assertThat(line).contains("/image needs a file"), line -> assertThat(line).contains("none.png"),
        line -> assertThat(line).contains("/reset forgets"));
    assertThat(chat("Größe", StandardCharsets.ISO_8859_1).status()).isEqualTo(1);
  }

  @Test
  void twoStrokesBeginAMessageWithOne() {
    assertThat(chat("//help\n").err()).contains(" tokens, ");
  }
}
