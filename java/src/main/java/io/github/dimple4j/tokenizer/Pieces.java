package io.github.dimple4j.tokenizer;

import java.util.stream.IntStream;

/** How a kind of vocabulary cuts text that has no added tokens in it into tokens, and what its tokens stand for. Immutable. */
interface Pieces {
  /** Text as the vocabulary spells it, the form in which normalized added tokens are looked for. */
  String normalize(String text);

  /** Whether {@link #normalize} gives a character for each character, in its place. */
  boolean keepsPlaces();

  /**
   * Encodes text.
   *
   * @param text normalized; not empty; it is where all text begins, or behind an added token
   * @throws TokenizerException if the vocabulary lacks a token for a part of it
   */
  void encode(String text, IntStream.Builder ids);

  /** What a token that is none of the added ones stands for. */
  byte[] bytes(int id);

  /** What an added token stands for. */
  byte[] addedBytes(int id);
}
