package io.github.dimple4j.gguf;

import io.github.dimple4j.file.Printable;

/**
 * A file or a request that these tools refuse: a damaged or unsupported file, a checkpoint that does not fit its
 * configuration, an output that exists. The message is one line that names the file and the thing in it and says what was
 * expected. Refusals of the operating system are {@link java.io.IOException}s instead.
 */
public final class GgufException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message one line, fit for a user
   */
  public GgufException(String message) {
    super(Printable.line(message));
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message one line, fit for a user
   * @param cause what went wrong underneath
   */
  public GgufException(String message, Throwable cause) {
    super(Printable.line(message), cause);
  }
}
