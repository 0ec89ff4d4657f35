package io.github.dimple4j.tokenizer;

import java.util.Arrays;
import java.util.function.IntPredicate;

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

  /**
   * Reads the lines of a file, "left right", the most urgent one first.
   *
   * @param isPiece which tokens text can become; merges that make others are left out
   */
  static MergeTable read(Utf8Strings lines, TokenTable tokens, IntPredicate isPiece) {
    MergeTable table = new MergeTable(lines.size());
    byte[] bytes = lines.bytes;
    byte[] joined = new byte[64];
    for (int rank = 0; rank < lines.size(); rank++) {
      int start = lines.start(rank);
      int end = lines.end(rank);
      int space = start + 1; // no token has a space behind its first character: it is spelled otherwise, so the first one separates
      while (space < end && bytes[space] != ' ') {
        space++;
      }
      boolean third = false;
      for (int i = space + 1; i < end; i++) {
        third |= bytes[i] == ' ';
      }
      if (space >= end - 1 || third) {
        throw new TokenizerException("tokenizer.ggml.merges[" + rank + "] = \"" + lines.get(rank) + "\" is not a pair of tokens");
      }
      int length = end - start - 1;
      if (joined.length < length) {
        joined = new byte[2 * length];
      }
      System.arraycopy(bytes, start, joined, 0, space - start);
      System.arraycopy(bytes, space + 1, joined, space - start, end - space - 1);
      int left = tokens.find(bytes, start, space);
      int right = tokens.find(bytes, space + 1, end);
      int merged = tokens.find(joined, 0, length);
      // A merge of tokens that the vocabulary lacks can never apply; trimmed vocabularies have such merges, and llama.cpp loads them.
      if (left >= 0 && right >= 0 && merged >= 0 && isPiece.test(merged)) {
        table.add(left, right, rank, merged);
      }
    }
    return table;
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
