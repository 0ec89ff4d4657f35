package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.Spacing;
import io.github.dimple4j.structure.automaton.Graph;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** The parts of a JSON text. Every method takes the state behind the part and returns the state before it. */
public final class JsonText {
  private final Graph graph;
  private final Spacing spacing;
  private final Strings strings;
  private final JsonNumbers numbers;
  private final Map<Long, Integer> made = new HashMap<>();

  /**
   * Parts for a graph.
   *
   * @param graph over bytes
   * @param spacing behind commas and colons
   */
  public JsonText(Graph graph, Spacing spacing) {
    this(graph, spacing, new JsonStrings(graph));
  }

  private JsonText(Graph graph, Spacing spacing, Strings strings) {
    this.graph = graph;
    this.spacing = spacing;
    this.strings = strings;
    this.numbers = new JsonNumbers(graph);
  }

  /**
   * Parts of a text that is like JSON without blanks, but for its strings, which stand as they are between two tokens, and its names, which stand bare.
   *
   * @param graph over bytes
   * @param mark how the token is spelled
   * @return the parts
   */
  public static JsonText marked(Graph graph, String mark) {
    return new JsonText(graph, Spacing.COMPACT, new MarkedStrings(graph, mark));
  }

  /** Plain characters, such as {@code true} or a number. */
  public int literal(String ascii, int to) {
    return graph.literal(ascii.getBytes(StandardCharsets.US_ASCII), to);
  }

  /** A string of a given text. */
  public int string(String text, int to) {
    return strings.literal(text, to);
  }

  /** A string of a text that the automaton over code points accepts. */
  public int string(Dfa texts, int to) {
    return strings.accepted(texts, to);
  }

  /** Any text, over code points. */
  public static Dfa anyText() {
    Graph graph = new Graph(1);
    int state = graph.acceptingState();
    CodePoints.ALL.edges(graph, state, state);
    return Dfa.of(graph, state, Dfa.CODE_POINTS, 2).minimal();
  }

  /** Any string. */
  public int string(int to) {
    return once(0, to, () -> strings.any(to));
  }

  /** A given name of a property. */
  public int name(String text, int to) {
    return strings.name(text, to);
  }

  /** A name that the automaton over code points accepts. */
  public int name(Dfa texts, int to) {
    return strings.name(texts, to);
  }

  /** Any name. */
  public int name(int to) {
    return once(3, to, () -> strings.anyName(to));
  }

  /** A number within bounds. */
  public int number(NumberRange range, int to) {
    return to == Graph.NONE ? Graph.NONE : numbers.within(range, to);
  }

  /** A name's quotation mark is behind, its colon comes here. */
  public int colon(int to) {
    return once(1, to, () -> graph.symbol(':', blank(to)));
  }

  /** A comma. */
  public int comma(int to) {
    return once(2, to, () -> graph.symbol(',', blank(to)));
  }

  private int blank(int to) {
    return switch (spacing) {
      case COMPACT -> to;
      case BLANK -> graph.symbol(' ', to);
      case EITHER -> graph.either(graph.symbol(' ', to), to);
    };
  }

  /**
   * Any value.
   *
   * @param depth how deep arrays and objects may nest; 0 allows none
   * @param to the state behind it
   * @return the state before it
   */
  public int any(int depth, int to) {
    return once(8 + 2 * depth, to, () -> graph.either(literal("null", to), literal("true", to), literal("false", to), string(to),
        number(NumberRange.ANY, to), depth == 0 ? Graph.NONE : anyArray(depth, to), depth == 0 ? Graph.NONE : anyObject(depth, to)));
  }

  /** Any array; its items nest up to {@code depth - 1} deep. */
  public int anyArray(int depth, int to) {
    if (to == Graph.NONE) {
      return Graph.NONE;
    }
    int behindItem = graph.state();
    int item = any(Math.max(0, depth - 1), behindItem);
    graph.free(behindItem, comma(item));
    graph.edge(behindItem, ']', ']', to);
    return graph.symbol('[', graph.either(item, graph.symbol(']', to)));
  }

  /** Any object; its values nest up to {@code depth - 1} deep. */
  public int anyObject(int depth, int to) {
    if (to == Graph.NONE) {
      return Graph.NONE;
    }
    int behindValue = graph.state();
    int name = name(colon(any(Math.max(0, depth - 1), behindValue)));
    graph.free(behindValue, comma(name));
    graph.edge(behindValue, '}', '}', to);
    return graph.symbol('{', graph.either(name, graph.symbol('}', to)));
  }

  private interface Part {
    int make();
  }

  /** The same part before the same state is made once. */
  private int once(int part, int to, Part maker) {
    if (to == Graph.NONE) {
      return Graph.NONE;
    }
    long key = (long) part << 32 | to;
    Integer known = made.get(key);
    if (known == null) {
      known = maker.make();
      made.put(key, known);
    }
    return known;
  }
}
