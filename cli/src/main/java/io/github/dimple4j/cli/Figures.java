package io.github.dimple4j.cli;

import io.github.dimple4j.Generation;
import java.time.Duration;
import java.util.Locale;

/** The line of figures below an answer. */
final class Figures {
  private Figures() {}

  static String line(Generation answer, long loadNanos, String backend, int threads) {
    int iterations = Math.max(1, answer.iterations());
    return String.format(Locale.ROOT, "%d tokens, %d iteration%s, %.2f tokens per iteration, %.1f tokens/s; load %s, vision %s, prefill %s, "
        + "%s per iteration; %s, %d thread%s", answer.revealed(), answer.iterations(), plural(answer.iterations()),
        answer.tokensPerIteration(), answer.tokensPerSecond(),
        time(loadNanos), time(answer.timings().vision()), time(answer.timings().prefill()),
        time(answer.timings().steps().toNanos() / iterations), backend, threads, plural(threads));
  }

  private static String plural(int count) {
    return count == 1 ? "" : "s";
  }

  private static String time(Duration duration) {
    return time(duration.toNanos());
  }

  /** Milliseconds below one second, seconds above, with three significant digits or so. */
  static String time(long nanos) {
    double seconds = nanos / 1e9;
    if (seconds >= 1) {
      return String.format(Locale.ROOT, "%.2f s", seconds);
    }
    return String.format(Locale.ROOT, seconds >= 0.1 ? "%.0f ms" : "%.2f ms", seconds * 1e3);
  }
}
