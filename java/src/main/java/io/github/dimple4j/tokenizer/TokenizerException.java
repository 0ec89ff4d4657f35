package io.github.dimple4j.tokenizer;

import io.github.dimple4j.DimpleException;

/** A model file's tokenizer is of a kind this library does not run, or its arrays contradict each other. */
public class TokenizerException extends DimpleException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates the exception.
   *
   * @param message one line: which key or entry, what it holds and what was expected
   */
  public TokenizerException(String message) {
    super(message);
  }
}
