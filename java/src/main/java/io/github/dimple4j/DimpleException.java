package io.github.dimple4j;

import io.github.dimple4j.file.Printable;
import java.io.Serial;

/**
 * The root of everything this library throws. The message is one line fit for a user: what failed, in which file, key, option
 * or position, and what was expected. Thrown itself where no subclass says more, for example when memory is short.
 */
public class DimpleException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public DimpleException(String message) {
    super(Printable.line(message));
  }

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   * @param cause what it came from
   */
  public DimpleException(String message, Throwable cause) {
    super(Printable.line(message), cause);
  }
}
