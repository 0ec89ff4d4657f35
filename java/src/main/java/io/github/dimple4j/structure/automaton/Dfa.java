package io.github.dimple4j.structure.automaton;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * A deterministic automaton over symbols 0 and up: bytes, or code points. Symbols that no edge tells apart share a class. State 0 is
 * the start. Immutable.
 */
public final class Dfa {
  /** Symbols of automata over bytes. */
  public static final int BYTES = 256;
  /** Symbols of automata over code points. */
  public static final int CODE_POINTS = Character.MAX_CODE_POINT + 1;

  private final int[] cuts;
  private final int[] next;
  private final boolean[] accepting;
  private final int[] slots;

  /**
   * Takes its arrays as they are.
   *
   * @param cuts the first symbol of each class, rising from 0
   * @param next {@code [states x classes]}, -1 where there is no way
   * @param accepting of each state
   * @param slots of each state its slot or -1; null if there are no slots
   */
  Dfa(int[] cuts, int[] next, boolean[] accepting, int[] slots) {
    this.cuts = cuts;
    this.next = next;
    this.accepting = accepting;
    this.slots = slots;
  }

  /**
   * The subset construction.
   *
   * @param graph what to make deterministic
   * @param start where it starts; {@link Graph#NONE} accepts nothing
   * @param symbols {@link #BYTES} or {@link #CODE_POINTS}
   * @param limit states it may have
   * @return the automaton
   * @throws TooManyStatesException behind the limit
   */
  public static Dfa of(Graph graph, int start, int symbols, int limit) {
    return Determinizer.run(graph, start, symbols, limit);
  }

  /** The automaton that accepts nothing. */
  public static Dfa nothing() {
    return new Dfa(new int[] {0}, new int[] {-1}, new boolean[] {false}, null);
  }

  /** How many states there are, at least one. */
  public int states() {
    return accepting.length;
  }

  /** How many classes of symbols there are, at least one. */
  public int classes() {
    return cuts.length;
  }

  /** The first symbol of a class. */
  public int firstOf(int symbolClass) {
    return cuts[symbolClass];
  }

  /** The state behind a state and a class, or -1. */
  public int next(int state, int symbolClass) {
    return next[state * cuts.length + symbolClass];
  }

  /** Whether the input may end in a state. */
  public boolean accepting(int state) {
    return accepting[state];
  }

  /** Whether there are slots. */
  public boolean hasSlots() {
    return slots != null;
  }

  /** The slot of a state, or -1. */
  public int slot(int state) {
    return slots == null ? -1 : slots[state];
  }

  /** Whether it accepts a text's code points. */
  public boolean accepts(String text) {
    int state = 0;
    for (int i = 0; i < text.length() && state >= 0; i += Character.charCount(text.codePointAt(i))) {
      int index = Arrays.binarySearch(cuts, text.codePointAt(i));
      state = next(state, index >= 0 ? index : -index - 2);
    }
    return state >= 0 && accepting[state];
  }

  /** Whether it accepts nothing. */
  public boolean isEmpty() {
    return !useful()[0];
  }

  /** Of each state, whether an end can be reached from it. */
  private boolean[] useful() {
    int classes = cuts.length;
    int[] count = new int[accepting.length + 1];
    for (int to : next) {
      if (to >= 0) {
        count[to + 1]++;
      }
    }
    for (int i = 1; i < count.length; i++) {
      count[i] += count[i - 1];
    }
    int[] sources = new int[count[accepting.length]];
    int[] filled = Arrays.copyOf(count, accepting.length);
    for (int i = 0; i < next.length; i++) {
      if (next[i] >= 0) {
        sources[filled[next[i]]++] = i / classes;
      }
    }
    boolean[] useful = accepting.clone();
    int[] stack = new int[accepting.length];
    int depth = 0;
    for (int state = 0; state < accepting.length; state++) {
      if (useful[state]) {
        stack[depth++] = state;
      }
    }
    while (depth > 0) {
      int state = stack[--depth];
      for (int i = count[state]; i < count[state + 1]; i++) {
        if (!useful[sources[i]]) {
          useful[sources[i]] = true;
          stack[depth++] = sources[i];
        }
      }
    }
    return useful;
  }

