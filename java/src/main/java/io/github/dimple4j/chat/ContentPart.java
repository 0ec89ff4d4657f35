package io.github.dimple4j.chat;

/** A piece of a message, in the order in which the model reads them. */
public sealed interface ContentPart {
  /**
   * Text.
   *
   * @param text any text
   */
  record Text(String text) implements ContentPart {}

  /** The place of a picture; the template writes its placeholder token there. */
  record Image() implements ContentPart {}
}
