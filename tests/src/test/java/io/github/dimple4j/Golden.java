package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A random checkpoint, and what the reference computed from it; goldens/README.md says what its files hold. The system property
 * {@code dimple.goldens} names another folder of such folders.
 */
final class Golden {
  private static final JsonMapper JSON = new JsonMapper();
  private static final Path FOLDER = Path.of(System.getProperty("dimple.goldens", "goldens"));
  private static final Map<Path, Path> CONVERTED = new HashMap<>();

  /** A prompt with its pictures, and its decodings. */
  record Case(String name, int[] prompt, int appendedMasks, List<String> imageFiles, List<Image> images, float[][] logits, List<Run> runs) {
    /** Responses are as long as they were recorded. */
    SessionBuilder session(DimpleModel model) {
      return model.session().tokens(prompt, images.toArray(Image[]::new)).wholeBlocks(1);
    }
  }

  /** A decoding that the reference recorded. */
  record Run(String name, Decoding decoding, int responseLength, boolean prefillCache, Map<Integer, Integer> priors, Draws draws,
      List<int[]> history, int modelCalls) {}

  /** A long answer that the reference decoded: all tokens, and each canvas after each of its steps. */
  record LongAnswer(String name, Case prompt, Decoding decoding, int most, int canvasLength, boolean prefillCache, int[] answer,
      List<List<int[]>> canvases) {}

  /** Random results in the order in which they were consumed; as {@link Session#replayDraws} takes them. */
  record Draws(int[] kinds, int[] lengths, double[] values) {}

  private final Path folder;
  private final JsonNode inputs;

  private Golden(Path folder) {
    this.folder = folder;
    this.inputs = json("inputs.json");
  }

