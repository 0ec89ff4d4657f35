package io.github.dimple4j;

import io.github.dimple4j.core.CoreException;
import java.lang.ref.Cleaner;
import java.util.function.Supplier;

/** Calls of the core, whose failures become the exceptions that users know. */
final class Engine {
  /** Frees what its owner forgot to close. Its thread is a daemon. */
  static final Cleaner CLEANER = Cleaner.create();

  private Engine() {}

  static <T> T call(Supplier<T> body) {
    try {
      return body.get();
    } catch (CoreException e) {
      throw exception(e);
    }
  }

  static DimpleException exception(CoreException e) {
    String message = e.getMessage();
    return switch (e.kind()) {
      case ARGUMENT -> new InvalidArgumentException(message);
      case IO, FORMAT, MODEL -> new ModelFileException(message);
      case UNSUPPORTED -> new UnsupportedException(message);
      case STATE -> new SessionStateException(message);
      case LIMIT -> new ContextLimitException(message);
      case CANCELLED -> new CancelledException(message);
      case LIBRARY -> new LibraryException(message, e.getCause());
      case MEMORY, NOT_FOUND -> new DimpleException(message, e.getCause());
    };
  }
}
