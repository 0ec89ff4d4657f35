package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Likelihoods beside the authors' function with its recorded draws, and against whole logits, on every backend of the machine. */
class ScoringConformanceTest {
  static Stream<Arguments> models() {
    return BlockGolden.all().stream().flatMap(golden -> Backends.all().stream().map(backend -> Arguments.of(golden, backend)));
  }

  static Stream<BlockGolden> goldens() {
    return BlockGolden.all().stream();
  }

  @ParameterizedTest
  @MethodSource("models")
  void likelihoodsAreTheAuthors(BlockGolden golden, String backend) {
    List<String> differences = new ArrayList<>();
    try (DimpleModel model = golden.load(backend)) {
      for (BlockGolden.Likelihood recorded : golden.likelihoods()) {
        try (Session session = session(model, recorded.prompt())) {
          double found = session.score(recorded.answer(), recorded.masks(), recorded.guidanceScale()).logLikelihood();
          if (!(Math.abs(found - recorded.expected()) < 1e-4)) {
            differences.add(recorded.name() + ": " + found + ", expected " + recorded.expected());
          }
        }
      }
    }
    assertThat(differences).isEmpty();
  }

  /** Enough samples come near the exact mean over all sets, whatever is drawn. */
  @ParameterizedTest
  @MethodSource("goldens")
  void drawnSetsEstimateTheMeanOverAllOfThem(BlockGolden golden) {
    int[] prompt = {5, 6, 7};
    int[] answer = {40, 41, 42};
    try (DimpleModel model = golden.load("auto"); Session session = session(model, prompt)) {
      // Each number of masks is as likely, and each set of that number: weights over 3 sizes.
      List<boolean[]> all = new ArrayList<>();
      for (int set = 1; set < 8; set++) {
        boolean[] masked = {(set & 1) != 0, (set & 2) != 0, (set & 4) != 0};
        for (int times = 0; times < (Integer.bitCount(set) == 3 ? 3 : 1); times++) {
          all.add(masked);
        }
      }
      double exact = session.score(answer, all, 0).logLikelihood();
      Score estimate = session.score(answer, Scoring.monteCarlo(4096).withSeed(3));
      assertThat(estimate.logLikelihood()).isCloseTo(exact, within(0.03 * Math.abs(exact)));
      assertThat(estimate.forwardPasses()).isEqualTo(7);
      assertThat(session.score(answer, Scoring.monteCarlo(4096).withSeed(3))).isEqualTo(estimate);
      assertThat(session.score(answer, Scoring.monteCarlo(4096).withSeed(4)).logLikelihood()).isNotEqualTo(estimate.logLikelihood());
    }
  }

  @ParameterizedTest
  @MethodSource("goldens")
  void leftToRightIsTheChainRule(BlockGolden golden) {
    int[] prompt = {5, 6, 7};
    int[] answer = {40, 41, 42};
    try (DimpleModel model = golden.load("auto")) {
      Score score;
      try (Session session = session(model, prompt)) {
        score = session.score(answer, Scoring.leftToRight());
      }
      double sum = 0;
      for (int i = 0; i < answer.length; i++) {
        double expected = logProbability(model, prompt, answer, i);
        assertThat(score.logProbabilities().get(i)).isCloseTo(expected, within(1e-4));
        sum += expected;
      }
      assertThat(score.logLikelihood()).isCloseTo(sum, within(1e-4));
    }
  }

  /** Of the whole logits of prompt, the tokens before it, and masks: of the row before where logits are shifted. */
  private static double logProbability(DimpleModel model, int[] prompt, int[] answer, int position) {
    int[] sequence = Arrays.copyOf(prompt, prompt.length + answer.length);
    Arrays.fill(sequence, prompt.length, sequence.length, model.info().maskTokenId().orElseThrow());
    System.arraycopy(answer, 0, sequence, prompt.length, position);
    try (Session session = session(model, sequence)) {
      float[] row = session.logits()[prompt.length + position - (model.info().shiftLogits() ? 1 : 0)];
      double sum = 0;
      for (float logit : row) {
        sum += Math.exp(logit - row[answer[position]]);
      }
      return -Math.log(sum);
    }
  }

  private static Session session(DimpleModel model, int[] prompt) {
    return model.session().tokens(prompt).withoutResponse().threads(1).open();
  }
}
