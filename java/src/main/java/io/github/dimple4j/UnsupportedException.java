package io.github.dimple4j;

import java.io.Serial;

/**
 * A well-formed file, or a request, that needs what this library or this model does not have: an architecture, a tensor
 * type, a vision tower.
 */
public class UnsupportedException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public UnsupportedException(String message) {
    super(message);
  }
}
