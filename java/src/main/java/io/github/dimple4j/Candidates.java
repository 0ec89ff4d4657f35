package io.github.dimple4j;

import java.util.List;
import java.util.Map;

/**
 * What an iteration has to choose from.
 *
 * @param iteration from 0
 * @param canvas the response before it; of several canvases up to the end of the one under way
 * @param all one for each masked position, in blocks for each of the block, in their order: the token that the decoding's settings
 *     (temperature, filters, seed) choose there; under a structure all of them together fit it
 * @param alternatives by position, if they are asked for ({@link Decoder#alternatives}): its most probable tokens, the best first, whatever
 *     temperature and filters do, with their probability in the model's own distribution as confidence. Under a structure those that can
 *     stand there; of several positions those may not go together
 */
public record Candidates(int iteration, Canvas canvas, List<Candidate> all, Map<Integer, List<Candidate>> alternatives) {
  /** Copies list and map. */
  public Candidates {
    all = List.copyOf(all);
    alternatives = Map.copyOf(alternatives);
  }
}
