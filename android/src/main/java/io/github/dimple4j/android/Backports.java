package io.github.dimple4j.android;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.NoSuchElementException;

/**
 * What the library calls and Android 14 does not have, as static methods of the same names whose first parameter is the object. The classes of
 * the AAR call these instead; what D8 itself supplies is not here.
 */
public final class Backports {
  private Backports() {}

  /** {@code List.getFirst}, of Java 21. */
  public static Object getFirst(List<?> list) {
    return list.get(filled(list, 0));
  }

  /** {@code List.getLast}, of Java 21. */
  public static Object getLast(List<?> list) {
    return list.get(filled(list, list.size() - 1));
  }

  /** {@code List.removeFirst}, of Java 21. */
  public static Object removeFirst(List<?> list) {
    return list.remove(filled(list, 0));
  }

  /** {@code List.removeLast}, of Java 21. */
  public static Object removeLast(List<?> list) {
    return list.remove(filled(list, list.size() - 1));
  }

  /** {@code List.addFirst}, of Java 21. */
  public static void addFirst(List<Object> list, Object element) {
    list.add(0, element);
  }

  /** {@code List.reversed}, of Java 21, whose result nobody here changes or sees change. */
  public static List<Object> reversed(List<?> list) {
    List<Object> copy = new ArrayList<>(list);
    Collections.reverse(copy);
    return Collections.unmodifiableList(copy);
  }

  /** {@code ByteBuffer.get(int, byte[])}, of Java 13. */
  public static ByteBuffer get(ByteBuffer buffer, int index, byte[] target) {
    ByteBuffer from = buffer.duplicate();
    from.position(index);
    from.get(target);
    return buffer;
  }

  private static int filled(List<?> list, int index) {
    if (list.isEmpty()) {
      throw new NoSuchElementException();
    }
    return index;
  }
}
