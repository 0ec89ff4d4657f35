package io.github.dimple4j.structure.regex;

import io.github.dimple4j.structure.automaton.CodePoints;
import io.github.dimple4j.structure.automaton.Graph;
import java.util.List;

/** A regular expression, parsed. Each knows how to stand before a state of a graph over code points. */
sealed interface Expression {
  /** Adds it to the graph before a state; the state before it. */
  int before(Graph graph, int to);

  /** One character of a set. */
  record Characters(CodePoints set) implements Expression {
    @Override
    public int before(Graph graph, int to) {
      int state = graph.state();
      set.edges(graph, state, to);
      return state;
    }
  }

  /** One after the other; nothing at all if there are none. */
  record Sequence(List<Expression> parts) implements Expression {
    @Override
    public int before(Graph graph, int to) {
      int state = to;
      for (int i = parts.size() - 1; i >= 0; i--) {
        state = parts.get(i).before(graph, state);
      }
      return state;
    }
  }

  /** One of several. */
  record Choice(List<Expression> ways) implements Expression {
    @Override
    public int before(Graph graph, int to) {
      return graph.either(ways.stream().mapToInt(way -> way.before(graph, to)).toArray());
    }
  }

  /** {@code least} to {@code most} times; {@link #UNBOUNDED} is without end. */
  record Repetition(Expression body, int least, int most) implements Expression {
    static final int UNBOUNDED = -1;

    @Override
    public int before(Graph graph, int to) {
      int state = to;
      if (most == UNBOUNDED) {
        state = graph.state();
        graph.free(state, to);
        graph.free(state, body.before(graph, state));
      } else {
        for (int i = least; i < most; i++) {
          int once = body.before(graph, state);
          state = graph.state();
          graph.free(state, to);
          graph.free(state, once);
        }
      }
      for (int i = 0; i < least; i++) {
        state = body.before(graph, state);
      }
      return state;
    }
  }

  /** {@code ^}. */
  record Start() implements Expression {
    @Override
    public int before(Graph graph, int to) {
      int state = graph.state();
      graph.freeAtStart(state, to);
      return state;
    }
  }

  /** {@code $}. */
  record End() implements Expression {
    @Override
    public int before(Graph graph, int to) {
      int state = graph.state();
      graph.freeAtEnd(state, to);
      return state;
    }
  }
}
