package io.github.dimple4j.tokenizer;

import java.util.Arrays;

/**
 * The merges of a byte-pair encoding: (left id, right id) to (rank, merged id), as an open-addressing hash table of primitives.
 * 150,000 merges take 4 MiB.
 */
final class MergeTable {
  /** No merge of the pair. Ranks are not negative, so no entry equals it. */
  static final long NONE = -1;

  private static final long FREE = -1;

  private final long[] keys;
  private final long[] values;
  private final int mask;

  MergeTable(int merges) {
    int slots = Integer.highestOneBit(Math.max(8, merges)) * 4; // at most half full
    keys = new long[slots];
    values = new long[slots];
    mask = slots - 1;
    Arrays.fill(keys, FREE);
  }

  /** Adds a merge; of two merges of the same pair the first stays. */
  void add(int left, int right, int rank, int merged) {
    long key = pair(left, right);
    int slot = slot(key);
    if (keys[slot] == FREE) {
      keys[slot] = key;
      values[slot] = (long) rank << 32 | merged;
    }
  }

  /** The entry of a pair, or {@link #NONE}. Entries compare like their ranks. */
  long find(int left, int right) {
    long key = pair(left, right);
    int slot = slot(key);
    return keys[slot] == key ? values[slot] : NONE;
  }

  static int rank(long entry) {
    return (int) (entry >>> 32);
  }

  static int merged(long entry) {
    return (int) entry;
  }

  private static long pair(int left, int right) {
    return (long) left << 32 | right;
  }

  private int slot(long key) {
    long hash = key * 0x9E3779B97F4A7C15L; // multiplicative hashing with 2^64 / golden ratio (Knuth, TAOCP 3, section 6.4)
    int slot = (int) (hash >>> 40) & mask;
    while (keys[slot] != FREE && keys[slot] != key) {
      slot = slot + 1 & mask;
    }
    return slot;
  }
}
