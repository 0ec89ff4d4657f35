package io.github.dimple4j;

import java.io.Serial;

/** The native library was not found or could not be loaded. The message lists every place tried and why it failed. */
public class LibraryException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public LibraryException(String message) {
    super(message);
  }

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   * @param cause what it came from
   */
  public LibraryException(String message, Throwable cause) {
    super(message, cause);
  }
}
