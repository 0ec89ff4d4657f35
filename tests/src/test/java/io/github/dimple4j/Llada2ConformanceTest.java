package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** LLaDA2.0, LLaDA2.1 and LLaDA2.2 beside their authors' code: logits of every pass, the canvas before it, and the answer. goldens/README.md says what the files hold. */
class Llada2ConformanceTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static final List<Pipeline> PIPELINES = List.of(Pipeline.LLADA2, Pipeline.LLADA22);

  /** More of the same, written by tests/reference/block_cases.py; docs/testing.md. */
  private static final String MORE = System.getProperty("dimple.block.goldens");

  static Stream<Arguments> cases() throws IOException {
    List<Arguments> all = new ArrayList<>();
    for (Pipeline pipeline : MORE == null ? PIPELINES : List.of(Pipeline.LLADA2)) {
      Path folder = Path.of(MORE == null ? "goldens" : MORE).resolve(pipeline.label());
      for (JsonNode entry : JSON.readTree(folder.resolve("cases.json"))) {
        for (String backend : Backends.all()) {
          all.add(Arguments.of(folder.resolve(entry.path("model").asString()), entry.path("case").asString(), backend));
        }
      }
    }
    return all.stream();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyPassIsTheAuthors(Path folder, String name, String backend) throws IOException {
    JsonNode run = JSON.readTree(folder.resolve(name + ".json"));
    int length = run.path("block_length").asInt();
    try (SafetensorsFile recorded = new SafetensorsFile(folder.resolve(name + ".safetensors")); DimpleModel model = load(folder, run, backend)) {
      int[] prompt = numbers(recorded, "input_ids");
      int[] result = numbers(recorded, "result");
      int[] blocks = numbers(recorded, "block_in");
      int[] ends = numbers(recorded, "window_end");
      FloatBuffer logits = bytes(recorded, "logits").asFloatBuffer();
      int vocabulary = model.info().vocabSize();
      int asked = run.path("gen_length").asInt();
      try (Session session = model.session().tokens(prompt).responseLength(asked).wholeBlocks(length).threads(1).open()) {
        int[] sequence = Arrays.copyOf(prompt, prompt.length + session.responseLength());
        Arrays.fill(sequence, prompt.length, sequence.length, run.path("mask_id").asInt());
        int pass = 0;
        if (run.has("draws")) {
          Golden.Draws draws = Golden.draws(run.path("draws"));
          session.replayDraws(draws.kinds(), draws.lengths(), draws.values());
        }
        for (Step step : session.steps(decoding(run))) {
          assertThat(pass).as("passes").isLessThan(ends.length);
          int end = ends[pass];
          assertThat(Arrays.copyOfRange(sequence, end - length, end)).as("block before pass %d", pass)
              .isEqualTo(Arrays.copyOfRange(blocks, pass * length, (pass + 1) * length));
          assertThat(step.block()).isEqualTo((end - 1) / length - prompt.length / length);
          expectLogits(model, Arrays.copyOf(sequence, end), logits.slice(pass * length * vocabulary, length * vocabulary), end - length);
          System.arraycopy(step.canvas().tokens(), 0, sequence, prompt.length, step.canvas().length());
          pass++;
        }
        assertThat(pass).isEqualTo(ends.length);
        int[] answer = Arrays.copyOfRange(sequence, prompt.length, prompt.length + Math.min(asked, session.responseLength()));
        int end = (int) Arrays.stream(answer).takeWhile(id -> id != run.path("eos_id").asInt()).count();
        assertThat(Arrays.copyOf(answer, Math.min(end + 1, answer.length))).isEqualTo(result);
      }
    }
  }

  /** Positions of a later canvas move within it, and each canvas is what it would be behind a prompt that ends with those before. */
  @ParameterizedTest
  @CsvSource({"quality, 8", "speed, 5", "long_blocks, 8"})
  void positionsMoveInLaterCanvasesToo(String name, int canvas) throws IOException {
    Path folder = Path.of("goldens", "llada22", "v22");
    JsonNode run = JSON.readTree(folder.resolve(name + ".json"));
    try (SafetensorsFile recorded = new SafetensorsFile(folder.resolve(name + ".safetensors")); DimpleModel model = load(folder, run, "ref")) {
      int[] prompt = numbers(recorded, "input_ids");
      int length = 3 * canvas + 1;
      int moves = 0;
      try (Session session = model.session().tokens(prompt).responseLength(length).wholeBlocks(1).canvasLength(canvas).threads(1).open()) {
        int before = Math.min(canvas, length);
        for (Step step : session.steps(decoding(run))) {
          if (step.origins().isPresent()) {
            List<Integer> origins = step.origins().get();
            assertThat(origins).hasSizeGreaterThanOrEqualTo(before).allMatch(origin -> origin < origins.size());
            assertThat(origins.subList(0, before - canvas)).as("canvases before").isEqualTo(IntStream.range(0, before - canvas).boxed().toList());
            moves += before > canvas ? 1 : 0;
          }
          before = step.canvas().length();
        }
        Generation answer = session.generation();
        int[] found = answer.canvas().tokens();
        for (int first = 0; first < found.length; first += canvas) {
          int[] longer = IntStream.concat(IntStream.of(prompt), Arrays.stream(found, 0, first)).toArray();
          try (Session one = model.session().tokens(longer).responseLength(Math.min(canvas, length - first)).wholeBlocks(1).threads(1).open()) {
            Generation part = one.decode(decoding(run));
            assertThat(part.canvas().tokens()).as("canvas at %d", first).isEqualTo(Arrays.copyOfRange(found, first, Math.min(found.length, first + canvas)));
            assertThat(answer.logProbabilities().subList(first, first + part.canvas().length())).isEqualTo(part.logProbabilities());
          }
        }
        assertThat(found.length).isGreaterThan(canvas);
      }
      assertThat(moves).as("iterations that move positions of later canvases").isPositive();
    }
  }

  /** The rows of a block behind what is before it, in a pass of their own. */
  private static void expectLogits(DimpleModel model, int[] tokens, FloatBuffer expected, int first) {
    float largest = 0;
    float off = 0;
    try (Session session = model.session().tokens(tokens).withoutResponse().threads(1).open()) {
      float[][] found = session.logits();
      for (int i = first; i < tokens.length; i++) {
        for (float logit : found[i]) {
          float value = expected.get();
          largest = Math.max(largest, Math.abs(value));
          off = Math.max(off, Math.abs(value - logit));
        }
      }
    }
    assertThat(off / largest).isLessThan(2e-4f);
  }

  private static Decoding decoding(JsonNode run) {
    boolean edits = run.has("editing_threshold");
    Pipeline pipeline = run.has("delete_token_id") ? Pipeline.LLADA22 : Pipeline.LLADA2;
    Decoding.Builder builder = Decoding.builder().pipeline(pipeline).earlyStop(false).complete(false)
        .algorithm(edits ? Algorithm.TOKEN_EDITING : Algorithm.LOW_CONFIDENCE_DYNAMIC).blockLength(run.path("block_length").asInt())
        .steps(Math.min(run.path("steps").asInt(), run.path("gen_length").asInt())).threshold((float) run.path("threshold").asDouble())
        .eosEarlyStop(run.path("eos_early_stop").asBoolean());
    if (run.has("draws")) {
      builder.temperature((float) run.path("temperature").asDouble()).topK(run.path("top_k").asInt()).topP((float) run.path("top_p").asDouble()).originalConfidence(false);
    }
    if (edits) {
      builder.editingThreshold((float) run.path("editing_threshold").asDouble()).maxPostSteps(run.path("max_post_steps").asInt())
          .numToTransfer(run.path("num_to_transfer").asInt());
    }
    return builder.build();
  }

  /** The checkpoint with the special tokens of a case, which its configuration does not name. */
  private static DimpleModel load(Path folder, JsonNode run, String backend) throws IOException {
    int end = run.path("eos_id").asInt();
    int length = run.path("block_length").asInt();
    Path copy = Temporary.folder().resolve("llada2-" + folder.toAbsolutePath().toString().hashCode() + "-" + end + "-" + length);
    Path file = copy.resolve("model.gguf");
    if (!Files.exists(file)) {
      Files.createDirectories(copy);
      ObjectNode config = (ObjectNode) JSON.readTree(folder.resolve("config.json"));
      config.put("mask_token_id", run.path("mask_id").asInt()).put("eos_token_id", end).put("pad_token_id", end)
          .put("block_length", length);
      Files.writeString(copy.resolve("config.json"), config.toString());
      Files.copy(folder.resolve("model.safetensors"), copy.resolve("model.safetensors"));
      Converter.of(copy).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(file);
    }
    return DimpleModel.load(file, ModelOptions.builder().backend(backend).build());
  }

  private static int[] numbers(SafetensorsFile file, String name) throws IOException {
    IntBuffer buffer = bytes(file, name).asIntBuffer();
    int[] numbers = new int[buffer.remaining()];
    buffer.get(numbers);
    return numbers;
  }

  private static ByteBuffer bytes(SafetensorsFile file, String name) throws IOException {
    SafetensorsFile.Tensor tensor = file.tensors().get(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.elements() * 4)).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor.offset(), bytes);
    return bytes.rewind();
  }
}
