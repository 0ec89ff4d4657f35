package io.github.dimple4j.gguf;

/** llama.cpp's token types, as far as byte-level vocabularies have them. */
public enum TokenType {
  /** Text. */
  NORMAL(1),
  /** A special token, which is no text. */
  CONTROL(3),
  /** An added token whose text counts as a whole. */
  USER_DEFINED(4),
  /** An id that no token has. */
  UNUSED(5);

  private final long number;

  TokenType(long number) {
    this.number = number;
  }

  /**
   * The type's number.
   *
   * @return as in {@code tokenizer.ggml.token_type}
   */
  public long number() {
    return number;
  }
}
