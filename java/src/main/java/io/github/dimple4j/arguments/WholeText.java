package io.github.dimple4j.arguments;

import io.github.dimple4j.InvalidArgumentException;
import io.github.dimple4j.structure.json.Utf8Edges;

/** Text that has all of its characters. Halves of surrogate pairs, as a text has that is cut within one, would become U+FFFD on the way to the model. */
public final class WholeText {
  private WholeText() {}

  /**
   * A text as it is.
   *
   * @param text any text
   * @param what what a message calls it
   * @return the text
   * @throws InvalidArgumentException if it has half of a surrogate pair
   */
  public static String of(String text, String what) {
    if (!Utf8Edges.isText(text)) {
      throw new InvalidArgumentException(what + " has half of a surrogate pair, which is no character");
    }
    return text;
  }
}
