package io.github.dimple4j;

import java.io.Serial;

/** A call does not fit the state of its session: another thread is inside it, or another decoding was begun meanwhile. */
public class SessionStateException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public SessionStateException(String message) {
    super(message);
  }
}
