package io.github.dimple4j.core;

/**
 * A way from Java to the C core, found by {@link java.util.ServiceLoader}. The system property {@code dimple.core} chooses one by its name;
 * without it the Foreign Function and Memory API is taken where there is one.
 */
public interface CoreProvider {
  /** What it is called, as the property has it. */
  String name();

  /**
   * The engine.
   *
   * @return the same one with every call
   * @throws CoreException of kind {@link CoreException.Kind#LIBRARY} if its library cannot be loaded; a later call tries again
   */
  Core core();
}
