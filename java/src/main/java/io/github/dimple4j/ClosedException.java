package io.github.dimple4j;

import java.io.Serial;

/** A model or session was used after it was closed, or was closed by another thread during the call. */
public class ClosedException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public ClosedException(String message) {
    super(message);
  }
}
