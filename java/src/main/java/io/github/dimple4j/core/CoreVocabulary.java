package io.github.dimple4j.core;

/** The tokens of a model as bytes. Immutable; any thread. */
public interface CoreVocabulary {
  /** Compiles an automaton. */
  CoreConstraint constraint(CoreAutomaton automaton);

  /** Frees it; constraints made from it live on. Once. */
  void free();
}
