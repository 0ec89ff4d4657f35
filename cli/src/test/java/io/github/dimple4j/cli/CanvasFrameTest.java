package io.github.dimple4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.cli.CanvasFrame.Cell;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class CanvasFrameTest {
  private static final String MASK = CanvasFrame.MASK;

  private static List<String> wrap(int columns, String... texts) {
    return CanvasFrame.wrap(Stream.of(texts).map(t -> new Cell(t, "")).toList(), columns);
  }

  @Test
  void breaksLinesAtNewlinesAndWhereTheyAreFull() {
    assertThat(wrap(5, "abcde", "fg", "h")).containsExactly("abcde", "fgh");
    assertThat(wrap(80, "a\nb\n\nc")).containsExactly("a", "b", "", "c");
    assertThat(wrap(3, "abc\nd")).containsExactly("abc", "d");
    assertThat(wrap(3)).containsExactly("");
  }

  @Test
  void countsColumnsNotCharacters() {
    assertThat(wrap(4, "中文字")).containsExactly("中文", "字");
    assertThat(wrap(5, "中文字")).containsExactly("中文", "字");
    assertThat(wrap(3, "e\u0301e\u0301e\u0301e\u0301")).containsExactly("e\u0301e\u0301e\u0301", "e\u0301");
    assertThat(wrap(4, "😀😀😀")).containsExactly("😀😀", "😀");
    assertThat(wrap(6, "a\tb\tc")).containsExactly("a    b", "    c");
  }

  @Test
  void stylesEachLineByItself() {
    assertThat(CanvasFrame.wrap(List.of(new Cell("ab", ""), new Cell("cd\nef", CanvasFrame.BOLD), new Cell("g", "")), 3)).containsExactly(
        "ab" + CanvasFrame.BOLD + "c" + CanvasFrame.PLAIN, CanvasFrame.BOLD + "d" + CanvasFrame.PLAIN,
        CanvasFrame.BOLD + "ef" + CanvasFrame.PLAIN + "g");
  }

  @Test
  void keepsControlCharactersFromTheTerminal() {
    assertThat(CanvasFrame.printable("a\u001b[2Jb\u0007\u009b\rc\r\nd\te")).isEqualTo("a\uFFFD[2Jb\uFFFD\uFFFD\uFFFDc\nd\te");
    assertThat(wrap(80, "\u001b]0;x\u0007")).containsExactly("\uFFFD]0;x\uFFFD");
  }

  @Test
  void showsMasksDimAndNewTokensBold() {
    List<String> pieces = List.of("The", "", " cat", "");
    assertThat(CanvasFrame.cells(pieces, i -> i % 2 == 1, Set.of(2), "The" + MASK + " cat" + MASK)).containsExactly(
        new Cell("The", ""), new Cell(MASK, CanvasFrame.DIM), new Cell(" cat", CanvasFrame.BOLD), new Cell(MASK, CanvasFrame.DIM));
  }

  @Test
  void leavesOutMasksBehindTheEndOfText() {
    List<String> pieces = List.of("Yes", "", "", "", "");
    assertThat(CanvasFrame.cells(pieces, i -> i > 2 || i == 1, Set.of(), "Yes" + MASK)).filteredOn(c -> !c.text().isEmpty())
        .containsExactly(new Cell("Yes", ""), new Cell(MASK, CanvasFrame.DIM));
  }
}
