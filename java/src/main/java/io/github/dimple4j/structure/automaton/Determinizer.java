package io.github.dimple4j.structure.automaton;

import java.util.Arrays;
import java.util.BitSet;

/**
 * The subset construction. Most states of the graphs built here are deterministic as they stand; sets of one state therefore take a
 * short way without hashing.
 */
final class Determinizer {
  private final Graph graph;
  private final int limit;
  private final int[] cuts;
  private final int[] classOfByte; // a table where symbols are bytes
  private final int classes;

  private int states;
  private int[][] sets = new int[64][];
  private int[] next;
  private boolean[] accepting = new boolean[64];
  /** Of each graph state, the state for it with its free moves, and the state for exactly it; -1 where not made. */
  private final int[] ofClosure;
  private final int[] ofSingle;
  private int[] table = new int[256]; // hash table of sets of two and more: state + 1

  private final int[] mark;
  private int round;
  private int[] found = new int[16];
  private int foundCount;
  private int[] stack = new int[16];

  private Determinizer(Graph graph, int symbols, int limit) {
    this.graph = graph;
    this.limit = limit;
    this.cuts = cuts(graph, symbols);
    this.classes = cuts.length;
    this.classOfByte = symbols <= 256 ? table(cuts, symbols) : null;
    this.next = new int[64 * classes];
    this.ofClosure = filled(graph.size());
    this.ofSingle = filled(graph.size());
    this.mark = new int[graph.size()];
  }

  /** See {@link Dfa#of}. */
  static Dfa run(Graph graph, int start, int symbols, int limit) {
    if (start == Graph.NONE) {
      return Dfa.nothing();
    }
    Determinizer run = new Determinizer(graph, symbols, limit);
    run.explore(start);
    return new Dfa(run.cuts, Arrays.copyOf(run.next, run.states * run.classes), Arrays.copyOf(run.accepting, run.states), run.slots());
  }

  /** A state is in a slot if one of its members is: the bound then holds for every reading of the input. Of several the first. */
  private int[] slots() {
    if (!graph.hasSlots()) {
      return null;
    }
    int[] slots = new int[states];
    for (int state = 0; state < states; state++) {
      slots[state] = Arrays.stream(sets[state]).map(graph::slot).filter(slot -> slot >= 0).min().orElse(-1);
    }
    return slots;
  }

  private static int[] filled(int length) {
    int[] array = new int[length];
    Arrays.fill(array, -1);
    return array;
  }

  /** Where classes of symbols begin: no edge tells symbols between two cuts apart. */
  private static int[] cuts(Graph graph, int symbols) {
    int[] all = new int[2 * graph.edgeCount() + 1];
    int count = 1;
    if (symbols <= 256) {
      boolean[] cut = new boolean[symbols + 1];
      cut[0] = true;
      for (int edge = 0; edge < graph.edgeCount(); edge++) {
        if (graph.low(edge) >= 0) {
          cut[graph.low(edge)] = true;
          cut[graph.high(edge) + 1] = true;
        }
      }
      count = 0;
      all = new int[symbols];
      for (int symbol = 0; symbol < symbols; symbol++) {
        if (cut[symbol]) {
          all[count++] = symbol;
        }
      }
      return Arrays.copyOf(all, count);
    }
    for (int edge = 0; edge < graph.edgeCount(); edge++) {
      if (graph.low(edge) >= 0) {
        all[count++] = graph.low(edge);
        if (graph.high(edge) + 1 < symbols) {
          all[count++] = graph.high(edge) + 1;
        }
      }
    }
    return Arrays.stream(all, 0, count).sorted().distinct().toArray();
  }

  private static int[] table(int[] cuts, int symbols) {
    int[] table = new int[symbols];
    for (int i = 0; i < cuts.length; i++) {
      Arrays.fill(table, cuts[i], i + 1 < cuts.length ? cuts[i + 1] : symbols, i);
    }
    return table;
  }

  private int classOf(int symbol) {
    if (classOfByte != null) {
      return classOfByte[symbol];
    }
    int index = Arrays.binarySearch(cuts, symbol);
    return index >= 0 ? index : -index - 2;
  }

  private void explore(int start) {
    begin();
    visit(start);
    close(true, false);
    intern(true);
    int[][] targets = new int[classes][4];
    int[] counts = new int[classes];
    for (int state = 0; state < states; state++) {
      if (sets[state].length == 1 && deterministic(state)) {
        continue;
      }
      Arrays.fill(counts, 0);
      for (int member : sets[state]) {
        collect(member, targets, counts);
      }
      int same = -1;
      for (int c = 0; c < classes; c++) {
        int to = -1;
        if (counts[c] > 0) {
          boolean asBefore = same >= 0 && counts[c] == counts[c - 1] && same(targets[c], targets[c - 1], counts[c]);
          to = asBefore ? same : behind(targets[c], counts[c]);
        }
        next[state * classes + c] = to;
        same = to;
      }
    }
  }

  private static boolean same(int[] one, int[] other, int count) {
    return Arrays.equals(one, 0, count, other, 0, count);
  }

  /** Writes the row of a set of one graph state whose edges do not overlap; otherwise leaves it and says so. */
  private boolean deterministic(int state) {
    int row = state * classes;
    int member = sets[state][0];
    for (int edge = graph.firstEdge(member); edge != Graph.NONE; edge = graph.nextEdge(edge)) {
      if (graph.low(edge) < 0) {
        continue;
      }
      int from = classOf(graph.low(edge));
      int to = classOf(graph.high(edge));
      int target = closure(graph.target(edge));
      for (int c = from; c <= to; c++) {
        if (next[row + c] >= 0 && next[row + c] != target) {
          return false;
        }
        next[row + c] = target;
      }
    }
    return true;
  }

