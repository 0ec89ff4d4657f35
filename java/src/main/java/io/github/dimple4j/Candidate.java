package io.github.dimple4j;

/**
 * A token that a masked position may be revealed as.
 *
 * @param position in the response, from 0
 * @param token its id
 * @param confidence as of {@link Reveal}
 * @param logProbability as of {@link Reveal}; NaN for a token that no pass scored
 */
public record Candidate(int position, int token, float confidence, float logProbability) {
  /**
   * Another token at this position, of which nothing is known.
   *
   * @param id a token id
   * @return confidence 0, log-probability NaN
   */
  public Candidate as(int id) {
    return new Candidate(position, id, 0, Float.NaN);
  }
}
