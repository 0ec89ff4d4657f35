package io.github.dimple4j;

/** Threads that keep no program running. Made without {@code Thread.Builder}, which Android's Java does not have. */
final class DaemonThread {
  private DaemonThread() {}

  /** A thread that is not started. */
  static Thread of(String name, Runnable work) {
    Thread thread = new Thread(null, work, name);
    thread.setDaemon(true);
    return thread;
  }
}
