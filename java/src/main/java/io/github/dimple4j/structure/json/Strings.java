package io.github.dimple4j.structure.json;

import io.github.dimple4j.structure.automaton.Dfa;

/** How strings, and the names of properties, are spelled. Every method takes the state behind and returns the state before. */
interface Strings {
  /** A given text; nothing if it cannot be spelled. */
  int literal(String text, int to);

  /** A text that an automaton over code points accepts, trimmed. */
  int accepted(Dfa texts, int to);

  /** Any text. */
  int any(int to);

  /** A given name. */
  default int name(String text, int to) {
    return literal(text, to);
  }

  /** A name that an automaton over code points accepts, trimmed. */
  default int name(Dfa texts, int to) {
    return accepted(texts, to);
  }

  /** Any name. */
  default int anyName(int to) {
    return any(to);
  }
}
