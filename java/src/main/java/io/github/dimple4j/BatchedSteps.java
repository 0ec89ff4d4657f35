package io.github.dimple4j;

/**
 * What sessions of a model that stepped together have shared, see {@link ModelOptions.Builder#batchSteps}. The mean size of a batch is
 * {@code steps / batches}.
 *
 * @param steps iterations that were run with those of other sessions
 * @param batches in so many calls
 * @param passes passes over the model's layers that they took
 * @param sessionPasses passes that they would have taken one by one
 * @param bytes memory that is held for it
 */
public record BatchedSteps(long steps, long batches, long passes, long sessionPasses, long bytes) {
  static final BatchedSteps NONE = new BatchedSteps(0, 0, 0, 0, 0);
}
