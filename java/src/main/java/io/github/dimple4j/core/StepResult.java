package io.github.dimple4j.core;

/**
 * {@code dimple_step}: what one iteration did.
 *
 * @param iteration from 0
 * @param done whether no iteration follows
 * @param remaining positions still masked
 * @param revealed response positions revealed now, ascending
 * @param confidence of each of them
 * @param logProbability of each of them: of its token in the model's own distribution, in nats
 * @param canvas the response after it, the mask token where it is masked
 * @param forwardPasses model passes since the decoding began
 * @param nanoseconds wall time of the iteration
 * @param remasked response positions masked again, ascending
 * @param block that it worked on, -1 without blocks
 * @param settled how many positions from the beginning keep what they have revealed
 * @param origins where each position of the canvas was before the iteration, -1 for one that came in; empty: all are where they were. Where nothing is
 *     left of a canvas, it is empty, too
 */
public record StepResult(int iteration, boolean done, int remaining, int[] revealed, float[] confidence, float[] logProbability, int[] canvas,
    int forwardPasses, long nanoseconds, int[] remasked, int block, int settled, int[] origins) {
  /**
   * The same, its time with that of an earlier call.
   *
   * @param earlier nanoseconds
   */
  public StepResult after(long earlier) {
    return new StepResult(iteration, done, remaining, revealed, confidence, logProbability, canvas, forwardPasses, earlier + nanoseconds, remasked,
        block, settled, origins);
  }
}
