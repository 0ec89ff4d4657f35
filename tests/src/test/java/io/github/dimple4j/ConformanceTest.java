package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.core.Patches;
import io.github.dimple4j.core.Rgb;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The engine beside the reference: every golden checkpoint, converted by this project's own converter, on every backend of the
 * machine. Pictures to the bit, vision features and logits within {@link #LIMIT}, decodings token for token at every iteration.
 */
class ConformanceTest {
  /** Largest absolute error over largest absolute value. */
  private static final double LIMIT = 2e-4;

  /** Devices of GGML's multiply 16-bit weights with numbers of as many bits (docs/devices.md). */
  private static double limit(TensorType type, String backend) {
    return type == TensorType.F32 || backend.indexOf(':') < 0 ? LIMIT : type == TensorType.F16 ? 5e-3 : 3e-2;
  }

  private static double largestError;
  private static int checkedRuns;

  /** Golden, tensor type of the file, backend. */
  static Stream<Arguments> models() {
    return Golden.all().stream().flatMap(golden -> golden.exactTypes().stream().flatMap(type ->
        Backends.all().stream().map(backend -> Arguments.of(golden, type, backend))));
  }

  /** The same, less what takes the plain loops of the reference longest and shows nothing new: they widen every type before they compute. */
  static Stream<Arguments> decodingModels() {
    return models().filter(arguments -> arguments.get()[1] == TensorType.F32 || ((String) arguments.get()[2]).startsWith("cpu-"));
  }

  @Test
  void everyInstructionSetOfTheMachineIsTested() {
    assertThat(Golden.all()).hasSizeGreaterThanOrEqualTo(3);
    assertThat(Backends.ofThisMachine()).contains("ref", "cpu-plain").doesNotHaveDuplicates();
    for (String backend : Backends.all()) {
      try (DimpleModel model = Golden.all().getFirst().load(TensorType.F32, backend)) {
        assertThat(model.info().backend()).isEqualTo(backend);
      }
    }
  }

  @AfterAll
  static void report() {
    System.out.printf("Conformance: %d recorded decodings of %d checkpoints checked on %s; largest error of logits and features %.1e%n",
        checkedRuns, Golden.all().size(), Backends.all(), largestError);
  }

  static Stream<Golden> goldensWithPatches() {
    return Golden.all().stream().filter(golden -> Files.exists(golden.folder().resolve("pixel_values.npy")));
  }

  @ParameterizedTest
  @MethodSource("goldensWithPatches")
  void picturesArePreprocessedToTheBit(Golden golden) {
    List<float[]> patches = new ArrayList<>();
    try (DimpleModel model = golden.load(TensorType.F32, "ref")) {
      List<Image> images = golden.images();
      for (int i = 0; i < images.size(); i++) {
        patches.addAll(preprocess(model, images.get(i), golden.resized(i)));
      }
    }
    assertThat(patches.toArray(float[][]::new)).isEqualTo(golden.matrix("pixel_values"));
  }

  /** The rows of patches of a picture, which must be resized to a given one on the way. */
  private static List<float[]> preprocess(DimpleModel model, Image image, Image expected) {
    ImageGrid grid = model.imageGrid(image.width(), image.height());
    assertThat(List.of(grid.resizedWidth(), grid.resizedHeight())).isEqualTo(List.of(expected.width(), expected.height()));
    int rows = grid.rows() * grid.columns();
    int columns = 3 * 2 * model.info().patchSize() * model.info().patchSize(); // channels, frames, pixels
    Patches patches = model.call(core -> core.preprocess(new Rgb(image.rgb(), image.width(), image.height()), rows, columns));
    assertThat(patches.resized()).isEqualTo(expected.rgb());
    return List.of(patches.values());
  }

  @ParameterizedTest
  @MethodSource("models")
  void logitsAndImageFeaturesAreTheReferences(Golden golden, TensorType type, String backend) {
    try (DimpleModel model = golden.load(type, backend)) {
      assertThat(golden.cases()).isNotEmpty();
      for (Golden.Case prompt : golden.cases()) {
        try (Session session = prompt.session(model).responseLength(prompt.appendedMasks()).open()) {
          assertClose("logits of " + prompt.name(), session.logits(), prompt.logits(), limit(type, backend));
          if (!prompt.images().isEmpty()) {
            assertClose("image features", session.imageFeatures(), golden.features(prompt.name()), limit(type, backend));
          }
        }
      }
    }
  }

  /** llama.cpp keeps vision towers in a second file, the mmproj. */
  @Test
  void visionTowerMayStandInAFileOfItsOwn(@TempDir Path folder) throws IOException {
    Golden golden = Golden.named("gamma");
    Path whole = golden.file(TensorType.F32);
    Path text = EditedFile.of(whole).renameKey("clip.has_vision_encoder").write(folder);
    Golden.Case prompt = golden.imageCase();
    ModelOptions both = ModelOptions.builder().mmproj(whole).ignoreUnknown(true).build(); // each file has the other's part, too
    try (DimpleModel model = DimpleModel.load(text, both);
        Session session = prompt.session(model).responseLength(prompt.appendedMasks()).open()) {
      assertThat(model.info().hasVision()).isTrue();
      assertThat(model.info().ignored()).contains("tensor v.post_ln.weight", "tensor token_embd.weight");
      assertClose("logits", session.logits(), prompt.logits());
      assertClose("image features", session.imageFeatures(), golden.matrix("image_embeds"));
    }
    assertThatThrownBy(() -> DimpleModel.load(whole, ModelOptions.builder().mmproj(whole).build()))
        .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("vision tower of its own");
    assertThatThrownBy(() -> DimpleModel.load(text, ModelOptions.builder().mmproj(text).build()))
        .isInstanceOf(ModelFileException.class).hasMessageContaining("clip.has_vision_encoder");
    assertThatThrownBy(() -> DimpleModel.load(text, ModelOptions.builder().mmproj(folder.resolve("missing.gguf")).build()))
        .isInstanceOf(ModelFileException.class).hasMessageContaining("missing.gguf");
    assertThatThrownBy(() -> DimpleModel.load(text, ModelOptions.builder().mmproj(Golden.named("delta").file(TensorType.F32)).build()))
        .as("a tower of another width").isInstanceOf(ModelFileException.class);
  }

  static void assertClose(String what, float[][] actual, float[][] expected) {
    assertClose(what, actual, expected, LIMIT);
  }

  private static void assertClose(String what, float[][] actual, float[][] expected, double limit) {
    assertThat(actual).as(what).hasDimensions(expected.length, expected[0].length);
    double error = 0;
    double largestValue = 0;
    for (int row = 0; row < expected.length; row++) {
      for (int column = 0; column < expected[row].length; column++) {
        error = Math.max(error, Math.abs((double) actual[row][column] - expected[row][column])); // NaN stays NaN
        largestValue = Math.max(largestValue, Math.abs(expected[row][column]));
      }
    }
    largestError = Math.max(largestError, error / largestValue);
    assertThat(error / largestValue).as(what).isLessThan(limit);
  }

  @ParameterizedTest
  @MethodSource("decodingModels")
  void decodingsAreTheReferencesTokenForToken(Golden golden, TensorType type, String backend) {
    List<String> differences = new ArrayList<>();
    try (DimpleModel model = golden.load(type, backend)) {
      for (Golden.Case prompt : golden.cases()) {
        assertThat(prompt.runs()).isNotEmpty();
        for (Golden.Run run : prompt.runs()) {
          difference(model, prompt, run).ifPresent(text -> differences.add(prompt.name() + "/" + run.name() + ": " + text));
        }
      }
    }
    assertThat(differences).isEmpty();
  }

  /** What the first differing iteration differs in. */
  private static Optional<String> difference(DimpleModel model, Golden.Case prompt, Golden.Run run) {
    SessionBuilder builder = prompt.session(model).responseLength(run.responseLength()).prefillCache(run.prefillCache()).threads(1);
    run.priors().forEach(builder::prior);
    try (Session session = builder.open()) {
      if (run.draws() != null) {
        session.replayDraws(run.draws().kinds(), run.draws().lengths(), run.draws().values());
      }
      int iteration = 0;
      for (Step step : session.steps(run.decoding())) {
        if (iteration == run.history().size()) {
          return Optional.of("goes on after iteration " + (iteration - 1));
        }
        int[] expected = run.history().get(iteration);
        if (step.iteration() != iteration || !Arrays.equals(step.canvas().tokens(), expected)) {
          return Optional.of("iteration %d: expected %s, got %s".formatted(iteration, Arrays.toString(expected), step));
        }
        iteration++;
      }
      if (iteration != run.history().size()) {
        return Optional.of("ends after %d iterations, expected %d".formatted(iteration, run.history().size()));
      }
      int passes = session.generation().forwardPasses();
      int needed = canvasesToScore(run, model.info().maskTokenId().orElseThrow());
      checkedRuns++;
      return passes >= needed && passes <= run.modelCalls() ? Optional.empty()
          : Optional.of("ran the model %d times, expected %d to %d".formatted(passes, needed, run.modelCalls()));
    }
  }

  /** How often the model has to run at least: not after an iteration that changed nothing, and not for a canvas without masks. */
  private static int canvasesToScore(Golden.Run run, int mask) {
    int[] initial = new int[run.responseLength()];
    Arrays.fill(initial, mask);
    run.priors().forEach((position, token) -> initial[position] = token);
    int[] canvas = initial;
    int[] scored = null;
    int count = 0;
    for (int[] next : run.history()) {
      if (!Arrays.equals(canvas, scored) && Arrays.stream(canvas).anyMatch(token -> token == mask)) {
        scored = canvas;
        count++;
      }
      canvas = next;
    }
    return count;
  }
}
