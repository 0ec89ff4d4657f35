package io.github.dimple4j.cli;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * The terminal behind standard output, if there is one.
 *
 * @param interactive whether standard output is a terminal that moves its cursor
 * @param columns characters per line
 * @param rows lines
 */
record Terminal(boolean interactive, int columns, int rows) {
  static final int STANDARD_INPUT = 0;
  static final int STANDARD_OUTPUT = 1;
  static final int STANDARD_ERROR = 2;
  private static final int DEFAULT_COLUMNS = 80;
  private static final int DEFAULT_ROWS = 24;

  static Terminal ofStandardOutput() {
    String type = System.getenv("TERM");
    if (type == null || type.isEmpty() || type.equals("dumb") || !isTerminal(STANDARD_OUTPUT)) {
      return new Terminal(false, DEFAULT_COLUMNS, DEFAULT_ROWS);
    }
    int[] size = size();
    return new Terminal(true, size[1], size[0]);
  }

  /** Whether one of the standard streams is a terminal. */
  static boolean isTerminal(int descriptor) {
    try { // says it of this stream alone; the console below has to have standard input, too
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty") || target.equals("/dev/console");
    } catch (IOException | UnsupportedOperationException e) {
      return System.console() != null && System.console().isTerminal();
    }
  }

  /** Rows and columns as the terminal's driver knows them, which Java cannot ask without native code. */
  private static int[] size() {
    try {
      Process stty = new ProcessBuilder("stty", "size").redirectInput(new File("/dev/tty")).redirectError(ProcessBuilder.Redirect.DISCARD).start();
      String answer = new String(stty.getInputStream().readAllBytes(), StandardCharsets.US_ASCII).strip();
      if (stty.waitFor(1, TimeUnit.SECONDS) && answer.matches("[1-9]\\d{0,4} [1-9]\\d{0,4}")) {
        String[] numbers = answer.split(" ");
        return new int[] {Integer.parseInt(numbers[0]), Integer.parseInt(numbers[1])};
      }
    } catch (IOException e) {
      // No stty here: the size of old.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return new int[] {DEFAULT_ROWS, DEFAULT_COLUMNS};
  }
}
