package io.github.dimple4j.structure.automaton;

import java.util.Arrays;

/**
 * The least deterministic automaton: refinement of states and of edges in turn, as in A. Valmari and P. Lehtinen, "Efficient
 * minimization of DFAs with partial transition functions" (STACS 2008), which needs no sink and costs {@code m log n} for m edges.
 */
final class Minimizer {
  private Minimizer() {}

  /** A partition of 0 .. n - 1 that is refined by marking elements and splitting the sets they lie in. */
  private static final class Partition {
    private final int[] elements;
    private final int[] place;
    private final int[] setOf;
    private final int[] first;
    private final int[] past;
    private final int[] marked;
    private final int[] touched;
    private int touchedCount;
    private int sets;

    Partition(int n) {
      elements = new int[n];
      place = new int[n];
      setOf = new int[n];
      first = new int[n + 1];
      past = new int[n + 1];
      marked = new int[n + 1];
      touched = new int[n + 1];
      sets = n == 0 ? 0 : 1;
      for (int i = 0; i < n; i++) {
        elements[i] = i;
        place[i] = i;
      }
      past[0] = n;
    }

    void mark(int element) {
      int set = setOf[element];
      int to = first[set] + marked[set];
      int from = place[element];
      elements[from] = elements[to];
      place[elements[from]] = from;
      elements[to] = element;
      place[element] = to;
      if (marked[set]++ == 0) {
        touched[touchedCount++] = set;
      }
    }

    void split() {
      while (touchedCount > 0) {
        int set = touched[--touchedCount];
        int border = first[set] + marked[set];
        if (border < past[set]) {
          if (marked[set] <= past[set] - border) {
            first[sets] = first[set];
            past[sets] = border;
            first[set] = border;
          } else {
            past[sets] = past[set];
            first[sets] = border;
            past[set] = border;
          }
          for (int i = first[sets]; i < past[sets]; i++) {
            setOf[elements[i]] = sets;
          }
          marked[sets++] = 0;
        }
        marked[set] = 0;
      }
    }
  }

  /** All states can reach an end; the result is numbered in the order of first sight from the start. */
  static Dfa run(int[] cuts, int[] next, boolean[] accepting, int[] slots) {
    int classes = cuts.length;
    int n = accepting.length;
    int m = 0;
    int[] incomingStart = new int[n + 1];
    int[] ofClass = new int[classes + 1];
    for (int i = 0; i < next.length; i++) {
      if (next[i] >= 0) {
        m++;
        incomingStart[next[i] + 1]++;
        ofClass[i % classes + 1]++;
      }
    }
    Partition edges = new Partition(m);
    int[] tail = new int[m];
    int[] incoming = new int[m];
    sum(incomingStart);
    sum(ofClass);
    // Edges are numbered by class, so that the first sets, one for each class, are ranges.
    edges.sets = 0;
    for (int c = 0; c < classes; c++) {
      if (ofClass[c] < ofClass[c + 1]) {
        edges.first[edges.sets] = ofClass[c];
        edges.past[edges.sets] = ofClass[c + 1];
        Arrays.fill(edges.setOf, ofClass[c], ofClass[c + 1], edges.sets++);
      }
    }
    int[] placed = ofClass.clone();
    int[] filled = incomingStart.clone();
    for (int i = 0; i < next.length; i++) {
      if (next[i] >= 0) {
        int edge = placed[i % classes]++;
        tail[edge] = i / classes;
        incoming[filled[next[i]]++] = edge;
      }
    }
    Partition blocks = new Partition(n);
    for (int state = 0; state < n; state++) {
      if (accepting[state]) {
        blocks.mark(state);
      }
    }
    blocks.split();
    int slotCount = slots == null ? 0 : Arrays.stream(slots).max().orElse(-1) + 1;
    for (int slot = 0; slot < slotCount; slot++) {
      for (int state = 0; state < n; state++) {
        if (slots[state] == slot) {
          blocks.mark(state);
        }
      }
      blocks.split();
    }
    int block = 1;
    for (int set = 0; set < edges.sets; set++) {
      for (int i = edges.first[set]; i < edges.past[set]; i++) {
        blocks.mark(tail[edges.elements[i]]);
      }
      blocks.split();
      for (; block < blocks.sets; block++) {
        for (int i = blocks.first[block]; i < blocks.past[block]; i++) {
          int state = blocks.elements[i];
          for (int j = incomingStart[state]; j < incomingStart[state + 1]; j++) {
            edges.mark(incoming[j]);
          }
        }
        edges.split();
      }
    }
    return quotient(blocks, cuts, next, accepting, slots);
  }

  private static void sum(int[] counts) {
    for (int i = 1; i < counts.length; i++) {
      counts[i] += counts[i - 1];
    }
  }

  private static Dfa quotient(Partition blocks, int[] cuts, int[] next, boolean[] accepting, int[] slots) {
    int classes = cuts.length;
    int[] name = new int[blocks.sets];
    Arrays.fill(name, -1);
    int[] order = new int[blocks.sets];
    int count = 0;
    name[blocks.setOf[0]] = count;
    order[count++] = 0;
    int[] table = new int[blocks.sets * classes];
    boolean[] ends = new boolean[blocks.sets];
    int[] kinds = slots == null ? null : new int[blocks.sets];
    for (int i = 0; i < count; i++) {
      int state = order[i];
      ends[i] = accepting[state];
      if (kinds != null) {
        kinds[i] = slots[state];
      }
      for (int c = 0; c < classes; c++) {
        int to = next[state * classes + c];
        if (to >= 0) {
          int set = blocks.setOf[to];
          if (name[set] < 0) {
            name[set] = count;
            order[count++] = to;
          }
          to = name[set];
        }
        table[i * classes + c] = to;
      }
    }
    return new Dfa(cuts, Arrays.copyOf(table, count * classes), Arrays.copyOf(ends, count),
        kinds == null ? null : Arrays.copyOf(kinds, count));
  }
}
