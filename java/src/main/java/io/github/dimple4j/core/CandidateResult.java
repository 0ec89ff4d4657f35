package io.github.dimple4j.core;

/**
 * {@code dimple_candidates}: what an iteration has to choose from.
 *
 * @param iteration from 0
 * @param positions masked response positions, ascending
 * @param tokens the candidate of each
 * @param confidence in each of them
 * @param logProbability of each of them: in the model's own distribution, in nats
 * @param nanoseconds wall time
 */
public record CandidateResult(int iteration, int[] positions, int[] tokens, float[] confidence, float[] logProbability, long nanoseconds) {}
