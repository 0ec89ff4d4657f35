package io.github.dimple4j;

import java.util.Objects;
import java.util.OptionalInt;

/**
 * How to decode. Immutable: each setter returns a changed copy. Values are checked when a decoding starts, and an
 * {@link InvalidArgumentException} then names the one that is wrong.
 *
 * <p>In every iteration each masked position gets a candidate token and a confidence in it. Pipeline {@link Pipeline#DIM} reveals
 * every position above {@link #threshold()}; if there is none, or the threshold is 0, {@link #algorithm()} chooses as many
 * positions as the schedule of {@link #steps()} noise levels asks for (paper section 4.1).
 *
 * @param pipeline the loop around the iterations
 * @param algorithm which positions are revealed, and what their confidence is
 * @param steps iterations of the schedule, 1 to 1048576; empty: as many as the response has positions
 * @param topK keep the k most likely tokens; 0: all
 * @param originalConfidence true: confidence from the model's own probabilities; false: from those after temperature and filters.
 *     Pipeline {@link Pipeline#DREAM} always does the latter
 * @param threshold confidence above which pipeline {@link Pipeline#DIM} reveals a position; 0: off. Finite, not negative
 * @param temperature 0: the most likely token; above: a draw from softmax(logits / temperature). Finite
 * @param topP keep tokens until this probability mass, 0 to 1; 1: all
 * @param algorithmTemperature 0: the most confident positions; above: positions drawn from softmax(confidence / this). Finite
 * @param epsilon last noise level of the schedule, between 0 and 1 exclusive
 * @param seed of the random draws. A draw depends on seed, iteration and position only, so that equal settings give equal
 *     results whatever the number of threads
 */
public record Decoding(Pipeline pipeline, Algorithm algorithm, OptionalInt steps, int topK, boolean originalConfidence, float threshold,
    float temperature, float topP, float algorithmTemperature, float epsilon, long seed) {
  private static final Decoding DEFAULTS =
      new Decoding(Pipeline.DIM, Algorithm.MASKGIT_PLUS, OptionalInt.empty(), 0, true, 0.95f, 0, 1, 0, 1e-3f, 0);

  /** Checks that nothing is null. */
  public Decoding {
    Objects.requireNonNull(pipeline, "pipeline");
    Objects.requireNonNull(algorithm, "algorithm");
    Objects.requireNonNull(steps, "steps");
  }

  /**
   * The paper's confident decoding: pipeline {@link Pipeline#DIM}, {@link Algorithm#MASKGIT_PLUS}, threshold 0.95 on the model's own
   * probabilities, temperature 0, no filters, epsilon 0.001, seed 0.
   *
   * @return the defaults
   */
  public static Decoding defaults() {
    return DEFAULTS;
  }

  /**
   * A copy with another pipeline.
   *
   * @param pipeline see {@link #pipeline()}
   * @return the copy
   */
  public Decoding pipeline(Pipeline pipeline) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another algorithm.
   *
   * @param algorithm see {@link #algorithm()}
   * @return the copy
   */
  public Decoding algorithm(Algorithm algorithm) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another number of iterations.
   *
   * @param steps see {@link #steps()}
   * @return the copy
   */
  public Decoding steps(int steps) {
    return new Decoding(pipeline, algorithm, OptionalInt.of(steps), topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another number of tokens to draw from.
   *
   * @param topK see {@link #topK()}
   * @return the copy
   */
  public Decoding topK(int topK) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another kind of confidence.
   *
   * @param originalConfidence see {@link #originalConfidence()}
   * @return the copy
   */
  public Decoding originalConfidence(boolean originalConfidence) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another threshold.
   *
   * @param threshold see {@link #threshold()}
   * @return the copy
   */
  public Decoding threshold(float threshold) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another temperature.
   *
   * @param temperature see {@link #temperature()}
   * @return the copy
   */
  public Decoding temperature(float temperature) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another probability mass to draw from.
   *
   * @param topP see {@link #topP()}
   * @return the copy
   */
  public Decoding topP(float topP) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another temperature of the choice of positions.
   *
   * @param algorithmTemperature see {@link #algorithmTemperature()}
   * @return the copy
   */
  public Decoding algorithmTemperature(float algorithmTemperature) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another last noise level.
   *
   * @param epsilon see {@link #epsilon()}
   * @return the copy
   */
  public Decoding epsilon(float epsilon) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }

  /**
   * A copy with another seed.
   *
   * @param seed see {@link #seed()}; all 64 bits count
   * @return the copy
   */
  public Decoding seed(long seed) {
    return new Decoding(pipeline, algorithm, steps, topK, originalConfidence, threshold, temperature, topP, algorithmTemperature,
        epsilon, seed);
  }
}
