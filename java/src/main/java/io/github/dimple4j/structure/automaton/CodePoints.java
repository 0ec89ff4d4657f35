package io.github.dimple4j.structure.automaton;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntPredicate;

/** A set of Unicode scalar values: code points without the surrogates. Immutable. */
public final class CodePoints {
  /** All of them. */
  public static final CodePoints ALL = new CodePoints(new int[] {0, 0xD7FF, 0xE000, Character.MAX_CODE_POINT});
  /** None. */
  public static final CodePoints NONE = new CodePoints(new int[0]);

  private final int[] bounds; // first and last of each range, rising, no two of them touching

  private CodePoints(int[] bounds) {
    this.bounds = bounds;
  }

  /** From one code point to another, both included; surrogates in between are left out. */
  public static CodePoints range(int first, int last) {
    return new CodePoints(first <= last ? new int[] {first, last} : new int[0]).and(ALL);
  }

  /** The characters of a text. */
  public static CodePoints of(String characters) {
    CodePoints all = NONE;
    for (int point : characters.codePoints().toArray()) {
      all = all.or(range(point, point));
    }
    return all;
  }

  /** All that a test is true of. */
  public static CodePoints where(IntPredicate test) {
    List<int[]> ranges = new ArrayList<>();
    int start = -1;
    for (int point = 0; point <= Character.MAX_CODE_POINT + 1; point++) {
      boolean in = point <= Character.MAX_CODE_POINT && (point < 0xD800 || point > 0xDFFF) && test.test(point);
      if (in && start < 0) {
        start = point;
      } else if (!in && start >= 0) {
        ranges.add(new int[] {start, point - 1});
        start = -1;
      }
    }
    return new CodePoints(ranges.stream().flatMapToInt(Arrays::stream).toArray());
  }

  /** How many ranges it consists of. */
  public int ranges() {
    return bounds.length / 2;
  }

  /** The first of a range. */
  public int first(int range) {
    return bounds[2 * range];
  }

  /** The last of a range. */
  public int last(int range) {
    return bounds[2 * range + 1];
  }

  /** Whether it is empty. */
  public boolean isEmpty() {
    return bounds.length == 0;
  }

  /** Whether a code point is in it. */
  public boolean contains(int point) {
    int index = Arrays.binarySearch(bounds, point);
    return index >= 0 || (-index - 1) % 2 == 1;
  }

  /** What is in one or the other. */
  public CodePoints or(CodePoints other) {
    return not(not(this).and(not(other)));
  }

  /** What is in both. */
  public CodePoints and(CodePoints other) {
    int[] both = new int[bounds.length + other.bounds.length];
    int count = 0;
    int i = 0;
    int j = 0;
    while (i < bounds.length && j < other.bounds.length) {
      int low = Math.max(bounds[i], other.bounds[j]);
      int high = Math.min(bounds[i + 1], other.bounds[j + 1]);
      if (low <= high) {
        both[count++] = low;
        both[count++] = high;
      }
      if (bounds[i + 1] < other.bounds[j + 1]) {
        i += 2;
      } else {
        j += 2;
      }
    }
    return new CodePoints(Arrays.copyOf(both, count));
  }

  /** What is in this one and not in the other. */
  public CodePoints minus(CodePoints other) {
    return and(not(other));
  }

  private static CodePoints not(CodePoints set) {
    List<int[]> ranges = new ArrayList<>();
    int from = 0;
    for (int i = 0; i < set.bounds.length; i += 2) {
      if (from < set.bounds[i]) {
        ranges.add(new int[] {from, set.bounds[i] - 1});
      }
      from = set.bounds[i + 1] + 1;
    }
    if (from <= Character.MAX_CODE_POINT) {
      ranges.add(new int[] {from, Character.MAX_CODE_POINT});
    }
    return new CodePoints(ranges.stream().flatMapToInt(Arrays::stream).toArray()).and(ALL);
  }

  /**
   * Adds edges for all of them.
   *
   * @param graph over code points
   * @param from the state before
   * @param to the state behind
   */
  public void edges(Graph graph, int from, int to) {
    for (int i = 0; i < bounds.length; i += 2) {
      graph.edge(from, bounds[i], bounds[i + 1], to);
    }
  }
}
