package io.github.dimple4j;

import java.io.Serial;

/** A model file cannot be fetched, or what came is not what was asked for. What was received stays for the next try, unless it was wrong. */
public class FetchException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public FetchException(String message) {
    super(message);
  }

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   * @param cause what it came from
   */
  public FetchException(String message, Throwable cause) {
    super(message, cause);
  }
}
