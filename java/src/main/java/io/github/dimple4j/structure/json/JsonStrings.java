package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * Strings of JSON. Each text has one spelling: characters stand for themselves, but for quotation mark and backslash, the five
 * control characters with an escape of one letter, and the others as {@code \}{@code u00xx} with small digits. Strings without any
 * rule may have every escape of RFC 8259 besides, as long as they are text (no half of a surrogate pair). Where a rule admits all
 * control characters in one go, as a bound of the length does, those without an escape of one letter are left out: they would
 * take six states at each character.
 */
public final class JsonStrings implements Strings {
  private static final String SHORT_ESCAPED = "\"\\\b\f\n\r\t";
  private static final String SHORT_ESCAPES = "\"\\bfnrt";

  private final Graph graph;
  private final Utf8Edges utf8;
  private final Map<Integer, Integer> escapes = new HashMap<>();

  JsonStrings(Graph graph) {
    this.graph = graph;
    this.utf8 = new Utf8Edges(graph);
  }

  /** How a text is spelled, with its quotation marks. */
  public static byte[] spelled(String text) {
    StringBuilder spelled = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      int escape = SHORT_ESCAPED.indexOf(c);
      if (escape >= 0) {
        spelled.append('\\').append(SHORT_ESCAPES.charAt(escape));
      } else if (c < 0x20) {
        spelled.append(String.format("\\u%04x", (int) c));
      } else {
        spelled.append(c);
      }
    }
    return spelled.append('"').toString().getBytes(StandardCharsets.UTF_8);
  }

  /** With half of a surrogate pair it is none that can be written. */
  @Override
  public int literal(String text, int to) {
    return Utf8Edges.isText(text) ? graph.literal(spelled(text), to) : Graph.NONE;
  }

  /** In any spelling. */
  @Override
  public int any(int to) {
    if (to == Graph.NONE) {
      return Graph.NONE;
    }
    int inside = graph.state();
    graph.edge(inside, '"', '"', to);
    graph.edge(inside, 0x20, 0x21, inside);
    graph.edge(inside, 0x23, 0x5B, inside);
    graph.edge(inside, 0x5D, 0x7F, inside);
    utf8.add(inside, 0x80, 0xD7FF, inside);
    utf8.add(inside, 0xE000, Character.MAX_CODE_POINT, inside);
    int escape = graph.state();
    graph.edge(inside, '\\', '\\', escape);
    for (char letter : (SHORT_ESCAPES + "/").toCharArray()) {
      graph.edge(escape, letter, letter, inside);
    }
    int unicode = graph.state();
    graph.edge(escape, 'u', 'u', unicode);
    int one = hex(inside);
    int two = hex(one);
    int three = hex(two);
    graph.edge(unicode, '0', '9', three);
    graph.edge(unicode, 'A', 'C', three);
    graph.edge(unicode, 'a', 'c', three);
    graph.edge(unicode, 'E', 'F', three);
    graph.edge(unicode, 'e', 'f', three);
    int d = graph.state(); // d0 to d7 are no surrogates; d8 to db need a second escape, dc to df
    graph.edge(unicode, 'D', 'D', d);
    graph.edge(unicode, 'd', 'd', d);
    graph.edge(d, '0', '7', two);
    int lowDigit = graph.state();
    graph.edge(lowDigit, 'C', 'F', two);
    graph.edge(lowDigit, 'c', 'f', two);
    int lowD = graph.state();
    graph.edge(lowD, 'D', 'D', lowDigit);
    graph.edge(lowD, 'd', 'd', lowDigit);
    int high = hex(hex(graph.symbol('\\', graph.symbol('u', lowD))));
    graph.edge(d, '8', '9', high);
    graph.edge(d, 'A', 'B', high);
    graph.edge(d, 'a', 'b', high);
    return graph.symbol('"', inside);
  }

  private int hex(int to) {
    int state = graph.state();
    graph.edge(state, '0', '9', to);
    graph.edge(state, 'A', 'F', to);
    graph.edge(state, 'a', 'f', to);
    return state;
  }

  /**
   * A text that an automaton accepts.
   *
   * @param texts over code points, trimmed
   * @param to the state behind the closing quotation mark
   * @return the state before the opening one
   */
  @Override
  public int accepted(Dfa texts, int to) {
    if (to == Graph.NONE || texts.isEmpty()) {
      return Graph.NONE;
    }
    int base = graph.state();
    for (int i = 1; i < texts.states(); i++) {
      graph.state();
    }
    for (int state = 0; state < texts.states(); state++) {
      int c = 0;
      int escape = Graph.NONE;
      while (c < texts.classes()) {
        int target = texts.next(state, c);
        int end = c + 1;
        while (end < texts.classes() && texts.next(state, end) == target) {
          end++;
        }
        if (target >= 0) {
          int last = end < texts.classes() ? texts.firstOf(end) - 1 : Character.MAX_CODE_POINT;
          escape = characters(base + state, CodePoints.range(texts.firstOf(c), last), base + target, escape);
        }
        c = end;
      }
      if (texts.accepting(state)) {
        graph.edge(base + state, '"', '"', to);
      }
    }
    return graph.symbol('"', base);
  }

  /** Adds characters between two states; those behind a backslash go to {@code escape}, made when first needed and returned. */
  private int characters(int from, CodePoints set, int to, int escape) {
    int behindBackslash = escape;
    for (int range = 0; range < set.ranges(); range++) {
      int low = set.first(range);
      int high = set.last(range);
      if (low == 0 && high > '\\' && behindBackslash == Graph.NONE) {
        // All that needs an escape goes to the same state: one fan of the short escapes serves all ways there.
        graph.edge(from, '\\', '\\', allEscapes(to));
      } else {
        for (int point = low; point <= Math.min(high, '\\'); point++) {
          if (point < 0x20 || point == '"' || point == '\\') {
            if (behindBackslash == Graph.NONE) {
              behindBackslash = graph.state();
              graph.edge(from, '\\', '\\', behindBackslash);
            }
            escaped(behindBackslash, point, to);
          }
        }
      }
      plain(from, Math.max(low, 0x20), Math.min(high, 0x21), to);
      plain(from, Math.max(low, 0x23), Math.min(high, 0x5B), to);
      plain(from, Math.max(low, 0x5D), Math.min(high, 0x7F), to);
      if (high >= 0x80) {
        utf8.add(from, Math.max(low, 0x80), high, to);
      }
    }
    return behindBackslash;
  }

  private void plain(int from, int low, int high, int to) {
    if (low <= high) {
      graph.edge(from, low, high, to);
    }
  }

  private int allEscapes(int to) {
    Integer known = escapes.get(to);
    if (known == null) {
      known = graph.state();
      for (char letter : SHORT_ESCAPES.toCharArray()) {
        graph.edge(known, letter, letter, to);
      }
      escapes.put(to, known);
    }
    return known;
  }

  private void escaped(int from, int point, int to) {
    int index = SHORT_ESCAPED.indexOf(point);
    if (index >= 0) {
      graph.edge(from, SHORT_ESCAPES.charAt(index), SHORT_ESCAPES.charAt(index), to);
    } else {
      byte[] spelled = String.format("u%04x", point).getBytes(StandardCharsets.US_ASCII);
      graph.free(from, graph.literal(spelled, to));
    }
  }
}
