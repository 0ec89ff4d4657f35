package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The tokens of a vocabulary: spellings to ids and back. */
final class TokenTable {
  /** No such token. */
  static final int NONE = -1;

  private final Utf8Strings tokens;
  private final int[] slots; // ids, open addressing

  TokenTable(Utf8Strings tokens) {
    this.tokens = tokens;
    slots = new int[Integer.highestOneBit(Math.max(8, tokens.size())) * 4];
    Arrays.fill(slots, NONE);
    for (int id = 0; id < tokens.size(); id++) {
      int slot = slot(tokens.bytes, tokens.start(id), tokens.end(id));
      if (slots[slot] == NONE) {
        slots[slot] = id;
      }
    }
  }

  int size() {
    return tokens.size();
  }

  String spelling(int id) {
    return tokens.get(id);
  }

  /** The id of the token spelled bytes[start, end), or {@link #NONE}. */
  int find(byte[] bytes, int start, int end) {
    return slots[slot(bytes, start, end)];
  }

  int find(String spelling) {
    byte[] bytes = spelling.getBytes(StandardCharsets.UTF_8);
    return find(bytes, 0, bytes.length);
  }

  /** A token's spelling as it is. */
  byte[] rawBytes(int id) {
    return Arrays.copyOfRange(tokens.bytes, tokens.start(id), tokens.end(id));
  }

  private int slot(byte[] bytes, int start, int end) {
    int hash = 0x811C9DC5; // FNV-1a
    for (int i = start; i < end; i++) {
      hash = (hash ^ bytes[i] & 0xFF) * 0x01000193;
    }
    int mask = slots.length - 1;
    int slot = (hash ^ hash >>> 15) & mask;
    while (slots[slot] != NONE
        && !Arrays.equals(tokens.bytes, tokens.start(slots[slot]), tokens.end(slots[slot]), bytes, start, end)) {
      slot = slot + 1 & mask;
    }
    return slot;
  }
}
