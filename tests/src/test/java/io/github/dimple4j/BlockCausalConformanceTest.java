package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.TensorType;
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
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Models made from Qwen and LLaMA (SDAR, A2D, Fast-dLLM v2, RND1, Stable-DiffCoder) beside their authors' code: the canvas after every pass. goldens/README.md says what the files hold. */
class BlockCausalConformanceTest {
  private static final JsonMapper JSON = new JsonMapper();
  private static final Path GOLDENS = Path.of("goldens");
  /** A folder with more of the same, written by tests/reference/block_cases.py; docs/testing.md. */
  private static final String MORE = System.getProperty("dimple.block.goldens");
  private static final String SDAR = Pipeline.SDAR.label();
  private static final String FAST = Pipeline.FAST_DLLM_V2.label();
  private static final String RND1 = Pipeline.RND1.label();
  private static final String DIFFCODER = Pipeline.STABLE_DIFFCODER.label();
  private static final String DREAMON = Pipeline.DREAMON.label();
  private static final List<String> FOLDERS = List.of(SDAR, "sdar-moe", "a2d-qwen3", "a2d-qwen2", FAST, RND1, DIFFCODER);
  private static final Map<String, Integer> AT_LEAST = Map.of(SDAR, 53, "sdar-moe", 21, "a2d-qwen3", 14, "a2d-qwen2", 14, FAST, 50, RND1, 8,
      DIFFCODER, 40);

  static Stream<Arguments> models() throws IOException {
    return folders().stream().flatMap(folder -> Backends.all().stream().map(backend -> Arguments.of(folder, backend)));
  }

  private static List<String> folders() throws IOException {
    if (MORE == null) {
      return FOLDERS;
    }
    try (Stream<Path> all = Files.list(Path.of(MORE))) {
      return all.filter(folder -> Files.exists(folder.resolve("trajectories.json"))).map(folder -> folder.toAbsolutePath().toString()).sorted().toList();
    }
  }

  /** Why a run is left out; null: it is not. */
  private static String leftOut(JsonNode run, int mask, int pad) {
    String function = run.path("function").asString();
    boolean marked = run.path("prompt_ids").valueStream().anyMatch(id -> id.asInt() == mask);
    boolean padded = run.path("sequence").valueStream().skip(run.path("pad_left").asInt()).anyMatch(id -> id.asInt() == pad);
    if (function.equals("mdlm-infill")) {
      return "a sequence without a prompt";
    }
    if (run.has("authors_defect")) {
      return "the authors' code does not show the model its prompt";
    }
    if (!run.has("canvases") && run.path("passes").isEmpty()) {
      return "nothing is decoded";
    }
    if (marked) {
      return "masks in the prompt";
    }
    if (function.equals("bd3lm") && padded) {
      return "the authors' code hides padding tokens of the text";
    }
    if (run.path("scheduler").asString("").startsWith("Cosine")) {
      return "the cosine schedule";
    }
    if (run.hasNonNull("begin_suppress_tokens") || run.hasNonNull("suppress_tokens") || run.hasNonNull("cfg_keep_tokens")) {
      return "suppressed or kept tokens";
    }
    if (run.path("right_shift_logits").asBoolean(false)) {
      return "shifted logits, which are the file's";
    }
    if (function.equals("bd3lm") && run.path("cfg_scale").asDouble() > 0) {
      return "guidance of blocks";
    }
    if (run.path("temperature").asDouble(1) != 1 && !run.has("draws")) {
      return "the best token's probability at another temperature";
    }
    if (run.path("stop_ids").isArray() && run.path("stop_ids").isEmpty()) {
      return "no end of text";
    }
    return null;
  }

  @ParameterizedTest
  @MethodSource("models")
  void canvasesAreTheAuthorsAfterEveryPass(String folder, String backend) throws IOException {
    JsonNode config = JSON.readTree(GOLDENS.resolve(folder).resolve("config.json"));
    int pad = config.path("pad_token_id").asInt();
    List<String> differences = new ArrayList<>();
    int compared = 0;
    try (DimpleModel model = load(folder, backend)) {
      int mask = model.info().maskTokenId().orElseThrow(); // one family's configuration does not name it
      for (JsonNode run : runs(folder)) {
        if (leftOut(run, mask, pad) == null) {
          String difference = run.has("canvases") ? differenceOfCanvases(model, run) : difference(model, run, mask);
          compared++;
          if (difference != null) {
            differences.add(run.path("name").asString() + ": " + difference);
          }
        }
      }
    }
    assertThat(differences).isEmpty();
    assertThat(compared).isGreaterThanOrEqualTo(AT_LEAST.getOrDefault(folder, 0));
  }

