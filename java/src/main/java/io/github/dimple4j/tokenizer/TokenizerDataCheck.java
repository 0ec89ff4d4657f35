package io.github.dimple4j.tokenizer;

import java.util.stream.IntStream;

/**
 * Whether the arrays of a tokenizer agree with each other. What does not is an error that names the key: a text would become other tokens than
 * the model was trained with, or end elsewhere, and nothing would say so.
 */
final class TokenizerDataCheck {
  private static final int LEAST_TYPE = 1;
  private static final int MOST_TYPE = 6;
  private static final int NORMAL = 1;

  private final TokenizerData data;
  private final TokenTable tokens;
  private final int size;

  TokenizerDataCheck(TokenizerData data, TokenTable tokens) {
    this.data = data;
    this.tokens = tokens;
    this.size = data.tokens().size();
  }

  void run() {
    checkTypes();
    checkSpellings();
    checkIds("bos_token_id", data.bosId());
    checkIds("eos_token_id", data.eosId());
    checkIds("padding_token_id", data.padId());
    checkIds("mask_token_id", data.maskId());
    checkIds("unknown_token_id", data.sentencePiece().unknownId());
    for (int id : data.endIds()) {
      require(id >= 0 && id < size, "a key of tokenizer.ggml.* for ends of text (eot_token_id, eos_token_ids, ...)", id);
    }
    int[][] flags = {data.addedTokens().lstrip(), data.addedTokens().rstrip(), data.addedTokens().singleWord(), data.addedTokens().normalized()};
    for (int i = 0; i < flags.length; i++) {
      for (int id : flags[i]) {
        require(id >= 0 && id < size, AddedTokenFlags.KEYS + AddedTokenFlags.NAMES.get(i), id);
      }
    }
    checkMerges();
  }

  private void checkTypes() {
    int[] types = data.tokenTypes();
    if (types == null) {
      return;
    }
    if (types.length != size) {
      throw new TokenizerException("tokenizer.ggml.token_type has " + types.length + " entries, tokenizer.ggml.tokens " + size);
    }
    for (int id = 0; id < size; id++) {
      if (types[id] < LEAST_TYPE || types[id] > MOST_TYPE) {
        throw new TokenizerException("tokenizer.ggml.token_type[" + id + "] = " + types[id] + ", expected " + LEAST_TYPE + " to " + MOST_TYPE);
      }
    }
  }

  /** No spelling twice: a text can become only one of the two. Empty ones stand for nothing. */
  private void checkSpellings() {
    for (int id = 0; id < size; id++) {
      int first = tokens.find(data.tokens().bytes, data.tokens().start(id), data.tokens().end(id));
      if (first != id && data.tokens().end(id) > data.tokens().start(id)) {
        throw new TokenizerException("tokenizer.ggml.tokens: tokens " + first + " and " + id + " are both \"" + data.tokens().get(id) + "\"");
      }
    }
  }

  private void checkIds(String key, int id) {
    require(id >= -1 && id < size, "tokenizer.ggml." + key, id);
  }

  private void require(boolean inside, String key, int id) {
    if (!inside) {
      throw new TokenizerException(key + " = " + id + " is outside the vocabulary of " + size + " tokens");
    }
  }

  /** Without merges no text becomes a token of several characters. */
  private void checkMerges() {
    if (data.merges().size() > 0 || "llama".equals(data.model())) {
      return;
    }
    int[] types = data.tokenTypes();
    IntStream.range(0, types == null ? 0 : size).filter(id -> types[id] == NORMAL && isLong(id)).findFirst().ifPresent(id -> {
      throw new TokenizerException("tokenizer.ggml.merges is missing or empty, without which no text becomes token " + id
          + ", \"" + tokens.spelling(id) + "\"");
    });
  }

  /** Whether a token is made of several characters by merges alone, as bytes and runs of newlines are not. */
  private boolean isLong(int id) {
    String spelling = tokens.spelling(id);
    return spelling.codePointCount(0, spelling.length()) > 1 && !spelling.isBlank() && !spelling.startsWith("<0x");
  }
}
