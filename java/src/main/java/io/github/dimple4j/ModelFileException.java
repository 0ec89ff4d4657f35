package io.github.dimple4j;

import java.io.Serial;

/** A model file cannot be read, is no well-formed GGUF file, or lacks a key or tensor that its architecture needs. */
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
