package io.github.dimple4j;

import java.io.Serial;

/** An option, a token id or a prompt is out of range, not finite, or contradicts another. */
public class InvalidArgumentException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public InvalidArgumentException(String message) {
    super(message);
  }
}
