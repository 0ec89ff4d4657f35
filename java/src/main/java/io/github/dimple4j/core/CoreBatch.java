package io.github.dimple4j.core;

import java.util.List;

/** {@code dimple_batch}: sessions of one model that step together. One thread at a time. */
public interface CoreBatch {
  /**
   * What came of one session's iteration: either a result or a failure.
   *
   * @param result null if it failed
   * @param failure null if it did not
   */
  record Outcome(StepResult result, CoreException failure) {
    /**
     * The result.
     *
     * @throws CoreException if the iteration failed
     */
    public StepResult get() {
      if (failure != null) {
        throw failure;
      }
      return result;
    }
  }

  /**
   * What it has done so far.
   *
   * @param steps iterations of sessions
   * @param passes over the layers
   * @param sessionPasses passes that the sessions would have run one by one
   * @param rows of all passes
   * @param bytes it holds
   */
  record Counts(long steps, long passes, long sessionPasses, long rows, long bytes) {}

  /**
   * One iteration of each.
   *
   * @param sessions different ones of the batch's model, that no thread is inside
   * @return one outcome per session
   * @throws CoreException if there is no memory for so many; no session has been touched then
   */
  List<Outcome> step(List<CoreSession> sessions);

  /** What it has done. */
  Counts counts();

  /** Frees it. Once, and before the model. */
  void free();
}
