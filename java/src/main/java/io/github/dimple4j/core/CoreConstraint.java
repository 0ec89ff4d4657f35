package io.github.dimple4j.core;

/** A compiled automaton. Immutable; any thread. */
public interface CoreConstraint {
  /** Facts about it. */
  ConstraintFacts facts();

  /** Frees it; sessions that use it go on. Once. */
  void free();
}
