package io.github.dimple4j.structure;

/** White space behind the commas and colons of a JSON text. There is none elsewhere. */
public enum Spacing {
  /** None. */
  COMPACT,
  /** One blank. */
  BLANK,
  /** None or one blank, at each place anew. */
  EITHER
}
