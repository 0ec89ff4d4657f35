package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.InProcess;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code dimple gguf convert}, {@code trace} and {@code logits} beside the reference: what other programs read of them. */
class CommandConformanceTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static int checkedRuns;

  @TempDir private Path folder;

  @AfterAll
  static void report() {
    System.out.printf("Conformance: %d recorded decodings checked through dimple trace%n", checkedRuns);
  }

  private Path ids(int[] tokens) throws IOException {
    return Files.writeString(folder.resolve("ids.json"), Arrays.toString(tokens));
  }

  private JsonNode json(List<String> arguments) {
    Path target = folder.resolve("out.json");
    List<String> all = new ArrayList<>(arguments);
    all.addAll(List.of("--json", target.toString()));
    Outcome outcome = InProcess.dimple(all.toArray(String[]::new)).assertDone();
    assertThat(outcome.out()).isEmpty();
    return JSON.readTree(target);
  }

  private Path convert(Golden golden) {
    Path file = folder.resolve(golden.name() + ".gguf");
    InProcess.dimple("gguf", "convert", golden.folder().toString(), "-o", file.toString(), "--type", "f32").assertDone();
    return file;
  }

  private static List<String> pictures(Golden golden, Golden.Case prompt) {
    return prompt.imageFiles().stream().flatMap(name -> Stream.of("--image", golden.folder().resolve(name).toString())).toList();
  }

  @ParameterizedTest
  @MethodSource("io.github.dimple4j.Golden#all")
  void traceIsTheReferencesTokenForToken(Golden golden) throws IOException {
    Path model = convert(golden);
    for (Golden.Case prompt : golden.cases()) {
      List<Golden.Run> comparable = prompt.runs().stream()
          .filter(run -> run.draws() == null && asked(golden, prompt, run) > 0).toList(); // the program draws for itself
      assertThat(comparable).isNotEmpty();
      for (Golden.Run run : comparable) {
        List<String> arguments = new ArrayList<>(List.of("trace", model.toString(), "--ids-file", ids(prompt.prompt()).toString()));
        arguments.addAll(pictures(golden, prompt));
        arguments.addAll(options(run, asked(golden, prompt, run)));
        assertTrace(json(arguments), golden, prompt, run);
        checkedRuns++;
      }
    }
  }

  /** The length that the program is to be asked for, so that it comes to the recorded one: Fast-dLLM v2's blocks it counts as their authors do. 0: none. */
  private static int asked(Golden golden, Golden.Case prompt, Golden.Run run) {
    if (run.decoding().pipeline() != Pipeline.FAST_DLLM_V2) {
      return run.responseLength();
    }
    int block = golden.blockSize();
    int asked = run.responseLength() - 1 + prompt.prompt().length % block;
    return asked % block == 0 ? asked : 0;
  }

  private static List<String> options(Golden.Run run, int asked) {
    Decoding decoding = run.decoding();
    List<String> options = new ArrayList<>(List.of("--max-new-tokens", "" + asked, "--steps", "" + decoding.steps().orElseThrow(),
        "--pipeline", decoding.pipeline().label(), "--alg", decoding.algorithm().label(), "--threshold", "" + decoding.threshold(),
        "--temperature", "" + decoding.temperature(), "--top-p", "" + decoding.topP(), "--top-k", "" + decoding.topK(), "--alg-temp",
        "" + decoding.algorithmTemperature(), "--seed", "1", "--threads", "1"));
    if (decoding.subBlockLength() > 0) {
      options.add("--sub-block-length=" + decoding.subBlockLength());
    }
    if (decoding.blockLength() > 0) {
      options.add("--block-length=" + decoding.blockLength());
    }
    if (decoding.guidanceScale() > 0) {
      options.add("--guidance-scale=" + decoding.guidanceScale());
    }
    if (decoding.eosPenalty() != 0) {
      options.add("--eos-penalty=" + decoding.eosPenalty());
    }
    if (decoding.scheduleShift() != 0) {
      options.add("--schedule-shift=" + decoding.scheduleShift());
    }
    if (!run.prefillCache()) {
      options.add("--no-prefill");
    }
    if (!decoding.originalConfidence()) {
      options.add("--no-original-confidence");
    }
    if (!run.priors().isEmpty()) {
      options.add("--prior");
      options.add(run.priors().entrySet().stream().map(prior -> prior.getKey() + "=" + prior.getValue()).collect(Collectors.joining(",")));
    }
    return options;
  }

  private static void assertTrace(JsonNode trace, Golden golden, Golden.Case prompt, Golden.Run run) {
    String name = golden + "/" + prompt.name() + "/" + run.name();
    assertThat(trace.propertyNames()).as(name).contains("prompt_tokens", "settings", "iterations", "tokens", "text", "timings");
    assertThat(integers(trace.path("prompt_tokens"))).as(name).isEqualTo(prompt.prompt());
    assertThat(trace.path("iterations").size()).as(name).isEqualTo(run.history().size());
    int[] canvas = null;
    for (int i = 0; i < run.history().size(); i++) {
      JsonNode iteration = trace.path("iterations").path(i);
      int[] expected = run.history().get(i);
      assertThat(iteration.propertyNames()).as(name).contains("step", "tokens", "revealed", "confidence", "millis");
      assertThat(iteration.path("step").asInt()).as(name).isEqualTo(i);
      assertThat(integers(iteration.path("tokens"))).as("%s, iteration %d", name, i).isEqualTo(expected);
      assertThat(iteration.path("confidence").size()).as(name).isEqualTo(iteration.path("revealed").size());
      if (canvas != null) {
        assertThat(integers(iteration.path("revealed"))).as("%s, iteration %d", name, i).isEqualTo(differences(canvas, expected));
      }
      canvas = expected;
    }
    assertThat(integers(trace.path("tokens"))).as(name).isEqualTo(answer(golden, run));
    assertThat(trace.path("text").isNull()).as("text of a model without tokenizer").isTrue();
  }

  /** The last canvas; where a block with the end of the text is the last one, without the masks behind it, as Fast-dLLM v2's function returns it. */
  private static int[] answer(Golden golden, Golden.Run run) {
    int[] canvas = run.history().getLast();
    int length = canvas.length;
    while (run.decoding().pipeline() == Pipeline.FAST_DLLM_V2 && canvas[length - 1] == golden.maskToken()) {
      length--;
    }
    return Arrays.copyOf(canvas, length);
  }

  private static int[] differences(int[] before, int[] after) {
    return IntStream.range(0, after.length).filter(i -> before[i] != after[i]).toArray();
  }

  @ParameterizedTest
  @MethodSource("io.github.dimple4j.Golden#all")
  void logitsAndVisionAreTheReferences(Golden golden) throws IOException {
    Path model = convert(golden);
    int mask;
    try (DimpleModel loaded = DimpleModel.load(model)) {
      mask = loaded.info().maskTokenId().orElseThrow();
    }
    for (Golden.Case prompt : golden.cases()) {
      int[] tokens = Arrays.copyOf(prompt.prompt(), prompt.prompt().length + prompt.appendedMasks());
      Arrays.fill(tokens, prompt.prompt().length, tokens.length, mask);
      List<String> arguments = new ArrayList<>(List.of("logits", model.toString(), "--ids-file", ids(tokens).toString()));
      arguments.addAll(pictures(golden, prompt));
      assertThat(json(arguments).propertyNames()).containsExactly("logits");
      arguments.add("--vision");
      JsonNode output = json(arguments);
      assertThat(output.propertyNames()).containsExactly("logits", "vision");
      ConformanceTest.assertClose("logits of " + prompt.name(), matrix(output.path("logits")), prompt.logits());
      if (prompt.images().isEmpty()) {
        assertThat(output.path("vision").size()).isZero();
      } else {
        ConformanceTest.assertClose("vision", matrix(output.path("vision")), golden.features(prompt.name()));
      }
    }
  }

  /** What the settings of a trace say is what was asked for. */
  @Test
  void traceSaysItsSettings() throws IOException {
    Golden golden = Golden.named("gamma");
    JsonNode settings = json(List.of("trace", convert(golden).toString(), "--ids-file", ids(new int[] {1, 2, 3}).toString(), "--max-new-tokens",
        "9", "--steps", "5", "--pipeline", "dim", "--alg", "topk_margin", "--threshold", "0.25", "--temperature", "0.5", "--top-p", "0.75",
        "--top-k", "6", "--alg-temp", "0.125", "--seed", "18446744073709551615", "--threads", "2", "--prior", "1=7,8=2", "--no-prefill",
        "--no-original-confidence")).path("settings");
    JSON.readTree("""
        {"max_new_tokens": 9, "steps": 5, "pipeline": "dim", "alg": "topk_margin", "threshold": 0.25, "temperature": 0.5, "top_p": 0.75,
         "top_k": 6, "alg_temp": 0.125, "threads": 2, "prefill": false, "original_confidence": false, "prior": {"1": 7, "8": 2}}
        """).forEachEntry((name, value) -> assertThat(settings.path(name)).as(name).isEqualTo(value));
    assertThat(settings.path("seed").asString()).isEqualTo("18446744073709551615");
  }

  private static int[] integers(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  private static float[][] matrix(JsonNode rows) {
    return rows.valueStream().map(row -> {
      float[] values = new float[row.size()];
      for (int i = 0; i < values.length; i++) {
        values[i] = row.get(i).floatValue();
      }
      return values;
    }).toArray(float[][]::new);
  }
}
