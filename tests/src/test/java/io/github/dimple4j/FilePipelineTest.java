package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.InProcess;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** Options of the pipeline that a model's file names need no {@code --pipeline}: they are checked and counted as if it stood there. */
class FilePipelineTest {
  private static final String PIPELINE = Pipeline.SDAR.label();

  @TempDir static Path folder;
  private static String file;
  private static String ids;

  @BeforeAll
  static void convert() throws IOException {
    Path converted = folder.resolve("blocks.gguf");
    Converter.of(Path.of("goldens").resolve(PIPELINE)).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(converted);
    file = converted.toString();
    ids = Files.writeString(folder.resolve("ids.json"), "[5, 6, 7, 8, 9]").toString();
  }

  private static JsonNode traced(String options, String... more) throws IOException {
    Path json = Files.createTempFile(folder, "trace", ".json");
    List<String> given = List.of("trace", file, "--ids-file", ids, "--max-new-tokens", "10", "--threads", "1", "--json", json.toString());
    Outcome outcome = InProcess.dimple(Stream.of(given, List.of(options.strip().split(" +")), List.of(more)).flatMap(List::stream)
        .filter(option -> !option.isEmpty()).toArray(String[]::new));
    assertThat(outcome.err()).isEmpty();
    JsonNode iterations = new JsonMapper().readTree(json).path("iterations");
    iterations.forEach(iteration -> ((ObjectNode) iteration).remove("millis"));
    return iterations;
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "--alg sequential", "--block-length 3", "--block-length 8 --alg low_confidence_static --steps 2", "--steps 3 --alg sequential",
      "--threshold 0.01", "--alg sequential --block-length 1"})
  void optionsAreThoseOfTheFilesPipeline(String options) throws IOException {
    JsonNode alone = traced(options);
    assertThat(alone).isEqualTo(traced(options, "--pipeline", PIPELINE)).isNotEmpty();
    int length = options.contains("--block-length") ? Integer.parseInt(options.replaceAll(".*--block-length (\\d+).*", "$1")) : 4;
    assertThat((5 + alone.path(0).path("tokens").size()) % length).isZero();
  }

  @Test
  void optionsOfOthersAreRefused() {
    for (String[] wrong : new String[][] {{"--alg", "origin"}, {"--cache", "dual"}, {"--sub-block-length", "2"}}) {
      Outcome outcome = InProcess.dimple("trace", file, "--ids-file", ids, "--max-new-tokens", "8", "--json",
          folder.resolve("none.json").toString(), wrong[0], wrong[1]);
      assertThat(outcome.status()).as("%s", wrong[0]).isEqualTo(2);
      assertThat(outcome.err()).contains(wrong[0]).contains(" goes with --pipeline ");
    }
  }
}
