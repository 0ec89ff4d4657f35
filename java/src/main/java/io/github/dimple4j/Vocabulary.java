package io.github.dimple4j;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.function.Supplier;

/** The tokens of a model as far as responses need them. */
final class Vocabulary {
  private final ModelInfo info;
  private final Supplier<Tokenizer> tokenizer;

  /** @param tokenizer throws NoTokenizerException if there is none */
  Vocabulary(ModelInfo info, Supplier<Tokenizer> tokenizer) {
    this.info = info;
    this.tokenizer = tokenizer;
  }

  Tokenizer tokenizer() {
    return tokenizer.get();
  }

  int mask() {
    return info.maskTokenId().orElseThrow(
        () -> new UnsupportedException("the model names no mask token, so it cannot fill a response"));
  }

  int[] masks(int count) {
    int[] masks = new int[count];
    Arrays.fill(masks, mask());
    return masks;
  }

  /** Whether a response ends here: with the end of a turn, or with padding, which is how Dimple was trained to end. */
  boolean endsText(int token) {
    return info.eosTokenId().orElse(-1) == token || info.padTokenId().orElse(-1) == token;
  }
}
