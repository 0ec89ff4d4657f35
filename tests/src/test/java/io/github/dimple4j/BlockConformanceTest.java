package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
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
  /** The authors' function of that name, as the goldens call it. */
  private static final String LLADA = "llada";

  /** All runs on the backend that a model gets by itself; of the others' a sample, unless the property dimple.conformance is "full". */
  private static int stride(String backend) {
    boolean chosen = DimpleModel.cpuDescription().contains(backend.replace("cpu-", "") + " (selected)");
    if (chosen || System.getProperty("dimple.conformance", "").equals("full")) {
      return 1;
    }
    return backend.equals("ref") ? 23 : 7; // prime: no pattern of the list is left out
  }

  static Stream<Arguments> models() {
    return BlockGolden.all().stream().flatMap(golden -> Backends.all().stream().map(backend -> Arguments.of(golden, backend)));
  }

  @ParameterizedTest
  @MethodSource("models")
  void canvasesAreTheAuthorsAfterEveryPass(BlockGolden golden, String backend) {
    List<BlockGolden.Run> runs = golden.runs();
    List<String> differences = new ArrayList<>();
    try (DimpleModel model = golden.load(backend)) {
      for (int i = 0; i < runs.size(); i += stride(backend)) {
        BlockGolden.Run run = runs.get(i);
        difference(model, run, decoding(run)).ifPresent(text -> differences.add(run.name() + ": " + text));
      }
    }
    assertThat(runs).isNotEmpty();
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
  private static Decoding decoding(BlockGolden.Run run) {
    Decoding.Builder builder = Decoding.builder().earlyStop(false).pipeline(Pipeline.LLADA).complete(false).threshold(run.number("threshold"))
        .blockLength(run.integer("block_length"));
    if (run.isSet("steps")) {
      builder.steps(run.integer("steps"));
    }
    return switch (run.function()) {
      case LLADA -> builder.guidanceScale(run.number("cfg_scale")).noEosLogits(run.flag("logits_eos_inf"))
          .noEosConfidence(run.flag("confidence_eos_eot_inf")).build();
      case "fastdllm" -> builder.cache(BlockCache.NONE).factor(run.number("factor")).build();
      case "prefix", "dual" -> builder.cache(BlockCache.of(run.function())).factor(run.number("factor")).build();
      case "dream-prefix", "dream-dual" -> builder.pipeline(Pipeline.DREAM).algorithm(Algorithm.of(run.word("alg")))
          .cache(BlockCache.of(run.function().substring("dream-".length()))).epsilon(run.number("eps")).build();
      case "eb" -> builder.algorithm(Algorithm.ENTROPY_BOUND).gamma(run.number("gamma"))
          .order(BoundOrder.valueOf(run.word("error_proxy").toUpperCase(Locale.ROOT))).noMaskLogits(run.flag("mask_excluded"))
          .steps(run.isSet("max_steps") ? run.integer("max_steps") : run.length()).build();
      case "wino" -> builder.algorithm(Algorithm.WINO).thresholdBack(run.number("threshold_back")).build();
      case "klass" -> klass(run, builder);
      case "dream-klass" -> ready(run, builder.pipeline(Pipeline.DREAM)).build();
      case "dinfer-threshold" -> grouped(run, builder.algorithm(Algorithm.CREDIT).creditAlpha(0)).build();
      case "dinfer-credit" -> grouped(run, builder.algorithm(Algorithm.CREDIT)).creditAlpha(run.number("credit_alpha"))
          .boostGamma(run.number("boost_gamma")).decayBeta(run.number("decay_beta")).build();
      case "dinfer-hierarchy" -> grouped(run, builder.algorithm(Algorithm.HIERARCHY)).lowThreshold(run.number("low_threshold"))
          .threshold(run.isSet("threshold") ? run.number("threshold") : 1).build();
      case String function -> throw new IllegalArgumentException("unknown function " + function);
    };
  }

  private static Decoding.Builder ready(BlockGolden.Run run, Decoding.Builder builder) {
    Unmask unmask = Arrays.stream(Unmask.values()).filter(u -> u.label().equals(run.word("unmask_strategy"))).findFirst().orElseThrow();
    return builder.algorithm(Algorithm.KLASS).threshold(run.number("conf_threshold")).klThreshold(run.number("kl_threshold"))
        .klHistory(run.integer("kl_history_length")).unmask(unmask);
  }

  /** Without its test of stability KLASS is Fast-dLLM without a cache, of other confidences. */
  private static Decoding klass(BlockGolden.Run run, Decoding.Builder builder) {
    return switch (run.word("alg")) {
      case "klass" -> ready(run, builder).build();
      case "default" -> builder.cache(BlockCache.NONE).build();
      case "topk_margin", "entropy" -> builder.cache(BlockCache.NONE).algorithm(Algorithm.of(run.word("alg"))).build();
      case String function -> throw new IllegalArgumentException("unknown function " + function);
    };
  }

  private static Decoding.Builder grouped(BlockGolden.Run run, Decoding.Builder builder) {
    return builder.expectedTpf(run.integer("expected_tpf")).maximumUnroll(run.integer("maximum_unroll"));
  }
}
