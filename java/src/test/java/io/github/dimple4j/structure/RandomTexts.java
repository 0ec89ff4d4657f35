package io.github.dimple4j.structure;

import java.io.ByteArrayOutputStream;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Random;

/** Texts that an automaton accepts, drawn by walking through it: what a random model would write. */
final class RandomTexts {
  private final ByteAutomaton automaton;
  private final int[] toEnd;
  private final byte[] firstOfClass;
  private final Random random;

  RandomTexts(ByteAutomaton automaton, Random random) {
    this.automaton = automaton;
    this.random = random;
    byte[] byteClass = automaton.byteClass();
    firstOfClass = new byte[automaton.classCount()];
    for (int value = 255; value >= 0; value--) {
      firstOfClass[Byte.toUnsignedInt(byteClass[value])] = (byte) value;
    }
    toEnd = distances();
  }

  /** Of each state how many bytes lie between it and an end, -1 for a dead end. */
  private int[] distances() {
    int states = automaton.stateCount();
    int[][] before = new int[states][4];
    int[] count = new int[states];
    for (int state = 0; state < states; state++) {
      for (byte value : firstOfClass) {
        int to = automaton.next(state, value);
        if (to >= 0) {
          if (count[to] == before[to].length) {
            before[to] = Arrays.copyOf(before[to], 2 * count[to]);
          }
          before[to][count[to]++] = state;
        }
      }
    }
    int[] distance = new int[states];
    Arrays.fill(distance, -1);
    ArrayDeque<Integer> queue = new ArrayDeque<>();
    for (int state = 0; state < states; state++) {
      if (automaton.accepting(state)) {
        distance[state] = 0;
        queue.add(state);
      }
    }
    while (!queue.isEmpty()) {
      int state = queue.remove();
      for (int i = 0; i < count[state]; i++) {
        if (distance[before[state][i]] < 0) {
          distance[before[state][i]] = distance[state] + 1;
          queue.add(before[state][i]);
        }
      }
    }
    return distance;
  }

  boolean hasDeadEnds() {
    return Arrays.stream(toEnd).anyMatch(distance -> distance < 0);
  }

  /** One text; after {@code length} bytes it takes the shortest way to its end. */
  byte[] next(int length) {
    ByteArrayOutputStream text = new ByteArrayOutputStream();
    int state = 0;
    while (true) {
      boolean hurry = text.size() >= length;
      if (automaton.accepting(state) && (hurry || random.nextInt(4) == 0 || !goesOn(state))) {
        return text.toByteArray();
      }
      byte value;
      int to;
      do {
        byte first = firstOfClass[random.nextInt(firstOfClass.length)];
        value = random.nextInt(3) == 0 ? (byte) random.nextInt(256) : first;
        to = automaton.next(state, value);
      } while (to < 0 || hurry && toEnd[to] >= Math.max(1, toEnd[state]));
      text.write(value);
      state = to;
    }
  }

  private boolean goesOn(int state) {
    for (byte value : firstOfClass) {
      if (automaton.next(state, value) >= 0) {
        return true;
      }
    }
    return false;
  }
}
