package io.github.dimple4j.gguf;

/** llama.cpp's token types. */
public enum TokenType {
  /** Text. */
  NORMAL(1),
  /** What stands for text that has no token. */
  UNKNOWN(2),
  /** A special token, which is no text. */
  CONTROL(3),
  /** An added token whose text counts as a whole. */
  USER_DEFINED(4),
  /** An id that no token has. */
  UNUSED(5),
  /** A byte of a vocabulary in SentencePiece's spelling, {@code <0x0A>}. */
  BYTE(6);

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
