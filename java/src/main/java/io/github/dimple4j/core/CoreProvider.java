package io.github.dimple4j.core;

import java.util.function.Supplier;

/**
 * A way from Java to the C core, found by {@link java.util.ServiceLoader}. The system property {@code dimple.core} chooses one by its name;
 * without it the Foreign Function and Memory API is taken where there is one.
 */
public interface CoreProvider {
  /** How important what is logged is. */
  enum Level { DEBUG, WARNING }

  /** What it is called, as the property has it. */
  String name();

  /**
   * The engine.
   *
   * @return the same one with every call
   * @throws CoreException of kind {@link CoreException.Kind#LIBRARY} if its library cannot be loaded; a later call tries again
   */
  Core core();

  /**
   * Says something in the platform's log, under the name {@code io.github.dimple4j}.
   *
   * @param level how important it is
   * @param message made only if it is heard
   * @param failure what it is about; null: none
   */
  void log(Level level, Supplier<String> message, Throwable failure);
}
