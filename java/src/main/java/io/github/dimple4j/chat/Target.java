package io.github.dimple4j.chat;

import java.util.List;

/** What a value is assigned to. */
sealed interface Target {
  void bind(Object value, Rendering rendering);

  /** A name. */
  record Name(String name) implements Target {
    @Override
    public void bind(Object value, Rendering rendering) {
      rendering.assign(name, value);
    }
  }

  /** {@code a, b}: each gets one of as many elements. */
  record Several(List<Target> targets) implements Target {
    @Override
    public void bind(Object value, Rendering rendering) {
      List<Object> parts = Operations.elements(value, rendering);
      if (parts.size() != targets.size()) {
        throw rendering.error(targets.size() + " names for " + parts.size() + " values");
      }
      for (int i = 0; i < parts.size(); i++) {
        targets.get(i).bind(parts.get(i), rendering);
      }
    }
  }
}
