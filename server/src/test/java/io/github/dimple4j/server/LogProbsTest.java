package io.github.dimple4j.server;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
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
}
