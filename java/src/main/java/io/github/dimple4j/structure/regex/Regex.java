package io.github.dimple4j.structure.regex;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;

/**
 * Regular expressions in the dialect of ECMA-262 with Unicode ({@code u}), as JSON Schema recommends, as automata over code points.
 *
 * <p>What the implementations of the dialect read differently is read narrowly: {@code .} takes no line terminator of ECMA-262 or of
 * Java, {@code \s} the six white spaces of ASCII, {@code \S} nothing that is white space anywhere. Where an expression says what
 * must <i>not</i> match it is read widely, so that the doubtful characters are left out there too.
 */
public final class Regex {
  private static final int GRAPH_LIMIT = 200_000;

  private Regex() {}

  /**
   * Texts that have a match anywhere, as JSON Schema's {@code pattern} has it.
   *
   * @param expression the regular expression
   * @param wide whether to read it widely
   * @param limit states the automaton may have
   * @return the least automaton
   * @throws RegexException if it cannot be parsed or needs what no automaton can hold
   */
  public static Dfa search(String expression, boolean wide, int limit) {
    Graph graph = new Graph(GRAPH_LIMIT);
    int end = graph.acceptingState();
    CodePoints.ALL.edges(graph, end, end);
    int start = graph.state();
    graph.free(start, new RegexParser(expression, wide).parse().before(graph, end));
    // The loop stands behind the first symbol, where ^ no longer matches: free moves at the start are followed at the start only.
    CodePoints.ALL.edges(graph, start, start);
    return Dfa.of(graph, start, Dfa.CODE_POINTS, limit).minimal();
  }

  /**
   * Texts that match as a whole.
   *
   * @param expression the regular expression
   * @param limit states the automaton may have
   * @return the least automaton
   * @throws RegexException if it cannot be parsed or needs what no automaton can hold
   */
  public static Dfa whole(String expression, int limit) {
    Graph graph = new Graph(GRAPH_LIMIT);
    int start = new RegexParser(expression, false).parse().before(graph, graph.acceptingState());
    return Dfa.of(graph, start, Dfa.CODE_POINTS, limit).minimal();
  }
}
