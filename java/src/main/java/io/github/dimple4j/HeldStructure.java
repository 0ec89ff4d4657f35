package io.github.dimple4j;

import io.github.dimple4j.structure.ByteAutomaton;

/** The structure that a response has, in all of its canvases. */
record HeldStructure(ByteAutomaton automaton, Constraints constraints) {
  /** Holds the canvas that the core has, behind the answer so far, so that something fits the whole. {@code later} stands behind it. */
  void hold(SessionHandle handle, int[] later) {
    constraints.use(automaton, constraint -> {
      handle.run(core -> core.setConstraint(constraint, later));
      return null;
    });
  }
}
