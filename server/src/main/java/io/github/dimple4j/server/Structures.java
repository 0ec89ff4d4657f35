package io.github.dimple4j.server;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.Template;
import io.github.dimple4j.structure.ByteAutomaton;
import io.github.dimple4j.structure.Piece;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * Templates of structures that requests asked for, the latest ones, so that a schema that comes again is not compiled again. Thread-safe.
 */
final class Structures {
  private static final int KEPT = 32;
  private static final long LARGEST = 1 << 20; // entries of a table

  private final Map<List<Object>, Template> templates = new LinkedHashMap<>(16, 0.75f, true);

  /** The shape of a structure. {@code key}: what it is made of; the piece's faults are those of the field. */
  Shape shape(Shape.Kind kind, String field, List<Object> key, Supplier<Piece> piece) {
    Template template;
    synchronized (this) {
      template = templates.get(key);
    }
    try {
      return new Shape(template != null ? template : Template.of(piece.get()), kind, field, key);
    } catch (DimpleException e) {
      throw ApiException.field(field, field + ": " + e.getMessage());
    }
  }

  /** Keeps a shape that was compiled. */
  @SuppressWarnings("unchecked") // its key is one of those above
  void keep(Shape shape) {
    ByteAutomaton automaton = shape.automaton().orElse(null);
    if (automaton == null || (long) automaton.stateCount() * automaton.classCount() > LARGEST) {
      return;
    }
    synchronized (this) {
      templates.put((List<Object>) shape.key(), shape.template());
      if (templates.size() > KEPT) {
        templates.remove(templates.keySet().iterator().next());
      }
    }
  }
}
