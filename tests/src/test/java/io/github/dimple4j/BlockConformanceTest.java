package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Decoding in blocks, its caches and samplers beside the authors' code: every canvas of every recorded run, on every backend of the
 * machine.
 */
class BlockConformanceTest {
  static Stream<Arguments> models() {
    return BlockGolden.all().stream().flatMap(golden -> Backends.all().stream().map(backend -> Arguments.of(golden, backend)));
  }

  @ParameterizedTest
  @MethodSource("models")
  void canvasesAreTheAuthorsAfterEveryPass(BlockGolden golden, String backend) {
    List<String> differences = new ArrayList<>();
    int checked = 0;
    try (DimpleModel model = golden.load(backend)) {
      for (BlockGolden.Run run : golden.runs()) {
        Optional<Decoding> decoding = decoding(run);
        if (decoding.isPresent()) {
          checked++;
          difference(model, run, decoding.get()).ifPresent(text -> differences.add(run.name() + ": " + text));
        }
      }
    }
    System.out.println(golden + " " + backend + ": " + checked + " runs");
    assertThat(differences).isEmpty();
  }

  private static Optional<String> difference(DimpleModel model, BlockGolden.Run run, Decoding decoding) {
    try (Session session = model.session().tokens(run.prompt()).responseLength(run.length()).threads(1).open()) {
      int pass = 0;
      for (Step step : session.steps(decoding)) {
        if (pass == run.canvases().size()) {
          return Optional.of("goes on after pass " + (pass - 1));
        }
        int[] expected = run.canvases().get(pass);
        if (!Arrays.equals(step.canvas().tokens(), expected)) {
          return Optional.of("pass %d: expected %s, got %s".formatted(pass, Arrays.toString(expected), step));
        }
        pass++;
      }
      return pass == run.canvases().size() ? Optional.empty()
          : Optional.of("ends after %d passes, expected %d".formatted(pass, run.canvases().size()));
    }
  }

  /** The settings of a recorded run. */
  private static Optional<Decoding> decoding(BlockGolden.Run run) {
    Decoding.Builder builder = Decoding.builder().earlyStop(false).pipeline(Pipeline.LLADA).complete(false).threshold(run.number("threshold"))
        .blockLength(run.integer("block_length"));
    if (run.isSet("steps")) {
      builder.steps(run.integer("steps"));
    }
    return switch (run.function()) {
      case "llada" -> Optional.of(builder.guidanceScale(run.number("cfg_scale")).noEosLogits(run.flag("logits_eos_inf"))
          .noEosConfidence(run.flag("confidence_eos_eot_inf")).build());
      case "fastdllm" -> Optional.of(builder.cache(BlockCache.NONE).factor(run.number("factor")).build());
      case "prefix", "dual" -> Optional.of(builder.cache(BlockCache.of(run.function())).factor(run.number("factor")).build());
      case "dream-prefix", "dream-dual" -> Optional.of(builder.pipeline(Pipeline.DREAM).algorithm(Algorithm.of(run.word("alg")))
          .cache(BlockCache.of(run.function().substring("dream-".length()))).epsilon(run.number("eps")).build());
      default -> Optional.empty();
    };
  }
}
