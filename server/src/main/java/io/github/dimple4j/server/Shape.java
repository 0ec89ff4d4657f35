package io.github.dimple4j.server;

import io.github.dimple4j.SessionBuilder;
import io.github.dimple4j.Template;
import java.util.List;

/**
 * What an answer is held to.
 *
 * @param template what holds it; null: nothing
 * @param key equal for equal shapes
 * @param kind which it is
 */
record Shape(Template template, Object key, Kind kind) {
  /** Kinds of shapes. */
  enum Kind {
    /** Any text. */
    FREE,
    /** Tokens at fixed positions, and what the model fills in around them. */
    PRIOR,
    /** Texts that an automaton accepts: always complete. */
    STRUCTURE
  }

  static final Shape FREE = new Shape(null, "free", Kind.FREE);

  /** Fixed texts, and numbers of tokens to fill between them. */
  static Shape prior(List<Object> parts) {
    return new Shape(Template.of(parts.stream().map(part -> part instanceof Integer length ? Template.slot(length) : part).toArray()), parts,
        Kind.PRIOR);
  }

  /** A structure. */
  static Shape structure(Template template) {
    return new Shape(template, template.automaton().orElseThrow(), Kind.STRUCTURE);
  }

  void hold(SessionBuilder builder, int length) {
    if (template != null) {
      builder.response(template);
    }
    if (kind != Kind.PRIOR) { // which is as long as its parts
      builder.responseLength(length);
    }
  }
}