  /** Recorded ones, and those at a temperature, with the tokens that were drawn. */
  private static List<JsonNode> runs(String folder) throws IOException {
    List<JsonNode> runs = new ArrayList<>();
    for (String name : List.of("trajectories.json", "drawn.json")) {
      if (Files.exists(GOLDENS.resolve(folder).resolve(name))) {
        JSON.readTree(GOLDENS.resolve(folder).resolve(name)).forEach(runs::add);
      }
    }
    return runs;
  }

  private static String difference(DimpleModel model, JsonNode run, int mask) {
    int[] prompt = run.path("prompt_ids").valueStream().mapToInt(JsonNode::asInt).toArray();
    boolean sdar = run.has("denoising_steps");
    int length = run.path(run.has("gen_length") ? "gen_length" : "max_new_tokens").asInt();
    SessionBuilder builder = model.session().tokens(prompt).responseLength(length).threads(1);
    if (sdar) {
      builder.wholeBlocks(run.path("block_length").asInt());
    } else if (isFast(run)) {
      builder.budgetOfBlocks(run.path("block_size").asInt());
    }
    try (Session session = builder.open()) {
      int[] canvas = new int[session.responseLength()];
      Arrays.fill(canvas, mask);
      int skipped = run.path("pad_left").asInt() + prompt.length;
      List<int[]> expected = new ArrayList<>();
      int passes = 0;
      for (JsonNode pass : run.path("passes")) {
        for (JsonNode written : pass.path(3)) {
          canvas[written.path(0).asInt() - skipped] = written.path(1).asInt();
        }
        boolean first = passes++ == 0 && pass.path(0).asString().startsWith("pref") && pass.path(3).isEmpty();
        if (!first) {
          expected.add(canvas.clone());
        }
      }
      int at = 0;
      Step last = null;
      if (run.has("draws")) {
        Golden.Draws draws = Golden.draws(run.path("draws"));
        session.replayDraws(draws.kinds(), draws.lengths(), draws.values());
      }
      for (Step step : session.steps(decoding(run, sdar))) {
        if (at == expected.size()) {
          return "goes on after iteration " + (at - 1);
        }
        if (!Arrays.equals(step.canvas().tokens(), expected.get(at))) {
          return "iteration %d: expected %s, got %s".formatted(at, Arrays.toString(expected.get(at)), Arrays.toString(step.canvas().tokens()));
        }
        at++;
        last = step;
      }
      return at == expected.size() && last.forwardPasses() == run.path("forward_passes").asInt() * (run.path("cfg_scale").asDouble(0) > 0 ? 2 : 1)
          ? null : "ends after %d iterations and %d passes, expected %d and %d".formatted(at, last.forwardPasses(), expected.size(),
              run.path("forward_passes").asInt());
    }
  }

  /** Of RND1: the last position is given, and every iteration is a pass. */
  private static String differenceOfCanvases(DimpleModel model, JsonNode run) {
    int length = run.path("max_new_tokens").asInt();
    boolean bounded = run.hasNonNull("eb_gamma");
    Decoding.Builder decoding = Decoding.builder().pipeline(Pipeline.RND1).threshold(0).steps(run.path("num_steps").asInt()).earlyStop(false)
        .complete(false)
        .algorithm(bounded ? Algorithm.ENTROPY_BOUND : Algorithm.ENTROPY);
    if (bounded) {
      decoding.gamma((float) run.path("eb_gamma").asDouble()).order(BoundOrder.CONFIDENCE);
    }
    int[] prompt = run.path("prompt_ids").valueStream().mapToInt(JsonNode::asInt).toArray();
    List<int[]> expected = run.path("canvases").valueStream().map(canvas -> canvas.valueStream().mapToInt(JsonNode::asInt).toArray()).toList();
    try (Session session = model.session().tokens(prompt).responseLength(length).prior(length - 1, run.path("last").asInt()).prefillCache(false)
        .threads(1).open()) {
      int at = 0;
      for (Step step : session.steps(decoding.build())) {
        if (at == expected.size() || !Arrays.equals(step.canvas().tokens(), expected.get(at))) {
          return "iteration %d: expected %s, got %s".formatted(at, at == expected.size() ? "none" : Arrays.toString(expected.get(at)),
              Arrays.toString(step.canvas().tokens()));
        }
        at++;
      }
      return at == expected.size() ? null : "ends after " + at + " iterations, expected " + expected.size();
    }
  }

