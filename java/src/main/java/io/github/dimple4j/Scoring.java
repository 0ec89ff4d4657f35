package io.github.dimple4j;

import java.util.Objects;

/**
 * How an answer is scored: {@code Scoring.leftToRight()}, {@code Scoring.monteCarlo(128).withSeed(7)}. Immutable.
 *
 * @param method what is computed
 * @param samples Monte Carlo: how many sets of masked tokens are drawn, at least 1. A set that comes twice costs one pass
 * @param rows Monte Carlo: samples of a round, among which the numbers of masked tokens are spread evenly, at least 1. A last round may be
 *     smaller
 * @param seed Monte Carlo: of the draws, which depend on seed, round, row and token alone
 * @param guidanceScale classifier-free guidance as {@link Decoding#guidanceScale()}, finite and at least 0; 0 is off
 */
public record Scoring(Method method, int samples, int rows, long seed, float guidanceScale) {
  /** What is computed. */
  public enum Method {
    /**
     * A lower bound of the log-likelihood, as LLaDA's evaluation has it (arXiv 2502.09992, section 2.4; get_log_likelihood.py): the mean, over
     * random sets of masked tokens, of the sum of their log-probabilities given the others, divided by their share of the answer.
     */
    MONTE_CARLO,
    /**
     * The log-likelihood by the chain rule: of each token given the prompt, the tokens before it, and masks behind it. One pass for each token.
     */
    LEFT_TO_RIGHT
  }

  /** The samples of a round in the authors' function. */
  private static final int ROWS = 16;

  /** Checks the numbers. */
  public Scoring {
    Objects.requireNonNull(method, "method");
    atLeastOne("samples", samples);
    atLeastOne("rows", rows);
    if (!(guidanceScale >= 0 && guidanceScale <= Float.MAX_VALUE)) {
      throw new InvalidArgumentException("guidance scale is " + guidanceScale + ", expected a finite number >= 0");
    }
  }

  private static void atLeastOne(String name, int value) {
    if (value < 1) {
      throw new InvalidArgumentException(name + " is " + value + ", expected at least 1");
    }
  }

  /**
   * Left to right, without guidance.
   *
   * @return the settings
   */
  public static Scoring leftToRight() {
    return new Scoring(Method.LEFT_TO_RIGHT, 1, ROWS, 0, 0);
  }

  /**
   * Monte Carlo, without guidance, with seed 0, in rounds of 16 samples as the authors' function has them.
   *
   * @param samples at least 1; the authors take 128
   * @return the settings
   * @throws InvalidArgumentException if there are none
   */
  public static Scoring monteCarlo(int samples) {
    return new Scoring(Method.MONTE_CARLO, samples, ROWS, 0, 0);
  }

  /**
   * The same with another seed.
   *
   * @param other any number
   * @return the settings
   */
  public Scoring withSeed(long other) {
    return new Scoring(method, samples, rows, other, guidanceScale);
  }

  /**
   * The same with other rounds.
   *
   * @param other samples of a round, at least 1
   * @return the settings
   * @throws InvalidArgumentException if there are none
   */
  public Scoring withRows(int other) {
    return new Scoring(method, samples, other, seed, guidanceScale);
  }

  /**
   * The same with guidance.
   *
   * @param scale finite, at least 0
   * @return the settings
   * @throws InvalidArgumentException if it is out of range
   */
  public Scoring withGuidanceScale(float scale) {
    return new Scoring(method, samples, rows, seed, scale);
  }
}
