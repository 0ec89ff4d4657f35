package io.github.dimple4j.cli;

import io.github.dimple4j.Step;
import java.io.PrintWriter;
import java.util.List;

/** Shows a response filling in: each frame is drawn over the one before. */
final class LiveCanvas implements AutoCloseable {
  private static final String HIDE_CURSOR = "\u001b[?25l";
  private static final String SHOW_CURSOR = "\u001b[?25h";
  private static final String CLEAR_LINE = "\u001b[K";
  private static final String CLEAR_BELOW = "\u001b[J";

  private final PrintWriter out;
  private final Terminal terminal;
  private final Thread restore;
  private int drawn;

  LiveCanvas(PrintWriter out, Terminal terminal) {
    this.out = out;
    this.terminal = terminal;
    restore = new Thread(() -> {
      out.print(SHOW_CURSOR);
      out.flush();
    });
    Runtime.getRuntime().addShutdownHook(restore); // an interrupt must not leave the terminal without a cursor
    out.print(HIDE_CURSOR);
    out.flush();
  }

  void show(Step step) {
    draw(CanvasFrame.of(step, terminal.columns(), terminal.rows()));
  }

  /** Draws lines over those drawn before; the cursor stays at the end of the last one. */
  void draw(List<String> lines) {
    out.print(home());
    for (int i = 0; i < lines.size(); i++) {
      out.print(lines.get(i) + CLEAR_LINE + (i < lines.size() - 1 ? "\n" : ""));
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