  /** The same without states from which no end can be reached. */
  public Dfa trimmed() {
    boolean[] useful = useful();
    if (!useful[0]) {
      return nothing();
    }
    int[] name = new int[accepting.length];
    int count = 0;
    for (int state = 0; state < name.length; state++) {
      name[state] = useful[state] ? count++ : -1;
    }
    if (count == name.length) {
      return this;
    }
    int classes = cuts.length;
    int[] kept = new int[count * classes];
    boolean[] ends = new boolean[count];
    int[] kinds = slots == null ? null : new int[count];
    for (int state = 0; state < name.length; state++) {
      if (useful[state]) {
        ends[name[state]] = accepting[state];
        if (kinds != null) {
          kinds[name[state]] = slots[state];
        }
        for (int c = 0; c < classes; c++) {
          int to = next[state * classes + c];
          kept[name[state] * classes + c] = to < 0 ? -1 : name[to];
        }
      }
    }
    return new Dfa(cuts, kept, ends, kinds);
  }

  /** The least automaton that accepts the same, in the same slots. */
  public Dfa minimal() {
    Dfa trimmed = trimmed();
    Dfa least = Minimizer.run(trimmed.cuts, trimmed.next, trimmed.accepting, trimmed.slots);
    return least.withFewerCuts();
  }

  /** Neighbouring classes that are alike become one. */
  private Dfa withFewerCuts() {
    int classes = cuts.length;
    int[] kept = new int[classes];
    int count = 0;
    for (int c = 0; c < classes; c++) {
      if (c == 0 || !alike(c - 1, c)) {
        kept[count++] = c;
      }
    }
    if (count == classes) {
      return this;
    }
    int[] fewer = new int[count];
    int[] table = new int[accepting.length * count];
    for (int i = 0; i < count; i++) {
      fewer[i] = cuts[kept[i]];
      for (int state = 0; state < accepting.length; state++) {
        table[state * count + i] = next[state * classes + kept[i]];
      }
    }
    return new Dfa(fewer, table, accepting, slots);
  }

  private boolean alike(int one, int other) {
    int classes = cuts.length;
    for (int row = 0; row < next.length; row += classes) {
      if (next[row + one] != next[row + other]) {
        return false;
      }
    }
    return true;
  }

  /**
   * What both accept.
   *
   * @param other over the same symbols
   * @param limit states the result may have
   * @return the intersection, the least automaton
   */
  public Dfa and(Dfa other, int limit) {
    return product(other, false, limit).minimal();
  }

  /**
   * What this one accepts and the other does not.
   *
   * @param other over the same symbols
   * @param limit states the result may have
   * @return the difference, the least automaton
   */
  public Dfa minus(Dfa other, int limit) {
    return product(other, true, limit).minimal();
  }

  private Dfa product(Dfa other, boolean minus, int limit) {
    int[] merged = new int[cuts.length + other.cuts.length];
    System.arraycopy(cuts, 0, merged, 0, cuts.length);
    System.arraycopy(other.cuts, 0, merged, cuts.length, other.cuts.length);
    merged = Arrays.stream(merged).sorted().distinct().toArray();
    int classes = merged.length;
    int[] mine = new int[classes];
    int[] its = new int[classes];
    for (int c = 0, a = 0, b = 0; c < classes; c++) {
      a += a + 1 < cuts.length && cuts[a + 1] <= merged[c] ? 1 : 0;
      b += b + 1 < other.cuts.length && other.cuts[b + 1] <= merged[c] ? 1 : 0;
      mine[c] = a;
      its[c] = b;
    }
    Map<Long, Integer> names = new HashMap<>();
    List<int[]> pairs = new ArrayList<>();
    names.put(0L, 0);
    pairs.add(new int[] {0, 0});
    int[] table = new int[16 * classes];
    for (int state = 0; state < pairs.size(); state++) {
      int[] pair = pairs.get(state);
      if ((state + 1) * classes > table.length) {
        table = Arrays.copyOf(table, 2 * table.length);
      }
      for (int c = 0; c < classes; c++) {
        int a = next(pair[0], mine[c]);
        int b = pair[1] < 0 ? -1 : other.next(pair[1], its[c]);
        int to = -1;
        if (a >= 0 && (b >= 0 || minus)) {
          long key = (long) a << 32 | b & 0xFFFFFFFFL;
          Integer known = names.get(key);
          if (known == null) {
            if (pairs.size() >= limit) {
              throw new TooManyStatesException(limit);
            }
            known = pairs.size();
            names.put(key, known);
            pairs.add(new int[] {a, b});
          }
          to = known;
        }
        table[state * classes + c] = to;
      }
    }
    boolean[] ends = new boolean[pairs.size()];
    for (int state = 0; state < ends.length; state++) {
      int[] pair = pairs.get(state);
      boolean there = pair[1] >= 0 && other.accepting[pair[1]];
      ends[state] = accepting[pair[0]] && there != minus;
    }
    return new Dfa(merged, Arrays.copyOf(table, ends.length * classes), ends, null);
  }
}
