package io.github.dimple4j.server;

import io.github.dimple4j.DimpleException;
import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Template;
import io.github.dimple4j.structure.ByteAutomaton;
import java.util.List;
import java.util.Optional;

/**
 * What an answer is held to.
 *
 * @param template what holds it; null: nothing
 * @param kind which it is
 * @param field of the request that says so
 * @param key equal for equal shapes
 */
record Shape(Template template, Kind kind, String field, Object key) {
  /** Kinds of shapes. */
  enum Kind {
    /** Any text. */
    FREE,
    /** Tokens at fixed positions, and what the model fills in around them. */
    PRIOR,
    /** Texts that an automaton accepts: always complete. */
    STRUCTURE,
    /** A call of a tool, which is complete, or any text, which is as long as the response lets it. */
    CALL_OR_TEXT
  }

  static final Shape FREE = new Shape(null, Kind.FREE, "messages", "free");

  /** Fixed texts, and numbers of tokens to fill between them. */
  static Shape prior(String field, List<Object> parts) {
    return new Shape(Template.of(parts.stream().map(part -> part instanceof Integer length ? Template.slot(length) : part).toArray()), Kind.PRIOR,
        field, List.of(Kind.PRIOR, parts)); // a fixed text may read as a schema does
  }

  /** Whether an automaton holds it. */
  boolean isStructure() {
    return kind == Kind.STRUCTURE || kind == Kind.CALL_OR_TEXT;
  }

  /** Compiles it, if it is a structure: takes from a millisecond to a second. */
  Optional<ByteAutomaton> automaton() {
    try {
      return isStructure() ? template.automaton() : Optional.empty();
    } catch (DimpleException e) {
      throw ApiException.field(field, field + ": " + e.getMessage());
    }
  }

  void hold(SessionBuilder builder, int length) {
    automaton();
    if (template != null) {
      builder.response(template);
    }
    if (kind != Kind.PRIOR) { // which is as long as its parts
      builder.responseLength(length);
    }
  }
}
