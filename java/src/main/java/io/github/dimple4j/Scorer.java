package io.github.dimple4j;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/** Scores one answer behind a session's prompt. Inside {@link SessionHandle#use}. */
final class Scorer {
  private static final int MOST_FLAGS = 1 << 30; // of a round, which is drawn as a whole

  private final SessionHandle handle;
  private final int mask;
  private final int[] answer;
  private int passes;

  /** The core takes a negative target for a token that is not to be scored, so that none may be the caller's. */
  Scorer(SessionHandle handle, ModelInfo model, int mask, int[] answer) {
    if (answer.length == 0) {
      throw new InvalidArgumentException("an answer of 0 tokens, expected at least 1");
    }
    for (int i = 0; i < answer.length; i++) {
      if (answer[i] < 0 || answer[i] >= model.vocabSize()) {
        throw new InvalidArgumentException("token " + i + " of the answer is " + answer[i] + ", expected 0 to " + (model.vocabSize() - 1));
      }
    }
    this.handle = handle;
    this.mask = mask;
    this.answer = answer;
  }

  Score score(Scoring scoring) {
    return switch (scoring.method()) {
      case LEFT_TO_RIGHT -> leftToRight(scoring.guidanceScale());
      case MONTE_CARLO -> estimate(draw(scoring), scoring.guidanceScale());
    };
  }

  private Score leftToRight(float guidanceScale) {
    double[] parts = new double[answer.length];
    for (int i = 0; i < answer.length; i++) {
      int[] response = answer.clone();
      Arrays.fill(response, i, answer.length, mask);
      int[] targets = nothing();
      targets[i] = answer[i];
      parts[i] = run(response, targets, guidanceScale)[i];
    }
    return score(parts);
  }

  /** A flag per token for each sample, round by round. */
  private List<boolean[]> draw(Scoring scoring) {
    List<boolean[]> masks = new ArrayList<>();
    for (int round = 0; masks.size() < scoring.samples(); round++) {
      int number = round;
      int rows = Math.min(scoring.rows(), scoring.samples() - masks.size());
      if ((long) rows * answer.length > MOST_FLAGS) {
        throw new InvalidArgumentException("a round of " + rows + " samples of an answer of " + answer.length + " tokens, expected at most " + MOST_FLAGS
            + " tokens in all of them: fewer rows");
      }
      byte[] drawn = handle.call(core -> core.scoreMasks(answer.length, rows, scoring.seed(), number));
      for (int row = 0; row < rows; row++) {
        boolean[] masked = new boolean[answer.length];
        for (int i = 0; i < masked.length; i++) {
          masked[i] = drawn[row * masked.length + i] != 0;
        }
        masks.add(masked);
      }
    }
    return masks;
  }

  /** The mean over rows of the sum of the masked tokens' log-probabilities, divided by their share of the answer. */
  Score estimate(List<boolean[]> masks, float guidanceScale) {
    Map<BitSet, float[]> known = new HashMap<>(); // of a short answer there are few sets
    double[] parts = new double[answer.length];
    for (boolean[] masked : masks) {
      int[] chosen = IntStream.range(0, masked.length).filter(i -> masked[i]).toArray();
      BitSet set = new BitSet();
      Arrays.stream(chosen).forEach(set::set);
      float[] found = known.computeIfAbsent(set, any -> masked(chosen, guidanceScale));
      double weight = (double) answer.length / chosen.length / masks.size();
      for (int i : chosen) {
        parts[i] += weight * found[i];
      }
    }
    return score(parts);
  }

  private float[] masked(int[] chosen, float guidanceScale) {
    int[] response = answer.clone();
    int[] targets = nothing();
    for (int i : chosen) {
      response[i] = mask;
      targets[i] = answer[i];
    }
    return run(response, targets, guidanceScale);
  }

  private int[] nothing() {
    int[] targets = new int[answer.length];
    Arrays.fill(targets, -1);
    return targets;
  }

  private float[] run(int[] response, int[] targets, float guidanceScale) {
    float[] found = handle.work(core -> core.score(response, targets, guidanceScale));
    passes += guidanceScale > 0 ? 2 : 1;
    return found;
  }

  private Score score(double[] parts) {
    List<Integer> tokens = Arrays.stream(answer).boxed().toList();
    return new Score(tokens, Arrays.stream(parts).boxed().toList(), DoubleStream.of(parts).sum(), passes);
  }
}
