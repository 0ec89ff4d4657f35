package io.github.dimple4j;

import java.io.Serial;

/** A call needs text, but the model file has no tokenizer. Prompts as token ids still work. */
public class NoTokenizerException extends DimpleException {
  @Serial private static final long serialVersionUID = 1;

  /**
   * Creates the exception.
   *
   * @param message one line: what failed, where, and what was expected
   */
  public NoTokenizerException(String message) {
    super(message);
  }
}
