package io.github.dimple4j.core;

/**
 * What {@code dimple_session_alternatives} lists: as many tokens for each position, the best first.
 *
 * @param tokens ids, -1 where there are no more
 * @param logProbability of each, in the model's own distribution, in nats
 */
public record AlternativeResult(int[] tokens, float[] logProbability) {}
