package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What scores are made of: a token's log-probability in the recording core is its id, negative. */
class ScoringTest {
  private static final String NONE = "[-1, -1]";

  private static Session session(RecordingCore core) {
    return core.model().session().tokens(new int[] {1, 2}).withoutResponse().open();
  }

  @Test
  void leftToRightEachTokenSeesThoseBeforeIt() {
    RecordingCore core = new RecordingCore();
    try (Session session = session(core)) {
      Score score = session.score(new int[] {3, 4, 5}, Scoring.leftToRight().withGuidanceScale(0.5f));
      assertThat(score.logProbabilities()).containsExactly(-3.0, -4.0, -5.0);
      assertThat(score.logLikelihood()).isEqualTo(-12);
      assertThat(score.forwardPasses()).isEqualTo(6);
      assertThat(score.tokens()).containsExactly(3, 4, 5);
    }
    assertThat(core.calls).containsSubsequence("score[[9, 9, 9], [3, -1, -1], 0.5]", "score[[3, 9, 9], [-1, 4, -1], 0.5]",
        "score[[3, 4, 9], [-1, -1, 5], 0.5]");
  }

  /** The core takes a negative one for a token that is not to be scored, and gives NaN. */
  @Test
  void tokensThatTheModelHasNotAreErrors() {
    RecordingCore core = new RecordingCore();
    try (Session session = session(core)) {
      for (int[] answer : new int[][] {{-1}, {3, -1}, {-1, 3}, {Integer.MIN_VALUE}, {Integer.MAX_VALUE}}) {
        for (Scoring scoring : List.of(Scoring.leftToRight(), Scoring.monteCarlo(3))) {
          assertThatThrownBy(() -> session.score(answer, scoring)).isInstanceOf(InvalidArgumentException.class).hasMessageMatching(
              "token \\d of the answer is -?\\d+, expected 0 to \\d+");
        }
      }
      assertThatThrownBy(() -> session.score(new int[] {3, 4}, Scoring.monteCarlo(Integer.MAX_VALUE).withRows(Integer.MAX_VALUE)))
          .isInstanceOf(InvalidArgumentException.class).hasMessageContaining("fewer rows");
    }
    assertThat(core.calls).noneMatch(call -> call.startsWith("score"));
  }

  @Test
  void samplesAreDrawnInRoundsAndEachSetCostsOnePass() {
    RecordingCore core = new RecordingCore();
    try (Session session = session(core)) {
      Score score = session.score(new int[] {3, 4}, Scoring.monteCarlo(5).withRows(2).withSeed(7));
      // Three times the first token alone, at 2 / 1 each; twice both.
      assertThat(score.logProbabilities().get(0)).isCloseTo(-(3 * 2 * 3 + 2 * 3) / 5.0, within(1e-9));
      assertThat(score.logProbabilities().get(1)).isCloseTo(-(2 * 4) / 5.0, within(1e-9));
      assertThat(score.logLikelihood()).isCloseTo(score.logProbabilities().stream().mapToDouble(p -> p).sum(), within(1e-9));
      assertThat(score.forwardPasses()).isEqualTo(2);
    }
    assertThat(core.calls.stream().filter(call -> call.startsWith("score"))).containsExactly("scoreMasks[2, 2, 7, 0]",
        "scoreMasks[2, 2, 7, 1]", "scoreMasks[2, 1, 7, 2]", "score[[9, 4], [3, -1], 0.0]", "score[[9, 9], [3, 4], 0.0]");
    assertThat(core.calls).noneMatch(call -> call.contains(NONE)); // no pass that nothing is asked of
  }

  @Test
  void probabilitiesOfAnswersAreSharesOfTheirLikelihoods() {
    List<Score> scores = List.of(score(-1000), score(-1000 - Math.log(3)), score(-5000));
    List<ScoredAnswer> answers = ScoredAnswer.among(List.of("a", "b", "c"), scores);
    assertThat(answers.get(0).probability()).isCloseTo(0.75, within(1e-12));
    assertThat(answers.get(1).probability()).isCloseTo(0.25, within(1e-12));
    assertThat(answers.get(2).probability()).isZero();
    assertThat(answers.get(1).text()).isEqualTo("b");
  }

  private static Score score(double logLikelihood) {
    return new Score(List.of(), List.of(), logLikelihood, 0);
  }

  @Test
  void whatIsOutOfRangeIsRefused() {
    assertThatThrownBy(() -> Scoring.monteCarlo(0)).isInstanceOf(InvalidArgumentException.class).hasMessage("samples is 0, expected at least 1");
    assertThatThrownBy(() -> Scoring.monteCarlo(4).withRows(0)).hasMessage("rows is 0, expected at least 1");
    for (float scale : new float[] {-1, Float.NaN, Float.POSITIVE_INFINITY}) {
      assertThatThrownBy(() -> Scoring.leftToRight().withGuidanceScale(scale)).isInstanceOf(InvalidArgumentException.class)
          .hasMessage("guidance scale is " + scale + ", expected a finite number >= 0");
    }
    try (Session session = session(new RecordingCore())) {
      assertThatThrownBy(() -> session.score(new int[0], Scoring.leftToRight())).hasMessage("an answer of 0 tokens, expected at least 1");
      assertThatThrownBy(() -> session.score(List.of(), Scoring.leftToRight())).hasMessage("no answers, expected at least 1");
    }
  }
}