  static List<Golden> all() {
    try (Stream<Path> folders = Files.list(FOLDER)) {
      return folders.filter(folder -> Files.exists(folder.resolve("inputs.json"))).sorted().map(Golden::new).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Golden named(String name) {
    return new Golden(FOLDER.resolve(name));
  }

  /** Positions of a block, of a model that decodes in blocks; 0 of others. */
  int blockSize() {
    return json("config.json").path("block_size").asInt(0);
  }

  int maskToken() {
    return json("config.json").path("mask_token_id").asInt();
  }

  String name() {
    return folder.getFileName().toString();
  }

  Path folder() {
    return folder;
  }

  /** The checkpoint as a GGUF file, converted when it is first asked for. */
  Path file(TensorType type) {
    synchronized (CONVERTED) {
      return CONVERTED.computeIfAbsent(Path.of(name() + "-" + type + ".gguf"), file -> {
        try {
          Path target = Temporary.folder().resolve(file);
          Converter.of(folder).to(Quantization.of(type.toString()).orElseThrow()).write(target);
          return target;
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      });
    }
  }

  DimpleModel load(TensorType type, String backend) {
    return DimpleModel.load(file(type), ModelOptions.builder().backend(backend).build());
  }

  /** The types that hold the checkpoint's weights as they are. F16 loses bits of BF16 numbers below 1e-5, far below what is compared. */
  List<TensorType> exactTypes() {
    return switch (json("config.json").path("torch_dtype").asString()) {
      case "bfloat16" -> List.of(TensorType.F32, TensorType.BF16, TensorType.F16);
      case "float16" -> List.of(TensorType.F32, TensorType.F16);
      default -> List.of(TensorType.F32);
    };
  }

  List<Image> images() {
    return pictures(inputs.path("images"));
  }

  Image resized(int index) {
    return Image.read(folder.resolve("resized_" + index + ".png"));
  }

  /** The features of a case's pictures; of most goldens, all cases have the same ones. */
  float[][] features(String name) {
    return matrix(Files.exists(folder.resolve("image_embeds_" + name + ".npy")) ? "image_embeds_" + name : "image_embeds");
  }

  float[][] matrix(String name) {
    return NumpyArray.read(folder.resolve(name + ".npy"));
  }

  List<Case> cases() {
    return inputs.path("cases").valueStream().map(node -> {
      String name = node.path("name").asString();
      List<Run> runs = json("trajectories_" + name + ".json").path("runs").valueStream().map(Golden::run).toList();
      return new Case(name, integers(node.path("prompt_ids")), node.path("appended_masks").asInt(),
          node.path("images").valueStream().map(JsonNode::asString).toList(), pictures(node.path("images")), matrix("logits_" + name), runs);
    }).toList();
  }

  List<LongAnswer> longAnswers() {
    Map<String, Case> cases = cases().stream().collect(Collectors.toMap(Case::name, Function.identity()));
    return json("long_answers.json").path("runs").valueStream().map(node -> {
      JsonNode settings = node.path("settings");
      return new LongAnswer(node.path("name").asString(), cases.get(node.path("case").asString()), decoding(settings),
          settings.path("max_new_tokens").asInt(), node.path("canvas_length").asInt(), settings.path("use_cache").asBoolean(),
          integers(node.path("answer")),
          node.path("canvases").valueStream().map(steps -> steps.valueStream().map(Golden::integers).toList()).toList());
    }).toList();
  }

  Case imageCase() {
    return cases().stream().filter(prompt -> !prompt.images().isEmpty()).findFirst().orElseThrow();
  }

  private List<Image> pictures(JsonNode names) {
    return names.valueStream().map(name -> Image.read(folder.resolve(name.asString()))).toList();
  }

  private static Run run(JsonNode node) {
    JsonNode settings = node.path("settings");
    Map<Integer, Integer> priors = new TreeMap<>();
    node.path("prior").forEachEntry((position, token) -> priors.put(Integer.valueOf(position), token.asInt()));
    return new Run(node.path("name").asString(), decoding(settings), settings.path("max_new_tokens").asInt(),
        settings.path("use_cache").asBoolean(), priors, node.has("draws") ? draws(node.path("draws")) : null,
        node.path("history").valueStream().map(Golden::integers).toList(), node.path("model_calls").asInt());
  }

  private static Decoding decoding(JsonNode settings) {
    return Decoding.builder().earlyStop(false).complete(false).pipeline(Pipeline.of(settings.path("decoding_pipeline").asString()))
        .algorithm(Algorithm.of(settings.path("alg").asString()))
        .steps(settings.path("steps").asInt()).subBlockLength(settings.path("sub_block_length").asInt(0))
        .threshold((float) number(settings, "alg_p_threshold", 0)).temperature((float) number(settings, "temperature", 0))
        .topP((float) number(settings, "top_p", 1)).topK((int) number(settings, "top_k", 0))
        .algorithmTemperature((float) number(settings, "alg_temp", 0)).epsilon((float) number(settings, "eps", 0))
        .blockLength(settings.path("block_length").asInt(0)).guidanceScale((float) number(settings, "guidance_scale", 0))
        .eosPenalty((float) number(settings, "eos_penalty", 0)).tailRepeats(settings.path("repeats").asInt(0))
        .scheduleShift((float) number(settings, "schedule_shift", 0)).originalConfidence(settings.path("use_original_confidence").asBoolean()).build();
  }

  private static double number(JsonNode settings, String name, double otherwise) {
    return settings.path(name).isNull() ? otherwise : settings.path(name).asDouble();
  }

  static Draws draws(JsonNode records) {
    List<Integer> kinds = new ArrayList<>();
    List<double[]> values = new ArrayList<>();
    for (JsonNode draw : records) {
      kinds.add(switch (draw.path(0).asString()) {
        case "permutation" -> Dimple.DIMPLE_DRAW_PERMUTATION();
        case "uniform" -> Dimple.DIMPLE_DRAW_UNIFORM();
        case "categorical" -> Dimple.DIMPLE_DRAW_CATEGORICAL();
        case "subset" -> Dimple.DIMPLE_DRAW_SUBSET();
        case String kind -> throw new IllegalArgumentException("draws of an unknown kind: " + kind);
      });
      values.add(draw.path(1).valueStream().mapToDouble(JsonNode::asDouble).toArray());
    }
    return new Draws(kinds.stream().mapToInt(Integer::intValue).toArray(), values.stream().mapToInt(record -> record.length).toArray(),
        values.stream().flatMapToDouble(Arrays::stream).toArray());
  }

  private static int[] integers(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  private JsonNode json(String name) {
    return JSON.readTree(folder.resolve(name));
  }

  @Override
  public String toString() {
    return name();
  }
}
