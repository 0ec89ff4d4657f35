package io.github.dimple4j;

import java.io.Serial;

/** Prompt and response together are longer than the context. */
public class ContextLimitException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public ContextLimitException(String message) {
    super(message);
  }
}