  private static boolean isFast(JsonNode run) {
    return run.has("small_block_size");
  }

  private static Decoding decoding(JsonNode run, boolean sdar) {
    Decoding.Builder builder = Decoding.builder().earlyStop(false).complete(false).threshold(0);
    if (run.has("draws")) {
      builder.temperature((float) run.path("temperature").asDouble()).topP((float) run.path("top_p").asDouble()).originalConfidence(false);
    }
    if (isFast(run)) {
      return builder.pipeline(Pipeline.FAST_DLLM_V2).algorithm(Algorithm.LOW_CONFIDENCE_DYNAMIC).threshold((float) run.path("threshold").asDouble())
          .blockLength(run.path("block_size").asInt()).subBlockLength(run.path("small_block_size").asInt())
          .blockCache(run.path("use_block_cache").asBoolean()).fillLastBlock(run.path("function").asString().equals("evaluation")).build();
    }
    if (run.path("function").asString().equals("generate_block")) {
      boolean bounded = run.hasNonNull("threshold");
      return builder.pipeline(Pipeline.STABLE_DIFFCODER).algorithm(bounded ? Algorithm.LOW_CONFIDENCE_DYNAMIC : Algorithm.LOW_CONFIDENCE_STATIC)
          .threshold((float) run.path("threshold").asDouble(0)).blockLength(run.path("block_length").asInt()).steps(run.path("steps").asInt()).build();
    }
    if (!sdar) {
      return builder.pipeline(Pipeline.of(run.path("function").asString())).algorithm(Algorithm.LOW_CONFIDENCE_STATIC)
          .blockLength(run.path("block_size").asInt()).steps(run.path("steps").asInt()).guidanceScale((float) run.path("cfg_scale").asDouble(0)).build();
    }
    return builder.pipeline(Pipeline.SDAR).algorithm(Algorithm.of(run.path("remasking_strategy").asString()))
        .threshold((float) run.path("confidence_threshold").asDouble()).blockLength(run.path("block_length").asInt())
        .steps(run.path("denoising_steps").asInt()).topK(run.path("top_k").asInt()).topP((float) run.path("top_p").asDouble())
        .originalConfidence(run.path("function").asString().equals("evaluation")).build();
  }

  private static DimpleModel load(String folder, String backend) throws IOException {
    Path file = Temporary.folder().resolve("causal-" + Path.of(folder).getFileName() + ".gguf");
    if (!Files.exists(file)) {
      Converter.of(GOLDENS.resolve(folder)).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(file);
    }
    return DimpleModel.load(file, ModelOptions.builder().backend(backend).build());
  }

  @ParameterizedTest
  @MethodSource("models")
  void logitsAreTheAuthors(String folder, String backend) throws IOException {
    try (SafetensorsFile recorded = new SafetensorsFile(GOLDENS.resolve(folder).resolve("logits.safetensors"));
        DimpleModel model = load(folder, backend)) {
      IntBuffer ids = bytes(recorded, "input_ids").asIntBuffer();
      FloatBuffer expected = bytes(recorded, "logits").asFloatBuffer();
      int[] tokens = new int[ids.remaining()];
      ids.get(tokens);
      float largest = 0;
      float off = 0;
      try (Session session = model.session().tokens(tokens).withoutResponse().threads(1).open()) {
        for (float[] row : session.logits()) {
          for (float logit : row) {
            float value = expected.get();
            largest = Math.max(largest, Math.abs(value));
            off = Math.max(off, Math.abs(value - logit));
          }
        }
      }
      assertThat(expected.hasRemaining()).isFalse();
      assertThat(off / largest).isLessThan(2e-4f);
    }
  }

