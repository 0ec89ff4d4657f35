package io.github.dimple4j.bindings;

import java.io.Serial;

/** No usable {@code libdimple} was found. The message, one line, lists every place tried and why it failed. */
public final class NativeLibraryException extends RuntimeException {
  @Serial private static final long serialVersionUID = 1;

  NativeLibraryException(String message) {
    super(message);
  }
}
