package io.github.dimple4j.tokenizer;

import java.util.Arrays;

/**
 * A tokenizer as a GGUF file describes it, under the keys {@code tokenizer.ggml.*}. Arrays are kept, not copied.
 *
 * @param model {@code model}: the algorithm: {@code "gpt2"}, {@code "gemma4"} or {@code "llama"}, see {@link Tokenizer}
 * @param pre {@code pre}: the name of the rule that splits text into words, see {@link PreTokenizer}; of {@code "gpt2"} only
 * @param tokens {@code tokens}: the vocabulary, a token's id being its index
 * @param tokenTypes {@code token_type}: one number per token as llama.cpp has them (1 normal, 2 unknown, 3 control, 4 user defined,
 *     5 unused, 6 byte), or null when all are normal
 * @param merges {@code merges}: pairs "left right", the most urgent one first; not of {@code "llama"}
 * @param addBos {@code add_bos_token}
 * @param bosId {@code bos_token_id}, -1 when absent
 * @param eosId {@code eos_token_id}, -1 when absent
 * @param padId {@code padding_token_id}, -1 when absent
 * @param maskId {@code mask_token_id}, -1 when absent
 * @param endIds all tokens that end a text, see {@link EndTokens}
 * @param addedTokens how added tokens are matched
 * @param nfc {@code normalizer.nfc}: whether text is normalised to form C first; null: as the rule {@code pre} has it; of {@code "gpt2"} only
 * @param sentencePiece what else there is of vocabularies in SentencePiece's spelling; {@link SentencePieceData#NONE} for others
 */
public record TokenizerData(String model, String pre, Utf8Strings tokens, int[] tokenTypes, Utf8Strings merges, boolean addBos,
    int bosId, int eosId, int padId, int maskId, int[] endIds, AddedTokenFlags addedTokens, Boolean nfc, SentencePieceData sentencePiece) {
  /**
   * A tokenizer whose ends are not known, and whose added tokens are matched as they are spelled.
   *
   * @param model {@code model}
   * @param pre {@code pre}
   * @param tokens {@code tokens}
   * @param tokenTypes {@code token_type}, or null
   * @param merges {@code merges}
   * @param addBos {@code add_bos_token}
   * @param bosId {@code bos_token_id}, -1 when absent
   * @param eosId {@code eos_token_id}, -1 when absent
   * @param padId {@code padding_token_id}, -1 when absent
   * @param maskId {@code mask_token_id}, -1 when absent
   */
  public TokenizerData(String model, String pre, Utf8Strings tokens, int[] tokenTypes, Utf8Strings merges, boolean addBos, int bosId,
      int eosId, int padId, int maskId) {
    this(model, pre, tokens, tokenTypes, merges, addBos, bosId, eosId, padId, maskId, new int[0], AddedTokenFlags.NONE, null);
  }

  /**
   * A byte-level tokenizer.
   *
   * @param model {@code model}
   * @param pre {@code pre}
   * @param tokens {@code tokens}
   * @param tokenTypes {@code token_type}, or null
   * @param merges {@code merges}
   * @param addBos {@code add_bos_token}
   * @param bosId {@code bos_token_id}, -1 when absent
   * @param eosId {@code eos_token_id}, -1 when absent
   * @param padId {@code padding_token_id}, -1 when absent
   * @param maskId {@code mask_token_id}, -1 when absent
   * @param endIds all tokens that end a text
   * @param addedTokens how added tokens are matched
   * @param nfc {@code normalizer.nfc}, or null
   */
  public TokenizerData(String model, String pre, Utf8Strings tokens, int[] tokenTypes, Utf8Strings merges, boolean addBos, int bosId,
      int eosId, int padId, int maskId, int[] endIds, AddedTokenFlags addedTokens, Boolean nfc) {
    this(model, pre, tokens, tokenTypes, merges, addBos, bosId, eosId, padId, maskId, endIds, addedTokens, nfc, SentencePieceData.NONE);
  }

  /**
   * The same with the first tokens alone.
   *
   * @param count how many stay; none of the special ones may be behind them
   * @return the data
   */
  public TokenizerData first(int count) {
    SentencePieceData more = sentencePiece.scores() == null ? sentencePiece
        : new SentencePieceData(Arrays.copyOf(sentencePiece.scores(), Math.min(count, sentencePiece.scores().length)), sentencePiece.spacePrefix(),
            sentencePiece.unknownId());
    int[] types = tokenTypes == null ? null : Arrays.copyOf(tokenTypes, Math.min(count, tokenTypes.length));
    return new TokenizerData(model, pre, tokens.first(count), types, merges, addBos, bosId, eosId, padId, maskId, endIds, addedTokens, nfc, more);
  }
}
