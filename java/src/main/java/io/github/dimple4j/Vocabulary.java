package io.github.dimple4j;

import io.github.dimple4j.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.BitSet;
import java.util.function.Supplier;

/** The tokens of a model as far as responses need them. */
final class Vocabulary {
  private final ModelInfo info;
  private final Supplier<Tokenizer> tokenizer;
  private final BitSet ends = new BitSet();
  private AnswerMarkup markup; // null until it is asked for

  /**
   * @param tokenizer throws NoTokenizerException if there is none
   * @param ends the tokens that end a text
   */
  Vocabulary(ModelInfo info, Supplier<Tokenizer> tokenizer, int... ends) {
    this.info = info;
    this.tokenizer = tokenizer;
    Arrays.stream(ends).forEach(this.ends::set);
  }

  Tokenizer tokenizer() {
    return tokenizer.get();
  }

  /** What is apart from the text of an answer. */
  synchronized AnswerMarkup markup() {
    if (markup == null) {
      markup = AnswerMarkup.of(tokenizer());
    }
    return markup;
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

  /** Whether a response ends here. The mask token never is an end, whatever a file says. */
  boolean endsText(int token) {
    return ends.get(token) && token != mask();
  }
}
