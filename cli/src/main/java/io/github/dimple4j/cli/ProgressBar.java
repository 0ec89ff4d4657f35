package io.github.dimple4j.cli;

import io.github.dimple4j.gguf.ProgressListener;
import java.io.PrintWriter;
import java.util.Locale;

/**
 * One line on a terminal that shows how far a file or a batch is, at what rate, and how long it will take. Silent where standard error is no
 * terminal.
 */
final class ProgressBar implements ProgressListener, AutoCloseable {
  private static final int WIDTH = 30;
  private static final long REDRAW_NANOS = 100_000_000;
  private static final String CLEAR_LINE = "\r\u001b[K";

  /** What is counted. */
  enum Unit {
    BYTES, ITEMS;

    String amounts(long done, long total, double seconds) {
      return switch (this) {
        case BYTES -> String.format(Locale.ROOT, "%.2f of %.2f GB  %.0f MB/s", done / 1e9, total / 1e9, done / seconds / 1e6);
        case ITEMS -> String.format(Locale.ROOT, "%d of %d  %.2f/s", done, total, done / seconds);
      };
    }
  }

  private final PrintWriter terminal;
  private final Unit unit;
  private final boolean shown = Terminal.isTerminal(Terminal.STANDARD_ERROR);
  private final long start = System.nanoTime();
  private long drawn = start;

  ProgressBar(PrintWriter terminal) {
    this(terminal, Unit.BYTES);
  }

  ProgressBar(PrintWriter terminal, Unit unit) {
    this.terminal = terminal;
    this.unit = unit;
  }

  @Override
  public void progress(String tensor, long done, long total) {
    long now = System.nanoTime();
    if (!shown || now - drawn < REDRAW_NANOS) {
      return;
    }
    drawn = now;
    double seconds = (now - start) / 1e9;
    int filled = (int) (WIDTH * done / total);
    terminal.printf(Locale.ROOT, "%s[%s%s] %3d%%  %s  %s left  %s", CLEAR_LINE, "#".repeat(filled),
        " ".repeat(WIDTH - filled), 100 * done / total, unit.amounts(done, total, seconds),
        minutes(seconds * (total - done) / done), tensor);
    terminal.flush();
  }

  @Override
  public void close() {
    if (shown) {
      terminal.print(CLEAR_LINE);
      terminal.flush();
    }
  }

  private static String minutes(double seconds) {
    long rounded = Math.round(seconds);
    return String.format(Locale.ROOT, "%d:%02d", rounded / 60, rounded % 60);
  }
}
