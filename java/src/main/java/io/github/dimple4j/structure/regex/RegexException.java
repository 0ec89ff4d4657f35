package io.github.dimple4j.structure.regex;

import java.io.Serial;

/** A regular expression that cannot be parsed, or cannot be held by an automaton. */
public final class RegexException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message what is wrong, and where in the expression
   */
  public RegexException(String message) {
    super(message);
  }
}
