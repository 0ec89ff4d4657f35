package io.github.dimple4j;

import java.util.List;

/**
 * What an iteration has to choose from.
 *
 * @param iteration from 0
 * @param canvas the response before it
 * @param all one for each masked position, in blocks for each of the block, in their order: the token that the decoding's settings
 *     (temperature, filters, seed) choose there; under a structure all of them together fit it
 */
public record Candidates(int iteration, Canvas canvas, List<Candidate> all) {
  /** Copies the list. */
  public Candidates {
    all = List.copyOf(all);
  }
}
