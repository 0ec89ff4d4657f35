package io.github.dimple4j.tokenizer;

import java.util.List;

/**
 * How added tokens are matched beyond their spelling, as Hugging Face's {@code tokenizer.json} has it. GGUF has no keys of its own for
 * this; {@code gguf convert} writes these lists of token ids under {@code tokenizer.dimple.*}, where they are not empty. Arrays are kept,
 * not copied.
 *
 * @param lstrip {@code lstrip}: white space in front of the token goes with it
 * @param rstrip {@code rstrip}: white space behind the token goes with it
 * @param singleWord {@code single_word}: the token is not matched within a word
 * @param normalized {@code normalized}: the token is matched after normalization, and after all tokens that are not
 */
public record AddedTokenFlags(int[] lstrip, int[] rstrip, int[] singleWord, int[] normalized) {
  /** What the keys of the lists begin with; the rest is the name of the flag. */
  public static final String KEYS = "tokenizer.dimple.";

  /** The flags by Hugging Face's names, in the order of the components. */
  public static final List<String> NAMES = List.of("lstrip", "rstrip", "single_word", "normalized");

  /** Every token is matched as it is spelled. */
  public static final AddedTokenFlags NONE = new AddedTokenFlags(new int[0], new int[0], new int[0], new int[0]);
}
