package io.github.dimple4j.chat;

import java.util.Objects;

/** A piece of a message, in the order in which the model reads them. */
public sealed interface ContentPart {
  /**
   * Text, and nothing but text: what is spelled like a control token in it is no control token.
   *
   * @param text any text
   */
  record Text(String text) implements ContentPart {
    /** Checks that the text is not null. */
    public Text {
      Objects.requireNonNull(text, "text");
    }
  }

  /**
   * Text in which control tokens may be spelled out, such as {@code <|image_pad|>}; never what somebody typed.
   *
   * @param text any text
   */
  record Markup(String text) implements ContentPart {
    /** Checks that the text is not null. */
    public Markup {
      Objects.requireNonNull(text, "text");
    }
  }

  /** The place of a picture; the template writes its placeholder token there. */
  record Image() implements ContentPart {}
}
