package io.github.dimple4j.structure.automaton;

import java.util.Arrays;
import java.util.BitSet;

/**
 * A nondeterministic automaton under construction: states, edges over ranges of symbols (bytes or code points), and free moves.
 *
 * <p>It is built from the end: what follows a part is a state already, so a part is a method that takes the state behind it and
 * returns the state before it, or {@link #NONE} where nothing can stand. No state made that way is a dead end.
 */
public final class Graph {
  /** No state: the part accepts nothing. */
  public static final int NONE = -1;

  /** Marks of moves without a symbol, in the place of an edge's first symbol. */
  static final int FREE = -1;
  static final int AT_START = -2;
  static final int AT_END = -3;

  private final int limit;
  private int states;
  private int[] head = new int[256];
  private int edges;
  private int[] first = new int[512];
  private int[] last = new int[512];
  private int[] target = new int[512];
  private int[] following = new int[512];
  private final BitSet accepting = new BitSet();
  private int[] slots = new int[0]; // of each state its slot + 1, as far as any has one

  /**
   * An empty graph.
   *
   * @param limit states it may grow to
   */
  public Graph(int limit) {
    this.limit = limit;
  }

  /**
   * Adds a state without edges.
   *
   * @return the state
   * @throws TooManyStatesException behind the limit
   */
  public int state() {
    if (states >= limit) {
      throw new TooManyStatesException(limit);
    }
    if (states == head.length) {
      head = Arrays.copyOf(head, 2 * states);
    }
    head[states] = NONE;
    return states++;
  }

  /**
   * Adds a state where the input may end.
   *
   * @return the state
   */
  public int acceptingState() {
    int state = state();
    accepting.set(state);
    return state;
  }

  /**
   * Adds an edge.
   *
   * @param from where it starts
   * @param low first symbol
   * @param high last symbol
   * @param to where it leads
   */
  public void edge(int from, int low, int high, int to) {
    if (edges == first.length) {
      int room = 2 * edges;
      first = Arrays.copyOf(first, room);
      last = Arrays.copyOf(last, room);
      target = Arrays.copyOf(target, room);
      following = Arrays.copyOf(following, room);
    }
    first[edges] = low;
    last[edges] = high;
    target[edges] = to;
    following[edges] = head[from];
    head[from] = edges++;
  }

  /**
   * Adds a move without a symbol.
   *
   * @param from where it starts
   * @param to where it leads; with {@link #NONE} nothing is added
   */
  public void free(int from, int to) {
    if (to != NONE) {
      edge(from, FREE, FREE, to);
    }
  }

  /** A move that stands only before the first symbol. */
  public void freeAtStart(int from, int to) {
    edge(from, AT_START, AT_START, to);
  }

  /** A move that stands only behind the last symbol. */
  public void freeAtEnd(int from, int to) {
    edge(from, AT_END, AT_END, to);
  }

  /**
   * The symbols one after the other.
   *
   * @param symbols bytes, unsigned
   * @param to the state behind them
   * @return the state before them
   */
  public int literal(byte[] symbols, int to) {
    int state = to;
    for (int i = symbols.length - 1; i >= 0 && state != NONE; i--) {
      int before = state();
      int symbol = Byte.toUnsignedInt(symbols[i]);
      edge(before, symbol, symbol, state);
      state = before;
    }
    return state;
  }

  /**
   * One symbol.
   *
   * @param symbol the symbol
   * @param to the state behind it
   * @return the state before it
   */
  public int symbol(int symbol, int to) {
    if (to == NONE) {
      return NONE;
    }
    int before = state();
    edge(before, symbol, symbol, to);
    return before;
  }

  /**
   * One way or another.
   *
   * @param ways states, some of them perhaps {@link #NONE}
   * @return a state from which all of them go, or {@link #NONE} if there is none
   */
  public int either(int... ways) {
    int count = 0;
    int only = NONE;
    for (int way : ways) {
      if (way != NONE && way != only) {
        count++;
        only = way;
      }
    }
    if (count <= 1) {
      return only;
    }
    int state = state();
    for (int way : ways) {
      free(state, way);
    }
    return state;
  }

  /** How many states there are. */
  public int size() {
    return states;
  }

  /**
   * Puts states into a slot, a part of the input whose length is bounded by other means.
   *
   * @param from the first state
   * @param to behind the last one
   * @param slot its number, from 0
   */
  public void slot(int from, int to, int slot) {
    slots = Arrays.copyOf(slots, Math.max(slots.length, to));
    Arrays.fill(slots, from, to, slot + 1);
  }

  boolean hasSlots() {
    return slots.length > 0;
  }

  /** The slot of a state, or {@link #NONE}. */
  int slot(int state) {
    return state < slots.length ? slots[state] - 1 : NONE;
  }

  int edgeCount() {
    return edges;
  }

  boolean accepting(int state) {
    return accepting.get(state);
  }

  /** The first edge of a state, or {@link #NONE}. */
  int firstEdge(int state) {
    return head[state];
  }

  /** The next edge of the same state, or {@link #NONE}. */
  int nextEdge(int edge) {
    return following[edge];
  }

  int low(int edge) {
    return first[edge];
  }

  int high(int edge) {
    return last[edge];
  }

  int target(int edge) {
    return target[edge];
  }
}
