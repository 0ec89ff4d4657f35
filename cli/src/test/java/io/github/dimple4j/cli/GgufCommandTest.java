package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufCommandTest {
  private static final Path GOLDEN = Path.of("..", "tests", "goldens", "gamma");

  @TempDir private Path folder;

  @Test
  void convertWritesTheTypeAskedFor() throws IOException {
    Path file = folder.resolve("x.gguf");
    Output output = Output.of("gguf", "convert", GOLDEN.toString(), "-o", file.toString(), "--type", "BF16");
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("dimple, 102 tensors", "215,584 parameters", "bf16");
    try (GgufFile opened = GgufFile.open(file)) {
      assertThat(opened.tensor("token_embd.weight").flatMap(TensorInfo::type)).contains(TensorType.BF16);
    }
    Output again = Output.of("gguf", "convert", GOLDEN.toString(), "-o", file.toString());
    assertThat(again.status()).isEqualTo(1);
    assertThat(again.err()).isEqualToIgnoringNewLines("dimple: " + file + " exists already");
    assertThat(Output.of("gguf", "convert", GOLDEN.toString(), "-o", file.toString(), "--force").status()).isZero();
  }

  @Test
  void inspectShowsTextAndJson() throws IOException {
    Path file = synth();
    assertThat(Output.of("gguf", "inspect", file.toString()).out()).contains("Metadata", "general.architecture", "Tensors", "1,016 more");
    assertThat(Output.of("gguf", "inspect", "--full", file.toString()).out()).contains("\"<|mask|>\"");
    Path json = Files.writeString(folder.resolve("x.json"), Output.of("gguf", "inspect", "--json", file.toString()).out());
    assertThat(((Map<?, ?>) Json.read(json).get("metadata")).get("dimple.block_count").toString()).contains("4");
  }

  /** Names and values of files go to a terminal as text: none colours it, begins a line or turns text around. */
  @Test
  void namesInFilesCommandNoTerminal() throws IOException {
    Path plain = synth();
    byte[] bytes = Files.readAllBytes(plain);
    replace(bytes, "dimple.video_token_id", "dimple.\u001b[31m\n\u202een_id"); // a key that is not known then
    replace(bytes, "dimple-mini", "a\u001b[31m\n\u2028x");
    Path named = Files.write(folder.resolve("named.gguf"), bytes);
    for (Output output : List.of(Output.of("gguf", "inspect", named.toString()), Output.of("gguf", "validate", named.toString()),
        Output.of("gguf", "diff", plain.toString(), named.toString()), Output.of("run", "--prompt", "x", named.toString()))) {
      String text = output.out() + output.err();
      assertThat(text).contains("dimple.").doesNotContain("\u001b", "\u202e", "\u2028");
      assertThat(text.lines()).noneMatch(line -> line.startsWith("en_id") || line.startsWith("x"));
    }
  }

  private static void replace(byte[] bytes, String old, String other) {
    byte[] from = old.getBytes(StandardCharsets.UTF_8);
    byte[] to = other.getBytes(StandardCharsets.UTF_8);
    assertThat(to).hasSameSizeAs(from);
    int at = 0;
    while (!Arrays.equals(bytes, at, at + from.length, from, 0, from.length)) {
      at++;
    }
    System.arraycopy(to, 0, bytes, at, to.length);
  }

  @Test
  void validateTellsSoundFilesFromOthers() throws IOException {
    Path file = synth();
    Output sound = Output.of("gguf", "validate", file.toString());
    assertThat(sound.status()).isZero();
    assertThat(sound.out()).contains("sound, 126 tensors");
    byte[] bytes = Files.readAllBytes(file);
    try (GgufFile opened = GgufFile.open(file)) {
      int at = (int) (opened.dataStart() + opened.tensor("output_norm.weight").orElseThrow().offset());
      bytes[at + 2] = (byte) 0x80; // an infinity: exponent all ones, fraction zero
      bytes[at + 3] = 0x7f;
      bytes[at + 1] = bytes[at] = 0;
    }
    Files.write(file, bytes);
    Output unsound = Output.of("gguf", "validate", file.toString());
    assertThat(unsound.status()).isEqualTo(1);
    assertThat(unsound.out()).contains("tensor output_norm.weight has a weight of Infinity in row 0, column 0");
    assertThat(unsound.err()).isEqualToIgnoringNewLines("dimple: " + file + ": problems found: 1");
  }

  @Test
  void wrongUsageIsStatus2() {
    assertThat(Output.of("gguf").status()).isEqualTo(2);
    assertThat(Output.of("gguf", "synth", "--preset", "gpt-5", "-o", "x").err()).contains("'gpt-5' is not one of dimple-7b, dimple-mini");
    Output type = Output.of("gguf", "convert", "x", "-o", "y", "--type", "q9");
    assertThat(type.status()).isEqualTo(2);
    assertThat(type.err()).contains("'q9' is not one of f32, f16");
    Output synth = Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "q9", "-o", "y");
    assertThat(synth.status()).isEqualTo(2);
    assertThat(synth.err()).contains("'q9' is not one of f32, f16");
    Output unwritten = Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "iq1_s", "-o", "y");
    assertThat(unwritten.status()).isEqualTo(1);
    assertThat(unwritten.err()).contains("iq1_s").hasLineCount(1);
  }

  @Test
  void aFileWithRandomWeightsOfAMixture() {
    String file = folder.resolve("mixture.gguf").toString();
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "q4_k_m", "-o", file).status()).isZero();
    assertThat(Output.of("gguf", "inspect", file).out()).contains("q4_k", "q6_k");
  }

  private Path synth() {
    Path file = folder.resolve("mini.gguf");
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "-o", file.toString()).status()).isZero();
    return file;
  }
}
