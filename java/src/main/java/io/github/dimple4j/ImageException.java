package io.github.dimple4j;

import java.io.Serial;

/** A picture cannot be read or is too large. */
public class ImageException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public ImageException(String message) {
    super(message);
  }

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   * @param cause what it came from
   */
  public ImageException(String message, Throwable cause) {
    super(message, cause);
  }
}
