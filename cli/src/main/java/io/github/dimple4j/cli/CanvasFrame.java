package io.github.dimple4j.cli;

import io.github.dimple4j.Canvas;
import io.github.dimple4j.Reveal;
import io.github.dimple4j.Step;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;

/** One picture of a response that fills in: lines for a terminal, masked positions dim, the newest tokens bold. */
final class CanvasFrame {
  static final String MASK = Canvas.MASK;
  static final String DIM = "\u001b[2m";
  static final String BOLD = "\u001b[1m";
  static final String PLAIN = "\u001b[0m";
  private static final int TAB = 4;

  /** A stretch of text in one style. */
  record Cell(String text, String style) {}

  private CanvasFrame() {}

  /** The lines of a step: at most {@code rows} of at most {@code columns} characters, the last one a line of figures. */
  static List<String> of(Step step, int columns, int rows) {
    Canvas canvas = step.canvas();
    Set<Integer> fresh = new HashSet<>();
    for (Reveal reveal : step.revealed()) {
      fresh.add(reveal.position());
    }
    List<String> lines = wrap(cells(canvas.pieces(), canvas::isMasked, fresh, canvas.text(MASK)), columns);
    int room = Math.max(1, rows - 2); // the line of figures, and the cursor's line stays on the screen
    List<String> shown = new ArrayList<>(lines.size() > room ? lines.subList(lines.size() - room, lines.size()) : lines);
    String figures = "iteration " + (step.iteration() + 1) + ", " + step.revealed().size() + " revealed, " + step.remaining() + " of "
        + step.canvas().length() + " left";
    shown.add(DIM + figures.substring(0, Math.min(figures.length(), columns)) + PLAIN);
    return shown;
  }

  /**
   * One cell per position that shows.
   *
   * @param pieces what each position adds to the text
   * @param masked whether a position is masked
   * @param fresh the positions just revealed
   * @param layout the text with its masks, which says what masks show: those behind an end of text do not
   */
  static List<Cell> cells(List<String> pieces, IntPredicate masked, Set<Integer> fresh, String layout) {
    List<Cell> cells = new ArrayList<>();
    int at = 0;
    for (int i = 0; i < pieces.size(); i++) {
      if (!masked.test(i)) {
        cells.add(new Cell(pieces.get(i), fresh.contains(i) ? BOLD : ""));
        at += pieces.get(i).length();
      } else if (layout.startsWith(MASK, at)) {
        cells.add(new Cell(MASK, DIM));
        at += MASK.length();
      }
    }
    return cells;
  }

  /** Breaks cells into lines at newlines and where a line is full, each line with its own styles. */
  static List<String> wrap(List<Cell> cells, int columns) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    int used = 0;
    for (Cell cell : cells) {
      line.append(cell.style);
      int[] codes = printable(cell.text).codePoints().toArray();
      for (int c : codes) {
        int width = c == '\t' ? TAB : width(c);
        if (c == '\n' || used + width > columns) {
          lines.add(line + (cell.style.isEmpty() ? "" : PLAIN));
          line = new StringBuilder(cell.style);
          used = 0;
        }
        if (c != '\n') {
          line.append(c == '\t' ? " ".repeat(TAB) : Character.toString(c));
          used += width;
        }
      }
      line.append(cell.style.isEmpty() ? "" : PLAIN);
    }
    lines.add(line.toString());
    return lines;
  }

  /** Text that cannot steer a terminal: control characters other than newline and tab become U+FFFD. */
  static String printable(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.replace("\r\n", "\n").codePoints().forEach(c -> out.appendCodePoint(Character.isISOControl(c) && c != '\n' && c != '\t' ? 0xFFFD : c));
    return out.toString();
  }

  /** Columns a character takes: none for marks that combine with the one before, two for the wide ones of Unicode's UAX 11. */
  static int width(int c) {
    return switch (Character.getType(c)) {
      case Character.NON_SPACING_MARK, Character.ENCLOSING_MARK, Character.FORMAT -> 0;
      default -> isWide(c) ? 2 : 1;
    };
  }

  private static boolean isWide(int c) {
    return c >= 0x1100 && (c <= 0x115F // Hangul Jamo
        || c >= 0x2E80 && c <= 0x303E || c >= 0x3041 && c <= 0x33FF // CJK radicals and punctuation, kana, ...
        || c >= 0x3400 && c <= 0x4DBF || c >= 0x4E00 && c <= 0xA4CF // CJK ideographs, Yi
        || c >= 0xAC00 && c <= 0xD7A3 // Hangul syllables
        || c >= 0xF900 && c <= 0xFAFF || c >= 0xFE30 && c <= 0xFE6F // compatibility ideographs and forms
        || c >= 0xFF00 && c <= 0xFF60 || c >= 0xFFE0 && c <= 0xFFE6 // full-width forms
        || c >= 0x1F300 && c <= 0x1F64F || c >= 0x1F680 && c <= 0x1F6FF || c >= 0x1F900 && c <= 0x1F9FF // pictographs
        || c >= 0x20000 && c <= 0x3FFFD); // supplementary ideographs
  }
}