  private void collect(int member, int[][] targets, int[] counts) {
    for (int edge = graph.firstEdge(member); edge != Graph.NONE; edge = graph.nextEdge(edge)) {
      if (graph.low(edge) < 0) {
        continue;
      }
      int to = classOf(graph.high(edge));
      for (int c = classOf(graph.low(edge)); c <= to; c++) {
        if (counts[c] == targets[c].length) {
          targets[c] = Arrays.copyOf(targets[c], 2 * counts[c]);
        }
        targets[c][counts[c]++] = graph.target(edge);
      }
    }
  }

  private int behind(int[] targets, int count) {
    if (count == 1) {
      return closure(targets[0]);
    }
    begin();
    for (int i = 0; i < count; i++) {
      visit(targets[i]);
    }
    close(false, false);
    return intern(false);
  }

  private int closure(int target) {
    if (ofClosure[target] < 0) {
      begin();
      visit(target);
      close(false, false);
      ofClosure[target] = intern(false);
    }
    return ofClosure[target];
  }

  // A set under construction: members found so far, free moves followed. States that do nothing but move freely are left out.

  private void begin() {
    round++;
    foundCount = 0;
  }

  private void visit(int state) {
    if (mark[state] != round) {
      mark[state] = round;
      if (foundCount == found.length) {
        found = Arrays.copyOf(found, 2 * foundCount);
      }
      found[foundCount++] = state;
    }
  }

  private void close(boolean atStart, boolean atEnd) {
    for (int i = 0; i < foundCount; i++) {
      for (int edge = graph.firstEdge(found[i]); edge != Graph.NONE; edge = graph.nextEdge(edge)) {
        int kind = graph.low(edge);
        if (kind == Graph.FREE || kind == Graph.AT_START && atStart || kind == Graph.AT_END && atEnd) {
          visit(graph.target(edge));
        }
      }
    }
  }

  private boolean matters(int state) {
    if (graph.accepting(state)) {
      return true;
    }
    for (int edge = graph.firstEdge(state); edge != Graph.NONE; edge = graph.nextEdge(edge)) {
      if (graph.low(edge) >= 0 || graph.low(edge) == Graph.AT_END) {
        return true;
      }
    }
    return false;
  }

  /** The state for the set under construction. The start is one of its own: what stands at the start alone stands in no other. */
  private int intern(boolean start) {
    int count = 0;
    for (int i = 0; i < foundCount; i++) {
      if (matters(found[i])) {
        found[count++] = found[i];
      }
    }
    if (count == 1 && !start) {
      int only = found[0];
      if (ofSingle[only] < 0) {
        ofSingle[only] = add(new int[] {only}, false);
      }
      return ofSingle[only];
    }
    int[] set = Arrays.copyOf(found, count);
    Arrays.sort(set);
    if (start) {
      return add(set, true);
    }
    if (2 * states > table.length) {
      rehash();
    }
    int slot = slot(set);
    if (table[slot] == 0) {
      table[slot] = add(set, false) + 1;
    }
    return table[slot] - 1;
  }

  private int slot(int[] set) {
    int mask = table.length - 1;
    int hash = Arrays.hashCode(set);
    int slot = (hash ^ hash >>> 15) & mask;
    while (table[slot] != 0 && !Arrays.equals(sets[table[slot] - 1], set)) {
      slot = slot + 1 & mask;
    }
    return slot;
  }

  private void rehash() {
    int[] old = table;
    table = new int[4 * old.length];
    for (int entry : old) {
      if (entry != 0) {
        table[slot(sets[entry - 1])] = entry;
      }
    }
  }

  private int add(int[] set, boolean atStart) {
    if (states >= limit) {
      throw new TooManyStatesException(limit);
    }
    if (states == sets.length) {
      sets = Arrays.copyOf(sets, 2 * states);
      accepting = Arrays.copyOf(accepting, 2 * states);
      next = Arrays.copyOf(next, Math.multiplyExact(2 * states, classes));
    }
    Arrays.fill(next, states * classes, (states + 1) * classes, -1);
    sets[states] = set;
    accepting[states] = accepts(set, atStart);
    return states++;
  }

  private boolean accepts(int[] set, boolean atStart) {
    boolean conditional = false;
    for (int member : set) {
      if (graph.accepting(member)) {
        return true;
      }
      for (int edge = graph.firstEdge(member); edge != Graph.NONE && !conditional; edge = graph.nextEdge(edge)) {
        conditional = graph.low(edge) == Graph.AT_END;
      }
    }
    return conditional && acceptsAtEnd(set, atStart);
  }

  /** Follows the moves that stand only at the end; apart from the set under construction, whose array it would overwrite. */
  private boolean acceptsAtEnd(int[] set, boolean atStart) {
    BitSet seen = new BitSet();
    int depth = 0;
    if (stack.length < set.length) {
      stack = new int[set.length];
    }
    for (int member : set) {
      stack[depth++] = member;
      seen.set(member);
    }
    while (depth > 0) {
      int state = stack[--depth];
      if (graph.accepting(state)) {
        return true;
      }
      for (int edge = graph.firstEdge(state); edge != Graph.NONE; edge = graph.nextEdge(edge)) {
        boolean free = graph.low(edge) == Graph.FREE || graph.low(edge) == Graph.AT_END || graph.low(edge) == Graph.AT_START && atStart;
        if (free && !seen.get(graph.target(edge))) {
          seen.set(graph.target(edge));
          if (depth == stack.length) {
            stack = Arrays.copyOf(stack, 2 * depth);
          }
          stack[depth++] = graph.target(edge);
        }
      }
    }
    return false;
  }
}
