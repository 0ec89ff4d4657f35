package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.Candidate;
import io.github.dimple4j.Step;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** Where tokens begin in a text: they may be pieces of characters, and characters more than one unit of UTF-16. */
class LogProbsTest {
  @Test
  void offsetsCountCharactersOfTheText() {
    String text = "aß🙂日本 b";
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    for (int size = 1; size <= bytes.length; size++) {
      byte[][] pieces = new byte[(bytes.length + size - 1) / size][];
      int[] expected = new int[pieces.length];
      for (int i = 0; i < pieces.length; i++) {
        pieces[i] = Arrays.copyOfRange(bytes, i * size, Math.min(bytes.length, (i + 1) * size));
        int start = i * size;
        while ((bytes[start] & 0xc0) == 0x80) {
          start--;
        }
        expected[i] = (int) new String(bytes, 0, start, StandardCharsets.UTF_8).codePoints().count();
      }
      assertThat(LogProbs.offsets(pieces)).as("pieces of %d bytes", size).containsExactly(expected);
    }
    assertThat(LogProbs.offsets(new byte[][] {{}, {(byte) 0x80}, {'a'}, {}})).containsExactly(0, 0, 0, 1);
  }

  /** Where a response grows and shrinks, what was listed of a position goes where it goes. */
  @Test
  void whatIsListedMovesWithItsPosition() {
    List<Candidate> a = List.of(), b = List.of(new Candidate(1, 2, 3, 4)), c = List.of(new Candidate(5, 6, 7, 8));
    Map<Integer, List<Candidate>> known = Map.of(1, a, 2, b);
    assertThat(LogProbs.listedBehind(step(List.of(), Optional.empty()), known, Map.of(0, c))).isEqualTo(Map.of(0, c, 1, a, 2, b));
    assertThat(LogProbs.listedBehind(step(List.of(2), Optional.empty()), known, Map.of())).isEqualTo(Map.of(1, a));
    assertThat(LogProbs.listedBehind(step(List.of(), Optional.of(List.of(0, 2, -1, 3))), known, Map.of(3, c))).isEqualTo(Map.of(1, b, 3, c));
    assertThat(LogProbs.listedBehind(step(List.of(), Optional.of(List.of())), known, Map.of())).isEmpty();
  }

  private static Step step(List<Integer> remasked, Optional<List<Integer>> origins) {
    return new Step(0, null, List.of(), 0, false, 1, Duration.ZERO, remasked, -1, origins);
  }
}
