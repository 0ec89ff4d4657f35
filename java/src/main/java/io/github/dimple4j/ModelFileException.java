package io.github.dimple4j;

import java.io.Serial;

/**
 * A model file cannot be read, is no well-formed GGUF file, lacks a key or tensor that its architecture needs, or gives numbers that are NaN or
 * infinite, which loading does not look for.
 */
public class ModelFileException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public ModelFileException(String message) {
    super(message);
  }
}
