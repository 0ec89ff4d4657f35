package io.github.dimple4j.structure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class ByteAutomatonTest {
  /** a, then any number of bytes from 0x80 on. */
  private static ByteAutomaton sample() {
    byte[] classes = new byte[256];
    classes['a'] = 1;
    for (int value = 0x80; value < 256; value++) {
      classes[value] = 2;
    }
    return new ByteAutomaton(2, 3, classes, new int[] {-1, 1, -1, -1, -1, 1}, new boolean[] {false, true});
  }

  @Test
  void acceptsWholeResponses() {
    ByteAutomaton automaton = sample();
    assertThat(automaton.accepts(bytes("a"))).isTrue();
    assertThat(automaton.accepts(bytes("aäé"))).isTrue();
    assertThat(automaton.accepts(bytes(""))).isFalse();
    assertThat(automaton.accepts(bytes("ab"))).isFalse();
    assertThat(automaton.accepts(bytes("ba"))).isFalse();
    assertThat(automaton.next(0, (byte) 'a')).isEqualTo(1);
    assertThat(automaton.next(0, (byte) 0xff)).isEqualTo(ByteAutomaton.NONE);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void isAValue() {
    assertThat(sample()).isEqualTo(sample()).hasSameHashCodeAs(sample());
    ByteAutomaton other = new ByteAutomaton(1, 1, new byte[256], new int[] {0}, new boolean[] {true});
    assertThat(other).isNotEqualTo(sample());
    assertThat(new ByteAutomaton(1, 1, new byte[256], new int[] {0}, new boolean[] {true}, new int[] {0}, new int[] {3}))
        .isNotEqualTo(other);
    int[] next = other.next();
    next[0] = -1;
    assertThat(other.next()).containsExactly(0);
  }

  @Test
  void refusesTablesThatPointNowhere() {
    byte[] classes = new byte[256];
    boolean[] accepting = {true};
    assertThatThrownBy(() -> new ByteAutomaton(0, 1, classes, new int[0], new boolean[0])).hasMessageContaining("stateCount is 0");
    assertThatThrownBy(() -> new ByteAutomaton(1, 257, classes, new int[257], accepting)).hasMessageContaining("classCount is 257");
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, new byte[255], new int[1], accepting)).hasMessageContaining("byteClass has 255");
    assertThatThrownBy(() -> new ByteAutomaton(1, 2, classes, new int[1], accepting)).hasMessageContaining("next has 1 entries");
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, classes, new int[] {1}, accepting)).hasMessageContaining("is 1, expected -1 .. 0");
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, classes, new int[] {0}, new boolean[2])).hasMessageContaining("accepting has 2");
    int[] loop = {0};
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, classes, loop, accepting, new int[] {1}, new int[] {3}))
        .hasMessageContaining("is 1, expected -1 .. 0");
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, classes, loop, accepting, new int[] {0}, new int[] {0}))
        .hasMessageContaining("slot 0 has 0");
    assertThatThrownBy(() -> new ByteAutomaton(1, 1, classes, loop, accepting, new int[0], new int[] {3}))
        .hasMessageContaining("stateSlot has 0");
    byte[] wrong = new byte[256];
    wrong[7] = (byte) 200;
    assertThatThrownBy(() -> new ByteAutomaton(1, 200, wrong, new int[200], accepting)).hasMessageContaining("byte 7 is 200");
  }
}
