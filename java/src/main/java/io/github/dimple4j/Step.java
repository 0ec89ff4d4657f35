package io.github.dimple4j;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/**
 * What one iteration did.
 *
 * @param iteration from 0
 * @param canvas the response after it
 * @param revealed the positions revealed by it, where they are after it, and with {@link Algorithm#TOKEN_EDITING} those given another token, ascending; may be empty
 * @param remaining positions still masked; of a response in several canvases, of those begun: when one is full, the step shows the next, too
 * @param done true if no iteration follows
 * @param forwardPasses runs of the model since the decoding began, the prefill's first pass included
 * @param time wall time of the iteration, with the prefill if it did that
 * @param remasked positions that earlier iterations revealed and this one masked again, ascending; only {@link Algorithm#WINO} has any
 * @param block of a decoding in blocks: the one that it worked on, from 0, the first being the one that the response begins in (of a response in
 *     several canvases: of the canvas); -1 of others
 * @param origins of an iteration of {@link Pipeline#DREAMON} or {@link Pipeline#LLADA22} that moved positions: where each position of the canvas was before it, -1 for a mask that
 *     came in; a position that is not in the list went out. Empty of every other iteration: all are where they were
 */
public record Step(int iteration, Canvas canvas, List<Reveal> revealed, int remaining, boolean done, int forwardPasses, Duration time,
    List<Integer> remasked, int block, Optional<List<Integer>> origins) {}
