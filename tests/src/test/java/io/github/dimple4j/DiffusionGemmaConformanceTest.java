package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.checkpoint.SafetensorsFile;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** DiffusionGemma beside the transformers library, which recorded its draws: goldens/README.md. */
class DiffusionGemmaConformanceTest {
  private static final Path GOLDENS = Path.of("goldens");
  private static final String PLAIN = "diffusion-gemma";
  private static final String CLIPPED = "diffusion-gemma-clipped";
  private static final List<Case> KEPT = List.of(new Case(PLAIN, "text", 0), new Case(PLAIN, "adaptive", 0), new Case(PLAIN, "stab2", 0),
      new Case(PLAIN, "pictures", 2), new Case(CLIPPED, "picture", 1));
  private static final List<Case> CASES = Stream.concat(KEPT.stream(), recorded().stream()).toList();
  private static final int PLAIN_TOKENS = 70; // of a picture at most: goldens/README.md
  private static final int UNIFORM = 1; // dimple_draw
  private static final int CATEGORICAL = 2;
  private static final int MASK = 4;

  /** What tests/reference/diffusion_gemma_random.py has made elsewhere: a checkpoint in each folder, with the decoding {@code random} and its pictures. */
  private static List<Case> recorded() {
    String folder = System.getProperty("dimple.canvases");
    if (folder == null) {
      return List.of();
    }
    try (Stream<Path> all = Files.list(Path.of(folder).toAbsolutePath())) {
      return all.sorted().filter(checkpoint -> Files.exists(checkpoint.resolve("random.safetensors")))
          .map(checkpoint -> new Case(checkpoint.toString(), "random", pictures(checkpoint))).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int pictures(Path checkpoint) {
    return (int) IntStream.range(0, 2).filter(i -> Files.exists(checkpoint.resolve("picture_" + i + ".png"))).count();
  }

  static Stream<Arguments> cases() {
    return CASES.stream().flatMap(golden -> Backends.all().stream().map(backend -> Arguments.of(golden, backend)));
  }

  /** A decoding with a checkpoint of the goldens, and of how many pictures. */
  private record Case(String checkpoint, String name, int pictures) {
    Path folder() {
      return GOLDENS.resolve(checkpoint);
    }

    Image[] images() {
      return IntStream.range(0, pictures).mapToObj(i -> Image.read(folder().resolve("picture_" + i + ".png"))).toArray(Image[]::new);
    }
  }

  /** What one golden case holds. */
  private record Golden(JsonNode settings, int[] prompt, int[] sequence, int canvas, List<int[]> next, List<int[]> accepted, List<float[]> entropy,
      List<float[]> shares, List<int[]> random, boolean[] finished, float[] firstLogits, int[] firstCanvas, float[] features) {

    static Golden read(Case golden) throws IOException {
      Path folder = golden.folder();
      String name = golden.name();
      JsonNode settings = new JsonMapper().readTree(folder.resolve(name + ".json"));
      int canvas = settings.path("canvas_length").asInt();
      try (SafetensorsFile file = new SafetensorsFile(folder.resolve(name + ".safetensors"))) {
        int[] finished = ints(file, "finished");
        boolean[] ends = new boolean[finished.length];
        for (int i = 0; i < ends.length; i++) {
          ends[i] = finished[i] != 0;
        }
        float[] logits = floats(file, "logits");
        int perStep = logits.length / finished.length;
        return new Golden(settings, ints(file, "input_ids"), ints(file, "sequences"), canvas, rows(ints(file, "nxt"), canvas),
            rows(ints(file, "mask"), canvas), rows(floats(file, "ent"), canvas), rows(floats(file, "u"), canvas), rows(ints(file, "random_canvases"), canvas),
            ends, Arrays.copyOf(logits, perStep), Arrays.copyOf(ints(file, "canvas_in"), canvas),
            golden.pictures() == 0 ? new float[0] : floats(file, "image_features"));
      }
    }

    int steps() {
      return settings.path("max_denoising_steps").asInt();
    }

    /** Whether a canvas is settled in iteration {@code i}, the {@code step}-th of it from 1. */
    boolean settles(int i, int step) {
      return finished[i] || step == steps();
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyIterationIsTheLibrarys(Case name, String backend) throws IOException {
    Golden golden = Golden.read(name);
    int asked = golden.settings().path("max_new_tokens").asInt();
    try (DimpleModel model = load(golden, name, backend);
        Session session = model.session().tokens(golden.prompt(), name.images()).responseLength(asked).wholeCanvases(golden.canvas()).threads(1).open()) {
      replay(session, golden);
      int at = 0;
      int canvas = 0;
      int step = 0;
      List<Step> steps = new ArrayList<>();
      session.steps(decoding(golden.settings())).forEach(steps::add);
      for (Step taken : steps) {
        int first = canvas * golden.canvas();
        int[] shown = Arrays.copyOfRange(taken.canvas().tokens(), first, first + golden.canvas());
        boolean settled = golden.settles(at, ++step);
        int begin = golden.prompt().length + first;
        int[] expected = settled ? Arrays.copyOfRange(golden.sequence(), begin, begin + golden.canvas()) : golden.next().get(at);
        assertThat(shown).as("%s, iteration %d", name, at).isEqualTo(expected);
        List<Integer> accepted = new ArrayList<>();
        for (int i = 0; i < golden.canvas(); i++) {
          if (golden.accepted().get(at)[i] != 0) {
            accepted.add(first + i);
          }
        }
        assertThat(taken.revealed().stream().map(Reveal::position).toList()).as("%s, iteration %d", name, at).isEqualTo(accepted);
        for (Reveal reveal : taken.revealed()) {
          assertThat(-reveal.confidence()).isCloseTo(golden.entropy().get(at)[reveal.position() - first], within(2e-4f));
        }
        if (settled) {
          canvas++;
          step = 0;
        }
        at++;
      }
      assertThat(at).isEqualTo(golden.settings().path("denoiser_calls").asInt());
    }
  }

  @Test
  void firstLogitsAreTheLibrarys() throws IOException {
    for (Case name : CASES) {
      Golden golden = Golden.read(name);
      for (String backend : Backends.all()) {
        try (DimpleModel model = load(golden, name, backend);
            Session session = given(model, golden, name.images()).open()) {
          float[][] logits = session.logits();
          int vocabulary = golden.firstLogits().length / golden.canvas();
          for (int i = 0; i < golden.firstLogits().length; i++) {
            float found = logits[golden.prompt().length + i / vocabulary][i % vocabulary];
            assertThat(found).as("%s on %s, logit %d", name, backend, i).isCloseTo(golden.firstLogits()[i], within(2e-4f));
          }
        }
      }
    }
  }

  @Test
  void featuresOfPicturesAreTheLibrarys() throws IOException {
    for (Case name : CASES.stream().filter(golden -> golden.pictures() > 0).toList()) {
      Golden golden = Golden.read(name);
      for (String backend : Backends.all()) {
        try (DimpleModel model = load(golden, name, backend);
            Session session = model.session().tokens(golden.prompt(), name.images()).responseLength(golden.canvas()).open()) {
          int at = 0;
          for (float[] token : session.imageFeatures()) {
            for (float value : token) {
              assertThat(value).as("%s on %s, number %d", name, backend, at).isCloseTo(golden.features()[at++], within(1e-4f));
            }
          }
          assertThat(at).isEqualTo(golden.features().length);
        }
      }
    }
  }

  /** A question with a picture, as the library's tokenizer, template and processor write it. */
  @Test
  void thePromptIsTheLibrarys() throws IOException {
    Case name = KEPT.getLast();
    Golden golden = Golden.read(name);
    try (DimpleModel model = load(golden, name, "cpu");
        Session session = model.session().user("a cat on a mode, \u00fc?", name.images()).responseLength(golden.canvas()).open()) {
      assertThat(session.promptTokens()).isEqualTo(golden.prompt());
      assertThat(model.endTokenIds()).contains(1, 6, 13); // end of text, of a turn, and the place of a tool's answer
    }
  }

  private static SessionBuilder given(DimpleModel model, Golden golden, Image... images) {
    SessionBuilder builder = model.session().tokens(golden.prompt(), images).responseLength(golden.canvas()).threads(1);
    for (int i = 0; i < golden.canvas(); i++) {
      builder.prior(i, golden.firstCanvas()[i]);
    }
    return builder;
  }

  private static Decoding decoding(JsonNode s) {
    return Decoding.builder().pipeline(Pipeline.DIFFUSION_GEMMA).algorithm(Algorithm.ENTROPY_BOUND).steps(s.path("max_denoising_steps").asInt())
        .gamma((float) s.path("entropy_bound").asDouble()).tMin((float) s.path("t_min").asDouble()).tMax((float) s.path("t_max").asDouble())
        .stabilityThreshold(s.path("stability_threshold").asInt()).confidenceThreshold((float) s.path("confidence_threshold").asDouble())
        .complete(false).earlyStop(false).build();
  }

  /** A canvas's first tokens, then of each iteration the shares of its draws and the random tokens. */
  private static void replay(Session session, Golden golden) {
    List<Integer> kinds = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    int canvases = 0;
    int step = 0;
    for (int i = 0; i < golden.finished().length; i++) {
      if (step++ == 0) {
        add(golden.random().get(i + canvases++), kinds, values);
      }
      kinds.add(UNIFORM);
      for (float share : golden.shares().get(i)) {
        values.add((double) share);
      }
      add(golden.random().get(i + canvases), kinds, values);
      if (golden.settles(i, step)) {
        step = 0;
      }
    }
    int[] lengths = new int[kinds.size()];
    Arrays.fill(lengths, golden.canvas());
    session.replayDraws(kinds.stream().mapToInt(Integer::intValue).toArray(), lengths, values.stream().mapToDouble(Double::doubleValue).toArray());
  }

  private static void add(int[] tokens, List<Integer> kinds, List<Double> values) {
    kinds.add(CATEGORICAL);
    Arrays.stream(tokens).forEach(token -> values.add((double) token));
  }

  /** The converted checkpoint, whose generation configuration names the ends of the case, with its tower beside it. */
  private static DimpleModel load(Golden golden, Case name, String backend) throws IOException {
    String unique = Path.of(name.checkpoint()).getFileName() + "-" + name.name();
    Path file = Temporary.folder().resolve(unique + ".gguf");
    Path tower = Temporary.folder().resolve(unique + "-mmproj.gguf");
    if (!Files.exists(file)) {
      Path folder = Files.createDirectory(Temporary.folder().resolve(unique));
      for (String part : List.of("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "processor_config.json")) {
        if (Files.exists(name.folder().resolve(part))) {
          Files.copy(name.folder().resolve(part), folder.resolve(part));
        }
      }
      if (!Files.exists(folder.resolve("processor_config.json"))) {
        Files.writeString(folder.resolve("preprocessor_config.json"), "{\"max_soft_tokens\": " + PLAIN_TOKENS + "}");
      }
      Files.writeString(folder.resolve("generation_config.json"), generation(golden.settings()));
      Converter.of(folder).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(file);
      Converter.of(folder).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).mmproj(true).write(tower);
    }
    DimpleModel model = DimpleModel.load(file, ModelOptions.builder().backend(backend).mmproj(tower).build());
    Decoding usual = model.decoding();
    assertThat(usual).hasToString(decoding(golden.settings()).toBuilder().complete(usual.complete()).earlyStop(usual.earlyStop())
        .threshold(usual.threshold()).build().toString());
    assertThat(model.info().maskTokenId()).hasValue(MASK);
    return model;
  }

  /** {@code generation_config.json} as the library writes it, which conversion makes the file's defaults of. */
  private static String generation(JsonNode s) {
    return "{\"eos_token_id\": " + s.path("eos_token_id") + ", \"max_denoising_steps\": " + s.path("max_denoising_steps") + ", \"t_min\": " + s.path("t_min")
        + ", \"t_max\": " + s.path("t_max") + ", \"stability_threshold\": " + s.path("stability_threshold") + ", \"confidence_threshold\": "
        + s.path("confidence_threshold") + ", \"sampler_config\": {\"_cls_name\": \"EntropyBoundSamplerConfig\", \"entropy_bound\": "
        + s.path("entropy_bound") + "}}";
  }

  private static ByteBuffer bytes(SafetensorsFile file, String name) throws IOException {
    SafetensorsFile.Tensor tensor = file.tensors().get(name);
    ByteBuffer bytes = ByteBuffer.allocate(Math.toIntExact(tensor.elements() * 4)).order(ByteOrder.LITTLE_ENDIAN);
    file.read(tensor.offset(), bytes);
    return bytes.rewind();
  }

  private static int[] ints(SafetensorsFile file, String name) throws IOException {
    ByteBuffer bytes = bytes(file, name);
    int[] values = new int[bytes.remaining() / Integer.BYTES];
    bytes.asIntBuffer().get(values);
    return values;
  }

  private static float[] floats(SafetensorsFile file, String name) throws IOException {
    ByteBuffer bytes = bytes(file, name);
    float[] values = new float[bytes.remaining() / Float.BYTES];
    bytes.asFloatBuffer().get(values);
    return values;
  }

  private static List<int[]> rows(int[] values, int length) {
    List<int[]> rows = new ArrayList<>();
    for (int i = 0; i < values.length; i += length) {
      rows.add(Arrays.copyOfRange(values, i, i + length));
    }
    return rows;
  }

  private static List<float[]> rows(float[] values, int length) {
    List<float[]> rows = new ArrayList<>();
    for (int i = 0; i < values.length; i += length) {
      rows.add(Arrays.copyOfRange(values, i, i + length));
    }
    return rows;
  }
}
