package io.github.dimple4j;

import io.github.dimple4j.bindings.Dimple;
import io.github.dimple4j.bindings.NativeLibrary;
import io.github.dimple4j.bindings.NativeLibraryException;
import java.lang.ref.Cleaner;

/** Loading the library, and its status codes as exceptions. */
final class Native {
  /** Frees what its owner forgot to close. Its thread is a daemon. */
  static final Cleaner CLEANER = Cleaner.create();

  private Native() {}

  static void load() {
    try {
      NativeLibrary.load();
    } catch (NativeLibraryException e) {
      throw new LibraryException(e.getMessage(), e);
    }
  }

  /** Throws the exception of a failed call; see {@link #failure}. */
  static void check(int status) {
    DimpleException failure = failure(status);
    if (failure != null) {
      throw failure;
    }
  }

  /**
   * The exception of a failed call, or null. The message is kept per native thread, so this must follow the call with nothing in
   * between that could block: a virtual thread may go on elsewhere after that.
   */
  static DimpleException failure(int status) {
    return status == Dimple.DIMPLE_OK() ? null : exception(status, Dimple.dimple_last_error().getString(0));
  }

  private static DimpleException exception(int status, String message) {
    if (status == Dimple.DIMPLE_ERROR_ARGUMENT()) {
      return new InvalidArgumentException(message);
    } else if (status == Dimple.DIMPLE_ERROR_IO() || status == Dimple.DIMPLE_ERROR_FORMAT()) {
      return new ModelFileException(message);
    } else if (status == Dimple.DIMPLE_ERROR_UNSUPPORTED()) {
      return new UnsupportedException(message);
    } else if (status == Dimple.DIMPLE_ERROR_STATE()) {
      return new SessionStateException(message);
    } else if (status == Dimple.DIMPLE_ERROR_LIMIT()) {
      return new ContextLimitException(message);
    } else if (status == Dimple.DIMPLE_ERROR_CANCELLED()) {
      return new CancelledException(message);
    }
    return new DimpleException(message);
  }
}
