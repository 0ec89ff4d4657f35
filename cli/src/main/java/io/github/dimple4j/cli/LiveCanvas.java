package io.github.dimple4j.cli;

import io.github.dimple4j.Step;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** Shows a response filling in: each frame is drawn over the one before. */
final class LiveCanvas implements AutoCloseable {
  private static final String HIDE_CURSOR = "\u001b[?25l";
  private static final String SHOW_CURSOR = "\u001b[?25h";
  private static final String CLEAR_LINE = "\u001b[K";
  private static final String CLEAR_BELOW = "\u001b[J";
  private static final long FRAME_NANOS = 40_000_000;
  private static final long LONGEST_PAUSE_NANOS = 1_000_000_000;

  private final PrintWriter out;
  private final Terminal terminal;
  private final Thread restore;
  private int drawn;
  private long paused;

  LiveCanvas(PrintWriter out, Terminal terminal) {
    this.out = out;
    this.terminal = terminal;
    restore = new Thread(() -> {
      out.println(CanvasFrame.PLAIN + SHOW_CURSOR);
      out.flush();
    });
    Runtime.getRuntime().addShutdownHook(restore); // an interrupt must not leave the terminal dim and without a cursor
    out.print(HIDE_CURSOR);
    out.flush();
  }

  /** Draws a step and leaves it there for a moment: a small model is done before an eye has seen anything. */
  void show(Step step) {
    draw(CanvasFrame.of(step, terminal.columns(), terminal.rows()));
    long rest = Math.min(FRAME_NANOS - step.time().toNanos(), LONGEST_PAUSE_NANOS - paused);
    if (rest > 0) {
      LockSupport.parkNanos(rest);
      paused += rest;
    }
  }

  /** Draws lines over those drawn before; the cursor stays at the end of the last one. */
  void draw(List<String> lines) {
    out.print(home());
    for (int i = 0; i < lines.size(); i++) {
      // Cleared first: behind a full line the cursor stands on its last character.
      out.print(CLEAR_LINE + lines.get(i) + (i < lines.size() - 1 ? "\n" : ""));
    }
    out.print(CLEAR_BELOW);
    out.flush();
    drawn = lines.size();
  }

  private String home() {
    return "\r" + (drawn > 1 ? "\u001b[" + (drawn - 1) + "A" : "");
  }

  /** Wipes the frame and gives the cursor back. */
  @Override
  public void close() {
    out.print(home() + CLEAR_BELOW + SHOW_CURSOR);
    out.flush();
    try {
      Runtime.getRuntime().removeShutdownHook(restore);
    } catch (IllegalStateException e) {
      // The program is ending already, and the hook with it.
    }
  }
}
