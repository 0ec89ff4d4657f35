package io.github.dimple4j.json;

/** A text that is not JSON, or JSON that is not read: the message, one line, says what is wrong and where. */
public final class MalformedJsonException extends Exception {
  private static final long serialVersionUID = 1;

  MalformedJsonException(String message) {
    super(message);
  }
}
