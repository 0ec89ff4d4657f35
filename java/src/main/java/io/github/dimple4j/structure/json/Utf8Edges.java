package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import java.util.HashMap;
import java.util.Map;

/** Ranges of code points as edges over the bytes of their UTF-8 (RFC 3629): no overlong forms, no surrogates. */
public final class Utf8Edges {
  private final Graph graph;
  private final Map<Long, Integer> tails = new HashMap<>();

  /**
   * Edges of a graph.
   *
   * @param graph over bytes
   */
  public Utf8Edges(Graph graph) {
    this.graph = graph;
  }

  /**
   * Whether UTF-8 has the text.
   *
   * @param text any text
   * @return false if it has half of a surrogate pair
   */
  public static boolean isText(String text) {
    return text.codePoints().noneMatch(c -> c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE);
  }

  /** Adds the code points {@code low} to {@code high}, both of at least 0 and no surrogates, between two states. */
  void add(int from, int low, int high, int to) {
    if (low == 0x80 && high == 0xD7FF) {
      addBelowSurrogates(from, to);
      return;
    }
    if (low == 0xE000 && high == Character.MAX_CODE_POINT) {
      addAboveSurrogates(from, to);
      return;
    }
    int[] lasts = {0x7F, 0x7FF, 0xFFFF, Character.MAX_CODE_POINT};
    int first = 0;
    for (int length = 1; length <= 4; length++) {
      int from0 = Math.max(low, first);
      int to0 = Math.min(high, lasts[length - 1]);
      if (from0 <= to0) {
        int mark = length == 1 ? 0 : 0xF00 >> length & 0xFF; // 110xxxxx, 1110xxxx, 11110xxx
        split(from, from0, to0, length - 1, mark, to);
      }
      first = lasts[length - 1] + 1;
    }
  }

  /**
   * The bytes of a text that an automaton accepts.
   *
   * @param texts over code points, trimmed
   * @param to the state behind it
   * @return the state before it
   */
  public int accepted(Dfa texts, int to) {
    if (to == Graph.NONE || texts.isEmpty()) {
      return Graph.NONE;
    }
    int base = graph.state();
    for (int i = 1; i < texts.states(); i++) {
      graph.state();
    }
    for (int state = 0; state < texts.states(); state++) {
      for (int c = 0; c < texts.classes(); c++) {
        if (texts.next(state, c) >= 0) {
          int last = c + 1 < texts.classes() ? texts.firstOf(c + 1) - 1 : Character.MAX_CODE_POINT;
          CodePoints set = CodePoints.range(texts.firstOf(c), last);
          for (int range = 0; range < set.ranges(); range++) {
            add(base + state, set.first(range), set.last(range), base + texts.next(state, c));
          }
        }
      }
      if (texts.accepting(state)) {
        graph.free(base + state, to);
      }
    }
    return base;
  }

  private void addBelowSurrogates(int from, int to) {
    graph.edge(from, 0xC2, 0xDF, tail(1, to));
    graph.edge(from, 0xE0, 0xE0, special(0xA0, 0xBF, tail(1, to)));
    graph.edge(from, 0xE1, 0xEC, tail(2, to));
    graph.edge(from, 0xED, 0xED, special(0x80, 0x9F, tail(1, to)));
  }

  private void addAboveSurrogates(int from, int to) {
    graph.edge(from, 0xEE, 0xEF, tail(2, to));
    graph.edge(from, 0xF0, 0xF0, special(0x90, 0xBF, tail(2, to)));
    graph.edge(from, 0xF1, 0xF3, tail(3, to));
    graph.edge(from, 0xF4, 0xF4, special(0x80, 0x8F, tail(2, to)));
  }

  /** {@code low} and {@code high} are what is left of the bits; {@code mark} those that the next byte has set besides. */
  private void split(int from, int low, int high, int following, int mark, int to) {
    if (following == 0) {
      graph.edge(from, mark | low, mark | high, to);
      return;
    }
    int shift = 6 * following;
    int mask = (1 << shift) - 1;
    int first = low >> shift;
    int last = high >> shift;
    if (first == last) {
      partial(from, mark | first, low & mask, high & mask, following, to);
      return;
    }
    if ((low & mask) != 0) {
      partial(from, mark | first, low & mask, mask, following, to);
      first++;
    }
    if ((high & mask) != mask) {
      partial(from, mark | last, 0, high & mask, following, to);
      last--;
    }
    if (first <= last) {
      graph.edge(from, mark | first, mark | last, tail(following, to));
    }
  }

  private void partial(int from, int value, int low, int high, int following, int to) {
    if (low == 0 && high == (1 << 6 * following) - 1) {
      graph.edge(from, value, value, tail(following, to));
      return;
    }
    int state = graph.state();
    graph.edge(from, value, value, state);
    split(state, low, high, following - 1, 0x80, to);
  }

  /** The state before {@code count} continuation bytes. */
  private int tail(int count, int to) {
    if (count == 0) {
      return to;
    }
    Integer known = tails.get((long) to << 2 | count);
    if (known == null) {
      known = special(0x80, 0xBF, tail(count - 1, to));
      tails.put((long) to << 2 | count, known);
    }
    return known;
  }

  private int special(int low, int high, int to) {
    long key = 1L << 62 | (long) to << 16 | low << 8 | high;
    Integer known = tails.get(key);
    if (known == null) {
      known = graph.state();
      graph.edge(known, low, high, to);
      tails.put(key, known);
    }
    return known;
  }
}
