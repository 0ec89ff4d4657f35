package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** Frames drawn over each other, as a terminal shows them. */
class LiveCanvasTest {
  /** As much of a terminal as the canvas uses. */
  private static final class Screen {
    private static final Pattern COMMAND = Pattern.compile("\u001b\\[(\\??\\d*)([A-Za-z])");

    private final List<StringBuilder> lines = new ArrayList<>(List.of(new StringBuilder()));
    private int row;
    private int column;
    private boolean cursor = true;

    void print(String text) {
      Matcher command = COMMAND.matcher(text);
      for (int i = 0; i < text.length(); i++) {
        char c = text.charAt(i);
        if (c == '\u001b') {
          assertThat(command.find(i) && command.start() == i).isTrue();
          run(command.group(1), command.group(2).charAt(0));
          i = command.end() - 1;
        } else if (c == '\r') {
          column = 0;
        } else if (c == '\n') { // a terminal in its usual mode returns the carriage, too
          row++;
          column = 0;
          if (row == lines.size()) {
            lines.add(new StringBuilder());
          }
        } else {
          StringBuilder line = lines.get(row);
          line.replace(column, Math.min(column + 1, line.length()), String.valueOf(c));
          column++;
        }
      }
    }

    private void run(String argument, char name) {
      switch (name) {
        case 'A' -> row -= Integer.parseInt(argument);
        case 'K' -> lines.get(row).setLength(Math.min(lines.get(row).length(), column));
        case 'J' -> {
          run("", 'K');
          lines.subList(row + 1, lines.size()).clear();
        }
        case 'h', 'l' -> cursor = name == 'h';
        case 'm' -> { }
        default -> throw new AssertionError("a command of the terminal that this test does not know: " + name);
      }
      assertThat(row).isBetween(0, lines.size() - 1);
    }

    List<String> lines() {
      return lines.stream().map(StringBuilder::toString).toList();
    }
  }

  @Test
  void eachFrameReplacesTheOneBefore() {
    StringWriter out = new StringWriter();
    List<List<String>> frames = Arrays.asList(List.of("one"), List.of("a long first line", "second", "third"), List.of("short", "second"),
        List.of("", "x"), List.of("one", "two", "three", "four"));
    try (LiveCanvas canvas = new LiveCanvas(new PrintWriter(out), new Terminal(true, 80, 24))) {
      for (List<String> frame : frames) {
        canvas.draw(frame);
        Screen screen = new Screen();
        screen.print("above\n" + out);
        assertThat(screen.lines().getFirst()).isEqualTo("above");
        assertThat(screen.lines().subList(1, screen.lines().size())).isEqualTo(frame);
        assertThat(screen.cursor).isFalse();
      }
    }
    Screen screen = new Screen();
    screen.print("above\n" + out + "answer\n");
    assertThat(screen.lines()).containsExactly("above", "answer", "");
    assertThat(screen.cursor).isTrue();
  }
}
