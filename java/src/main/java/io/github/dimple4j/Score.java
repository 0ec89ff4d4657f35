package io.github.dimple4j;

import io.github.dimple4j.arguments.Elements;
import java.util.List;

/**
 * How likely a model finds an answer, given the prompt.
 *
 * @param tokens the answer's token ids
 * @param logProbabilities one per token, in nats; their sum is the log-likelihood. Left to right: of the token given prompt and tokens before
 *     it. Monte Carlo: the token's part of the estimate, 0 for one that no sample masked
 * @param logLikelihood the natural logarithm of the answer's probability, or of a lower bound of it: see {@link Scoring.Method}. Not divided
 *     by the length
 * @param forwardPasses runs of the model, two for each where there is guidance
 */
public record Score(List<Integer> tokens, List<Double> logProbabilities, double logLikelihood, int forwardPasses) {
  /** Copies the lists. */
  public Score {
    tokens = List.copyOf(tokens);
    logProbabilities = List.copyOf(logProbabilities);
  }

  /**
   * The probabilities of answers if one of them is given: each one's likelihood divided by the sum of all of them.
   *
   * @param scores of different answers to one prompt, scored alike
   * @return one per score, 0 to 1; together 1
   */
  public static List<Double> probabilities(List<Score> scores) {
    List<Score> all = Elements.of(scores, "scores");
    double best = all.stream().mapToDouble(Score::logLikelihood).max().orElse(0);
    double sum = all.stream().mapToDouble(score -> Math.exp(score.logLikelihood() - best)).sum();
    return all.stream().map(score -> Math.exp(score.logLikelihood() - best) / sum).toList();
  }
}
