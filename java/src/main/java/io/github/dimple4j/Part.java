package io.github.dimple4j;

/** A part of a user's message: a text or a picture. */
public sealed interface Part permits Text, Image {
  /**
   * A text as a part of a message.
   *
   * @param text any text
   * @return the part
   */
  static Part text(String text) {
    return new Text(text);
  }
}
