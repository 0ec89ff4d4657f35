package io.github.dimple4j;

import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.tools.Converter;
import io.github.dimple4j.gguf.tools.Quantization;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A random LLaDA or Dream checkpoint, and what the authors' code of block decoding, caches and samplers wrote with it, pass by pass;
 * goldens/README.md says what its files hold. The system property {@code dimple.goldens} names another folder of such folders.
 */
record BlockGolden(Path folder) {
  private static final JsonMapper JSON = new JsonMapper();
  private static final Path FOLDER = Path.of(System.getProperty("dimple.goldens", "goldens"));
  private static final Map<String, Path> CONVERTED = new HashMap<>();

  /** One recorded decoding; settings by the authors' names. */
  record Run(String name, String function, JsonNode settings, int[] prompt, int length, List<int[]> canvases, int[] last) {
    int integer(String setting) {
      return settings.path(setting).asInt();
    }

    /** 0 for one that was not set. */
    float number(String setting) {
      return (float) settings.path(setting).asDouble(0);
    }

    String word(String setting) {
      return settings.path(setting).asString();
    }

    boolean isSet(String setting) {
      return settings.hasNonNull(setting);
    }

    boolean flag(String setting) {
      return settings.path(setting).asBoolean(false);
    }
  }

  static List<BlockGolden> all() {
    try (Stream<Path> folders = Files.list(FOLDER)) {
      return folders.filter(folder -> Files.exists(folder.resolve("samplers.json"))).sorted().map(BlockGolden::new).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static BlockGolden named(String name) {
    return new BlockGolden(FOLDER.resolve(name));
  }

  /** All decodings, of both files where there are two. */
  List<Run> runs() {
    return Stream.of("trajectories.json", "samplers.json").map(folder::resolve).filter(Files::exists)
        .flatMap(file -> JSON.readTree(file).valueStream()).filter(node -> node.has("canvases")).map(BlockGolden::run).toList();
  }

  /** One recorded likelihood: its masks are the rows of all rounds, a flag per token of the answer. */
  record Likelihood(String name, int[] prompt, int[] answer, float guidanceScale, List<boolean[]> masks, double expected) {}

  /** Those of the first file; Dream's folders have none. */
  List<Likelihood> likelihoods() {
    Path file = folder.resolve("trajectories.json");
    return !Files.exists(file) ? List.of() : JSON.readTree(file).valueStream().filter(node -> node.path("function").asString().equals("likelihood"))
        .map(BlockGolden::likelihood).toList();
  }

  private static Likelihood likelihood(JsonNode node) {
    List<boolean[]> masks = node.path("draws").valueStream().flatMap(round -> round.path("masks").valueStream()).map(BlockGolden::flags).toList();
    return new Likelihood(node.path("name").asString(), integers(node.path("prompt_ids")), integers(node.path("answer_ids")),
        (float) node.path("cfg_scale").asDouble(), masks, node.path("log_likelihood").asDouble());
  }

  private static boolean[] flags(JsonNode row) {
    boolean[] flags = new boolean[row.size()];
    for (int i = 0; i < flags.length; i++) {
      flags[i] = row.path(i).asInt() != 0;
    }
    return flags;
  }

  private static Run run(JsonNode node) {
    return new Run(node.path("name").asString(), node.path("function").asString(), node, integers(node.path("prompt_ids")),
        node.path("gen_length").asInt(), node.path("canvases").valueStream().map(BlockGolden::integers).toList(), integers(node.path("final")));
  }

  private static int[] integers(JsonNode array) {
    return array.valueStream().mapToInt(JsonNode::asInt).toArray();
  }

  DimpleModel load(String backend) {
    return DimpleModel.load(file(), ModelOptions.builder().backend(backend).build());
  }

  Path file() {
    synchronized (CONVERTED) {
      return CONVERTED.computeIfAbsent(toString(), name -> {
        try {
          Path target = Temporary.folder().resolve("blocks-" + name + ".gguf");
          Converter.of(folder).to(Quantization.of(TensorType.F32.toString()).orElseThrow()).write(target);
          return target;
        } catch (IOException e) {
          throw new UncheckedIOException(e);
        }
      });
    }
  }

  @Override
  public String toString() {
    return folder.getFileName().toString();
  }
}
