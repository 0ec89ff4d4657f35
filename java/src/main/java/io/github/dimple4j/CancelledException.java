package io.github.dimple4j;

import java.io.Serial;

/**
 * A call was interrupted by {@link Session#cancel}, or with its thread. The session remains usable; a cancelled iteration has not happened and
 * may be repeated.
 */
public class CancelledException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public CancelledException(String message) {
    super(message);
  }
}
