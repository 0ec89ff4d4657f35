package io.github.dimple4j.arguments;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;

/** Arrays, lists and mappings as callers give them: copied, and none of whose elements may be null. */
public final class Elements {
  private Elements() {}

  /**
   * A copy as a list.
   *
   * @param <T> the elements' type
   * @param elements an array
   * @param name what a message calls it
   * @return the elements
   * @throws NullPointerException if it is null, or one of its elements: the message is the name, for an element {@code name[i]}
   */
  public static <T> List<T> of(T[] elements, String name) {
    return of(Arrays.asList(Objects.requireNonNull(elements, name)), name);
  }

  /**
   * A copy of a list.
   *
   * @param <T> the elements' type
   * @param elements a list
   * @param name what a message calls it
   * @return the elements
   * @throws NullPointerException as for an array
   */
  public static <T> List<T> of(List<? extends T> elements, String name) {
    Object[] copy = Objects.requireNonNull(elements, name).toArray();
    for (int i = 0; i < copy.length; i++) {
      if (copy[i] == null) {
        throw new NullPointerException(name + "[" + i + "]");
      }
    }
    @SuppressWarnings("unchecked") // they are the list's
    List<T> all = (List<T>) (List<?>) List.of(copy);
    return all;
  }

  /**
   * A copy of a mapping, in the keys' own order.
   *
   * @param <K> the keys' type
   * @param <V> the values' type
   * @param entries a mapping
   * @param name what a message calls it
   * @return the entries
   * @throws NullPointerException if it is null, or a key or a value is: the message is the name, for a value {@code name[key]}
   */
  public static <K extends Comparable<K>, V> SortedMap<K, V> of(Map<? extends K, ? extends V> entries, String name) {
    SortedMap<K, V> copy = new TreeMap<>();
    Objects.requireNonNull(entries, name).forEach((key, value) ->
        copy.put(Objects.requireNonNull(key, name + "[null]"), Objects.requireNonNull(value, name + "[" + key + "]")));
    return copy;
  }
}
