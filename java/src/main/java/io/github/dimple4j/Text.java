package io.github.dimple4j;

import java.util.Objects;

/**
 * A text as a part of a user's message.
 *
 * @param text any text
 */
public record Text(String text) implements Part {
  /** Checks that the text is not null. */
  public Text {
    Objects.requireNonNull(text, "text");
  }
}
