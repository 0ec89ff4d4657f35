package io.github.dimple4j.structure.automaton;

import java.io.Serial;

/** An automaton under construction grew beyond its limit. */
public final class TooManyStatesException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  private final int limit;

  /**
   * Creates the exception.
   *
   * @param limit states that were allowed
   */
  public TooManyStatesException(int limit) {
    super("more than " + limit + " states", null, false, false);
    this.limit = limit;
  }

  /** How many states were allowed. */
  public int limit() {
    return limit;
  }
}
