package io.github.dimple4j.server;

import java.util.concurrent.atomic.AtomicLong;

/** Memory for the bodies of all requests that are under way. Thread-safe. */
final class BodyBudget {
  private final AtomicLong left;

  BodyBudget(long bytes) {
    left = new AtomicLong(bytes);
  }

  void take(long bytes) {
    if (left.addAndGet(-bytes) < 0) {
      left.addAndGet(bytes);
      throw ApiException.busy("too much is being sent at once: try again later", 1);
    }
  }

  void give(long bytes) {
    left.addAndGet(bytes);
  }
}
