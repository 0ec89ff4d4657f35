package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.automaton.Dfa;
import io.github.dimple4j.structure.automaton.Graph;
import io.github.dimple4j.structure.regex.Regex;
import java.nio.charset.StandardCharsets;

/**
 * Strings as they are, between two tokens that are no text; so they need no escapes, and hold every text but the mark's spelling. As in
 * {@link JsonStrings} control characters without an escape of one letter are left out, unless a text is spelled out. Names of letters,
 * digits, {@code _} and {@code -} stand bare, others between marks.
 */
final class MarkedStrings implements Strings {
  private static final int MOST_STATES = 65_536;
  private static final String BARE = "[A-Za-z0-9_-]+";
  private static final Dfa BARE_NAMES = Regex.whole(BARE, MOST_STATES);

  private final Graph graph;
  private final Utf8Edges utf8;
  private final String spelling;
  private final byte[] mark;
  private final Dfa texts; // without the mark's spelling

  /** {@code mark}: how the token before and behind a string is spelled. */
  MarkedStrings(Graph graph, String mark) {
    this.graph = graph;
    this.utf8 = new Utf8Edges(graph);
    this.spelling = mark;
    this.mark = ByteAutomaton.tokenBytes(mark);
    StringBuilder pattern = new StringBuilder("[^]*(?:[\\u0000-\\u0007\\u000b\\u000e-\\u001f]|");
    mark.codePoints().forEach(point -> pattern.append("\\u{").append(Integer.toHexString(point)).append('}'));
    this.texts = JsonText.anyText().minus(Regex.whole(pattern + ")[^]*", MOST_STATES), MOST_STATES);
  }

  private int between(int inside) {
    return inside == Graph.NONE ? Graph.NONE : graph.literal(mark, inside);
  }

  @Override
  public int literal(String text, int to) {
    boolean spelled = to != Graph.NONE && Utf8Edges.isText(text) && !text.contains(spelling);
    return spelled ? between(graph.literal(text.getBytes(StandardCharsets.UTF_8), graph.literal(mark, to))) : Graph.NONE;
  }

  @Override
  public int accepted(Dfa some, int to) {
    Dfa held = some.and(texts, MOST_STATES);
    return to == Graph.NONE || held.isEmpty() ? Graph.NONE : between(utf8.accepted(held, graph.literal(mark, to)));
  }

  @Override
  public int any(int to) {
    return to == Graph.NONE ? Graph.NONE : between(utf8.accepted(texts, graph.literal(mark, to)));
  }

  @Override
  public int name(String text, int to) {
    return text.matches(BARE) ? graph.literal(text.getBytes(StandardCharsets.UTF_8), to) : literal(text, to);
  }

  @Override
  public int name(Dfa some, int to) {
    return to == Graph.NONE ? Graph.NONE
        : graph.either(utf8.accepted(some.and(BARE_NAMES, MOST_STATES), to), accepted(some.minus(BARE_NAMES, MOST_STATES), to));
  }

  @Override
  public int anyName(int to) {
    return name(JsonText.anyText(), to);
  }
}
