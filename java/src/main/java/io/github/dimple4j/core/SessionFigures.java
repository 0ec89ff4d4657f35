package io.github.dimple4j.core;

/**
 * {@code dimple_timings}: wall times in nanoseconds, and sizes in bytes.
 *
 * @param vision preprocessing and vision tower
 * @param prefill first pass
 * @param steps the iterations, less vision and prefill inside them
 * @param kvBytes keys and values
 * @param scratchBytes everything else the session holds
 */
public record SessionFigures(long vision, long prefill, long steps, long kvBytes, long scratchBytes) {}