  private static ByteBuffer bytes(SafetensorsFile file, String name) throws IOException {
    SafetensorsFile.Tensor tensor = file.tensors().get(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.elements() * 4)).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor.offset(), bytes);
    return bytes.rewind();
  }

  static Stream<Arguments> counted() {
    return Stream.of(Arguments.of(Pipeline.SDAR, 4), Arguments.of(Pipeline.FAST_DLLM_V2, 32));
  }

  private static int[] integers(JsonNode array) {
    return array.valueStream().mapToInt(JsonNode::asInt).toArray();
  }

  static Stream<String> backends() {
    return Backends.all().stream();
  }

  /** DreamOn: canvases that grow and shrink, with the draws that were recorded. */
  @ParameterizedTest
  @MethodSource("backends")
  void canvasesThatGrowAreTheAuthors(String backend) throws IOException {
    List<String> differences = new ArrayList<>();
    int compared = 0;
    try (DimpleModel model = load(DREAMON, backend)) {
      assertThat(model.decoding().pipeline()).isEqualTo(Pipeline.DREAMON); // the file says so
      for (JsonNode run : JSON.readTree(GOLDENS.resolve(DREAMON).resolve("trajectories.json"))) {
        String difference = differenceOfLengths(model, run);
        compared++;
        if (difference != null) {
          differences.add(run.path("name").asString() + ": " + difference);
        }
      }
    }
    assertThat(differences).isEmpty();
    assertThat(compared).isEqualTo(60);
  }

  private static String differenceOfLengths(DimpleModel model, JsonNode run) {
    int[] response = integers(run.path("response"));
    int mask = model.info().maskTokenId().orElseThrow();
    SessionBuilder builder = model.session().tokens(integers(run.path("prompt_ids"))).responseLength(response.length).prefillCache(false).threads(1);
    for (int i = 0; i < response.length; i++) {
      if (response[i] != mask) {
        builder.prior(i, response[i]);
      }
    }
    int most = response.length - (int) Arrays.stream(response).filter(token -> token == mask).count() + run.path("max_new_tokens").asInt();
    Decoding decoding = Decoding.builder().pipeline(Pipeline.DREAMON).algorithm(Algorithm.of(run.path("alg").asString())).threshold(0).earlyStop(false)
        .temperature((float) run.path("temperature").asDouble()).algorithmTemperature((float) run.path("alg_temp").asDouble())
        .topP((float) run.path("top_p").asDouble(1)).topK(run.path("top_k").asInt(0)).growTo(run.path("max_new_tokens").asInt())
        .expandBudget(run.path("expand_budget").asInt(-1)).numberTransferTokens(run.path("number_transfer_tokens").asInt())
        .padDeleteToRight(run.path("pad_delete_to_right").asBoolean()).build();
    List<int[]> expected = run.path("canvases").valueStream().map(BlockCausalConformanceTest::integers).toList();
    try (Session session = builder.open()) {
      Golden.Draws draws = Golden.draws(run.path("draws"));
      session.replayDraws(draws.kinds(), draws.lengths(), draws.values());
      int at = 0;
      int[] before = response;
      for (Step step : session.steps(decoding)) {
        int[] canvas = step.canvas().tokens();
        if (at == expected.size() || !Arrays.equals(canvas, expected.get(at))) {
          return "iteration %d: expected %s, got %s".formatted(at, at == expected.size() ? "none" : Arrays.toString(expected.get(at)), Arrays.toString(canvas));
        }
        List<Integer> origins = step.origins().orElseGet(() -> IntStream.range(0, canvas.length).boxed().toList());
        for (int i = 0; i < canvas.length; i++) { // what had been revealed went where it is said to be
          int origin = origins.get(i);
          if (origin >= 0 && before[origin] != mask && before[origin] != canvas[i]) {
            return "iteration %d: position %d was not at %d".formatted(at, i, origin);
          }
        }
        before = canvas;
        at++;
      }
      Generation answer = session.generation();
      if (at != expected.size() || answer.logProbabilities().size() != before.length) {
        return "ends after " + at + " iterations, expected " + expected.size();
      }
      boolean ends = before.length < most || Arrays.stream(before).anyMatch(token -> token == model.info().eosTokenId().orElseThrow()); // given, the latter
      return answer.finish() == (ends ? Finish.END_OF_TEXT : Finish.LENGTH) ? null : "finish " + answer.finish();
    }
  }

  /** By the file's own defaults, the answer of a random model fits its schema. */
  @ParameterizedTest
  @MethodSource("counted")
  void structureHoldsFromBlockToBlock(Pipeline pipeline, int block) throws IOException {
    try (DimpleModel model = load(pipeline.label(), "auto")) {
      Decoding decoding = model.decoding();
      assertThat(decoding.pipeline()).isEqualTo(pipeline); // the file says so, and how long its blocks are
      try (Session session = model.session().user("x").responseLength(41)
          .response(Template.json("{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"enum\": [\"x\", \"y\"]}}}"))
          .open()) {
        assertThat((session.promptTokens().length + session.responseLength()) % block).isZero();
        String text = session.decode(decoding.toBuilder().threshold(0.3f).build()).text();
        JsonNode answer = JSON.readTree(text);
        assertThat(answer.path("b").asString("x")).as(text).isIn("x", "y");
        assertThat(answer.isObject()).isTrue();
      }
    }
  }
}
