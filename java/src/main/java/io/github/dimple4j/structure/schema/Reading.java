package io.github.dimple4j.structure.schema;

/**
 * Of regular expressions that implementations read differently, and of formats, which they check more or less closely. What is admitted is admitted by
 * every reading; that nothing is can be said only where no reading admits anything.
 */
enum Reading {
  /** What every reading admits. */
  EVERY,
  /** What some reading may admit. */
  SOME;

  /** Texts that every reading admits are those of which no reading admits the contrary. */
  Reading other() {
    return this == EVERY ? SOME : EVERY;
  }
}
