package io.github.dimple4j;

import io.github.dimple4j.core.CoreModel;
import java.util.function.Function;

/**
 * A native model and how many hold it: its owner until it closes, each call while it runs, each session while it lives. The last
 * one to let go frees it, so that no call meets freed memory, whichever thread closes what. Thread-safe.
 */
final class ModelHandle {
  private final CoreModel model;
  private int holds = 1;
  private Runnable beforeFree = () -> {};

  ModelHandle(CoreModel model) {
    this.model = model;
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
    model.free();
  }
}
