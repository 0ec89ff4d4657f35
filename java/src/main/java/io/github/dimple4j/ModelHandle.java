package io.github.dimple4j;

import io.github.dimple4j.core.CoreModel;
import io.github.dimple4j.core.CoreSession;
import io.github.dimple4j.core.StepResult;
import java.util.function.Function;

/**
 * A native model and how many hold it: its owner until it closes, each call while it runs, each session while it lives. The last
 * one to let go frees it, so that no call meets freed memory, whichever thread closes what. Thread-safe.
 */
final class ModelHandle {
  private final CoreModel model;
  private final SharedSteps steps; // null: every session steps by itself
  private int holds = 1;
  private Runnable beforeFree = () -> {};

  ModelHandle(CoreModel model) {
    this(model, 1, 0);
  }

  /** A model up to {@code together} of whose sessions step together, on so many threads. */
  ModelHandle(CoreModel model, int together, int threads) {
    this.model = model;
    this.steps = together == 1 ? null : new SharedSteps(() -> model.batch(threads), together);
  }

  /** One iteration of a session of the model, which the caller is inside. */
  StepResult step(CoreSession session) {
    return steps == null ? session.step() : steps.step(session);
  }

  /** What steps have been shared so far. */
  BatchedSteps batchedSteps() {
    return steps == null ? BatchedSteps.NONE : steps.figures();
  }

  /** Has what hangs on the model freed before it. */
  synchronized void beforeFree(Runnable action) {
    beforeFree = action;
  }

  /** Runs a call, during which the model lives. */
  <T> T call(Function<CoreModel, T> body) {
    hold();
    try {
      return Engine.call(() -> body.apply(model));
    } finally {
      release();
    }
  }

  synchronized void hold() {
    if (holds == 0) {
      throw new ClosedException("the model is closed");
    }
    holds++;
  }

  void release() {
    synchronized (this) {
      if (--holds > 0) {
        return;
      }
    }
    beforeFree.run();
    if (steps != null) {
      steps.free();
    }
    model.free();
  }
}
