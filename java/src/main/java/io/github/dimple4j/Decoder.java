package io.github.dimple4j;

import java.util.Collection;
import java.util.Map;

/**
 * A way of decoding of your own, called between the iterations: which positions are revealed, and as what.
 *
 * <pre>{@code
 * Decoder decoder = candidates -> candidates.all().stream().filter(c -> c.confidence() > 0.9f).toList();
 * Generation answer = session.decode(decoding, decoder);
 * }</pre>
 *
 * <p>The decoding ends when nothing is masked, when its text is complete ({@link Decoding#earlyStop()}), or after {@link Decoding#steps()}
 * iterations; what is masked then stays masked, but under a structure it is filled. A decoding in blocks ({@link Decoding#blockLength()})
 * offers the positions of a block until that is full, or its share of the steps is used up; then come those of the next. Where a position sees its
 * block and those before it alone ({@link Pipeline#seesBlocks}), the next comes when it is full, and the decoding ends where one is not after as many
 * iterations as it had masks, or steps if these are more. Of a response in
 * several canvases ({@link SessionBuilder#canvasLength}) it offers those of the canvas under way, which has all the steps to itself; positions
 * and iterations count from the beginning of the response. Called by the
 * thread that decodes, which must not use the session meanwhile; what it throws ends the call, and the iteration may be asked for again.
 */
@FunctionalInterface
public interface Decoder {
  /**
   * Decides on one iteration.
   *
   * @param candidates a token for every masked position, in blocks of the block
   * @return what is revealed, in any order, each position once: candidates, or other tokens ({@link Candidate#as}). May be empty.
   *     Under a structure other tokens that do not fit it are refused with {@link InvalidArgumentException}
   */
  Collection<Candidate> decide(Candidates candidates);

  /**
   * How many of the most probable tokens of each position it wants to see ({@link Candidates#alternatives}). They take another run of the
   * model's last matrix in each iteration.
   *
   * @return 0 to 64; by default 0
   */
  default int alternatives() {
    return 0;
  }

  /**
   * What is added to the logits in the coming iteration, at all positions, before temperature and filters: to favour tokens, to disfavour
   * them, or, with {@link Float#NEGATIVE_INFINITY}, to ban them. A structure comes first: a banned token stands where no other can.
   *
   * @param iteration from 0
   * @param canvas the response before it
   * @return a number of -65536 to 65536, or negative infinity, by token id; by default none
   */
  default Map<Integer, Float> bias(int iteration, Canvas canvas) {
    return Map.of();
  }
}
