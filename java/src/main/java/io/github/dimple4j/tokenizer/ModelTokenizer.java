package io.github.dimple4j.tokenizer;

import java.util.Objects;
import java.util.Optional;

/**
 * A tokenizer for a model file that has none, and how its conversations are written; {@code TokenizerReader} of module
 * {@code io.github.dimple4j.gguf} reads one.
 *
 * @param data what a tokenizer is made of
 * @param chatTemplate the Jinja program of its chat template, if there is one
 * @param toolTemplate that of conversations with tools, if there is one of its own
 */
public record ModelTokenizer(TokenizerData data, Optional<String> chatTemplate, Optional<String> toolTemplate) {
  /** Checks that nothing is null. */
  public ModelTokenizer {
    Objects.requireNonNull(data, "data");
    Objects.requireNonNull(chatTemplate, "chatTemplate");
    Objects.requireNonNull(toolTemplate, "toolTemplate");
  }

  /**
   * One template for all conversations.
   *
   * @param data what a tokenizer is made of
   * @param chatTemplate the Jinja program of its chat template, if there is one
   */
  public ModelTokenizer(TokenizerData data, Optional<String> chatTemplate) {
    this(data, chatTemplate, Optional.empty());
  }

  /**
   * Its size, for logs.
   *
   * @return for example {@code "ModelTokenizer[gpt2, 152064 tokens]"}
   */
  @Override
  public String toString() {
    return "ModelTokenizer[" + data.model() + ", " + data.tokens().size() + " tokens]";
  }
}
