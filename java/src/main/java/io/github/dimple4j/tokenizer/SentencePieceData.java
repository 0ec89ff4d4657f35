package io.github.dimple4j.tokenizer;

/**
 * What a file says of a vocabulary in SentencePiece's spelling beyond its tokens. The array is kept, not copied.
 *
 * @param scores {@code scores}: one per token, or null; of model {@code "llama"} the pair with the highest one is merged first, of
 *     {@code "gemma4"} they mean nothing
 * @param spacePrefix {@code add_space_prefix}: whether text at the beginning and behind an added token begins with a blank; of model
 *     {@code "llama"} only
 * @param unknownId {@code unknown_token_id}: what becomes of a character that has no token where its bytes have none either; -1 when absent
 */
public record SentencePieceData(float[] scores, boolean spacePrefix, int unknownId) {
  /** No scores, no blank in front, no token for what is unknown. */
  public static final SentencePieceData NONE = new SentencePieceData(null, false, -1);
}
