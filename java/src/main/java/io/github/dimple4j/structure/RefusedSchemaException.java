package io.github.dimple4j.structure;

import io.github.dimple4j.UnsupportedException;
import java.io.Serial;

/** A JSON Schema that is not held: the message names the keyword and where it stands. */
public final class RefusedSchemaException extends UnsupportedException {
  @Serial private static final long serialVersionUID = 1;

  /** Where the keyword stands. */
  private final String pointer;
  /** Why it is not held. */
  private final String reason;

  /**
   * Creates the exception.
   *
   * @param pointer JSON Pointer to the keyword, {@code #} for the whole schema
   * @param reason why it is not held
   */
  public RefusedSchemaException(String pointer, String reason) {
    super(pointer + ": " + reason);
    this.pointer = pointer;
    this.reason = reason;
  }

  /** {@return JSON Pointer to the keyword, as a fragment: {@code #/properties/tags/uniqueItems}} */
  public String pointer() {
    return pointer;
  }

  /** {@return why it is not held} */
  public String reason() {
    return reason;
  }
}
