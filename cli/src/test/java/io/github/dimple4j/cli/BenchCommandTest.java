package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.DimpleModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchCommandTest {
  @TempDir private static Path folder;
  private static String model;

  @BeforeAll
  static void makeModel() {
    model = folder.resolve("model.gguf").toString();
    assertThat(Output.of("gguf", "synth", "--preset", "dimple-mini", "--type", "q8_0", "-o", model).status()).isZero();
  }

  private static Map<?, ?> bench(String... options) {
    List<String> arguments = new ArrayList<>(List.of("bench", model, "--repeat", "1", "--rows", "2,20", "--prompt-tokens", "9", "--json", "-"));
    arguments.addAll(List.of(options));
    Output output = Output.of(arguments.toArray(String[]::new));
    assertThat(output.err()).isEmpty();
    assertThat(output.status()).isZero();
    return (Map<?, ?>) Json.parse(output.out());
  }

  private static long number(Map<?, ?> from, String section, String name) {
    return Long.parseLong(((Json.Number) ((Map<?, ?>) from.get(section)).get(name)).text());
  }

  @Test
  void theFileHoldsEveryFigure() throws IOException {
    Map<?, ?> found = bench("--picture", "112", "--threads", "1");
    assertThat(found.keySet().stream().map(Object::toString)).containsExactly("machine", "model", "repeat", "load", "vision", "prefill", "steps", "memory");
    assertThat(((Map<?, ?>) found.get("machine")).toString()).contains("threads=Number[text=1]", "kernels=" + DimpleModel.cpuDescription());
    Map<?, ?> peaks = (Map<?, ?>) ((Map<?, ?>) found.get("machine")).get("peaks");
    assertThat(((Json.Number) peaks.get("f32_products_per_second")).real()).isGreaterThan(1e7f);
    assertThat(number(found, "vision", "tokens")).isEqualTo(16);
    List<?> steps = (List<?>) found.get("steps");
    assertThat(steps).extracting(each -> ((Map<?, ?>) each).get("rows").toString()).containsExactly("Number[text=2]", "Number[text=20]");
    for (Object timed : List.of(((Map<?, ?>) found.get("load")).get("again"), ((Map<?, ?>) found.get("vision")).get("time"),
        ((Map<?, ?>) found.get("prefill")).get("time"), ((Map<?, ?>) steps.get(1)).get("all_masked"), ((Map<?, ?>) steps.get(1)).get("one_masked"))) {
      Map<?, ?> times = (Map<?, ?>) timed;
      assertThat(((Json.Number) times.get("median_ms")).real()).isPositive();
      assertThat(((Json.Number) times.get("least_ms")).real()).isLessThanOrEqualTo(((Json.Number) times.get("largest_ms")).real());
    }
    assertThat(number(found, "memory", "weights")).isPositive();
  }

  /** The memory that options save is what the figures say. */
  @Test
  void optionsOfMemoryCount() {
    Map<?, ?> usual = bench("--picture", "0");
    Map<?, ?> small = bench("--picture", "0", "--unpacked", "--kv-type", "f16");
    assertThat(usual.get("vision")).isNull();
    assertThat(number(small, "memory", "weights")).isLessThan(number(usual, "memory", "weights") / 2);
    assertThat(number(small, "memory", "keys_and_values")).isEqualTo(number(usual, "memory", "keys_and_values") / 2);
  }

  @Test
  void aTableForPeople() {
    Output output = Output.of("bench", model, "--repeat", "1", "--rows", "8", "--prompt-tokens", "5", "--picture", "112");
    assertThat(output.status()).isZero();
    assertThat(output.out()).contains("model.gguf, dimple, 4 layers, width 256", "112 x 112 pixels, 16 tokens", "for 5 tokens", "rows/s", "memory ", "at most ");
  }

  @Test
  void whatCannotBeMeasuredIsRefused() {
    for (String[] wrong : new String[][] {{"--rows", "1"}, {"--repeat", "0"}, {"--prompt-tokens", "0"}, {"--picture", "-1"}, {"--picture", "5000"}}) {
      Output output = Output.of("bench", model, wrong[0], wrong[1]);
      assertThat(output.status()).isEqualTo(2);
      assertThat(output.err()).contains("Invalid value for option '" + wrong[0] + "': " + wrong[1] + ", expected").hasLineCount(1);
    }
    Output tooLong = Output.of("bench", model, "--rows", "2000", "--repeat", "1", "--picture", "0");
    assertThat(tooLong.status()).isEqualTo(1);
    assertThat(tooLong.err()).contains("2000").hasLineCount(1);
  }
}
