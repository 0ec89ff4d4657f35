package io.github.dimple4j;

import java.util.List;
import java.util.stream.IntStream;

/**
 * One of several answers that were scored together.
 *
 * @param text the answer
 * @param score its likelihood
 * @param probability its share of the likelihoods of all the answers, 0 to 1; those of all of them add up to 1
 */
public record ScoredAnswer(String text, Score score, double probability) {
  static List<ScoredAnswer> among(List<String> texts, List<Score> scores) {
    List<Double> probabilities = Score.probabilities(scores);
    return IntStream.range(0, texts.size()).mapToObj(i -> new ScoredAnswer(texts.get(i), scores.get(i), probabilities.get(i))).toList();
  }
}
