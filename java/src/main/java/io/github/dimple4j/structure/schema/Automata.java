package io.github.dimple4j.structure.schema;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.automaton.Dfa;
import java.util.HashMap;
import java.util.Map;

/** Automata over bytes as the core takes them. */
final class Automata {
  private Automata() {}

  /** The same automaton; classes of bytes that are alike become one. */
  static ByteAutomaton overBytes(Dfa dfa) {
    int classes = dfa.classes();
    int states = dfa.states();
    long[] hashes = new long[classes];
    for (int state = 0; state < states; state++) {
      for (int c = 0; c < classes; c++) {
        hashes[c] = hashes[c] * 0x9E3779B97F4A7C15L + dfa.next(state, c) + 1;
      }
    }
    Map<Long, Integer> names = new HashMap<>();
    int[] name = new int[classes];
    int[] kept = new int[classes];
    for (int c = 0; c < classes; c++) {
      Integer known = names.putIfAbsent(hashes[c], names.size());
      name[c] = known == null ? names.size() - 1 : known;
      if (known == null) {
        kept[name[c]] = c;
      }
    }
    int count = names.size();
    int[] next = new int[states * count];
    boolean[] accepting = new boolean[states];
    for (int state = 0; state < states; state++) {
      accepting[state] = dfa.accepting(state);
      for (int c = 0; c < count; c++) {
        next[state * count + c] = dfa.next(state, kept[c]);
      }
    }
    byte[] byteClass = new byte[Dfa.BYTES];
    for (int c = 0; c < classes; c++) {
      int past = c + 1 < classes ? dfa.firstOf(c + 1) : Dfa.BYTES;
      java.util.Arrays.fill(byteClass, dfa.firstOf(c), past, (byte) name[c]);
    }
    return new ByteAutomaton(states, count, byteClass, next, accepting);
  }
}
