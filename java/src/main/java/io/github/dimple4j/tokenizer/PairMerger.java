package io.github.dimple4j.tokenizer;

import java.util.PriorityQueue;
import java.util.stream.IntStream;

/** Byte-pair encoding of a row of symbols: merges the neighbouring pair of the lowest rank, the leftmost one of equals, until none can be. */
final class PairMerger {
  private final MergeTable merges;
  private final int[] id;
  private final int[] next;
  private final int[] previous;
  private final PriorityQueue<Candidate> queue = new PriorityQueue<>();

  /** A pair of neighbours that can be merged: the entry of the table, and the position of the left one. */
  private record Candidate(long entry, int left, int right) implements Comparable<Candidate> {
    @Override
    public int compareTo(Candidate other) {
      int byRank = Integer.compare(MergeTable.rank(entry), MergeTable.rank(other.entry));
      return byRank != 0 ? byRank : Integer.compare(left, other.left);
    }
  }

  /** Takes the token ids of the symbols over. They form a linked list; merged ones leave it and keep the id -1. */
  private PairMerger(MergeTable merges, int[] symbols) {
    this.merges = merges;
    id = symbols;
    next = new int[symbols.length];
    previous = new int[symbols.length];
    for (int i = 0; i < symbols.length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
  }

  /** Adds the tokens that remain of the symbols, whose ids are changed. */
  static void merge(MergeTable merges, int[] symbols, IntStream.Builder out) {
    PairMerger merger = new PairMerger(merges, symbols);
    merger.run();
    for (int i = 0; i < symbols.length; i = merger.next[i]) {
      out.add(symbols[i]);
    }
  }

  private void run() {
    int n = id.length;
    for (int i = 0; i + 1 < n; i++) {
      offer(i, i + 1);
    }
    for (Candidate c = queue.poll(); c != null; c = queue.poll()) {
      int left = c.left;
      int right = c.right;
      boolean current = id[left] >= 0 && next[left] == right && merges.find(id[left], id[right]) == c.entry;
      if (!current) {
        continue; // one of the two was merged since
      }
      id[left] = MergeTable.merged(c.entry);
      id[right] = -1;
      next[left] = next[right];
      if (next[left] < n) {
        previous[next[left]] = left;
        offer(left, next[left]);
      }
      if (previous[left] >= 0) {
        offer(previous[left], left);
      }
    }
  }

  private void offer(int left, int right) {
    long entry = merges.find(id[left], id[right]);
    if (entry != MergeTable.NONE) {
      queue.add(new Candidate(entry, left, right));
    }
  }
}
