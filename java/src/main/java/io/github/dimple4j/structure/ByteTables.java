package io.github.dimple4j.structure;

import io.github.dimple4j.structure.automaton.Dfa;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Automata over bytes as the core takes them. */
final class ByteTables {
  private ByteTables() {}

  /**
   * The same automaton; classes of bytes that are alike become one.
   *
   * @param dfa over bytes
   * @param slotTokens of each slot its tokens
   */
  static ByteAutomaton of(Dfa dfa, int... slotTokens) {
    int states = dfa.states();
    int[] name = new int[dfa.classes()];
    int[] kept = representatives(dfa, name);
    int[] next = new int[states * kept.length];
    boolean[] accepting = new boolean[states];
    int[] slots = new int[slotTokens.length == 0 ? 0 : states];
    for (int state = 0; state < states; state++) {
      accepting[state] = dfa.accepting(state);
      for (int c = 0; c < kept.length; c++) {
        next[state * kept.length + c] = dfa.next(state, kept[c]);
      }
      if (slots.length > 0) {
        slots[state] = dfa.slot(state);
      }
    }
    byte[] byteClass = new byte[Dfa.BYTES];
    for (int c = 0; c < name.length; c++) {
      Arrays.fill(byteClass, dfa.firstOf(c), c + 1 < name.length ? dfa.firstOf(c + 1) : Dfa.BYTES, (byte) name[c]);
    }
    return new ByteAutomaton(states, kept.length, byteClass, next, accepting, slots, slotTokens);
  }

  /** Gives classes that no state tells apart the same name; for each name one of them. */
  private static int[] representatives(Dfa dfa, int[] name) {
    int classes = dfa.classes();
    long[] hashes = new long[classes];
    for (int state = 0; state < dfa.states(); state++) {
      for (int c = 0; c < classes; c++) {
        hashes[c] = (hashes[c] ^ dfa.next(state, c)) * 0x9E3779B97F4A7C15L;
        hashes[c] ^= hashes[c] >>> 29;
      }
    }
    Map<Long, Integer> first = new HashMap<>(); // of each hash the class that had it first
    int[] kept = new int[classes];
    int count = 0;
    for (int c = 0; c < classes; c++) {
      Integer known = first.putIfAbsent(hashes[c], c);
      if (known != null && alike(dfa, known, c)) {
        name[c] = name[known];
      } else {
        name[c] = count;
        kept[count++] = c;
      }
    }
    return Arrays.copyOf(kept, count);
  }

  private static boolean alike(Dfa dfa, int one, int other) {
    for (int state = 0; state < dfa.states(); state++) {
      if (dfa.next(state, one) != dfa.next(state, other)) {
        return false;
      }
    }
    return true;
  }
}
