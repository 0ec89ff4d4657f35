package io.github.dimple4j;

import java.util.List;
import java.util.Objects;

/** Arrays as callers give them, none of whose elements may be null. */
final class Elements {
  private Elements() {}

  /**
   * A copy.
   *
   * @param name the argument's, for the message about a null
   */
  static <T> List<T> of(T[] elements, String name) {
    Objects.requireNonNull(elements, name);
    for (int i = 0; i < elements.length; i++) {
      if (elements[i] == null) {
        throw new NullPointerException(name + "[" + i + "]");
      }
    }
    return List.of(elements);
  }
}
