package io.github.dimple4j.core;

import java.io.Serial;

/** A call of the core that failed. */
public final class CoreException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  /** What went wrong: {@code dimple_status}, and the library that was not found. */
  public enum Kind { ARGUMENT, IO, FORMAT, UNSUPPORTED, STATE, LIMIT, MEMORY, CANCELLED, MODEL, NOT_FOUND, LIBRARY }

  private final Kind kind;

  /**
   * Creates the exception.
   *
   * @param kind what went wrong
   * @param message one line fit for a user
   * @param cause what it came from, or null
   */
  public CoreException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  /** What went wrong. */
  public Kind kind() {
    return kind;
  }
}
