package io.github.dimple4j.tokenizer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** The tokens of a vocabulary: spellings to ids and back, and GPT-2's alphabet: one printable character for each of the 256 bytes. */
final class TokenTable {
  /** No such token. */
  static final int NONE = -1;

  /** Characters of the alphabet end below this: 256 bytes, of which 68 are moved to U+0100 and up. */
  private static final int ALPHABET_END = 0x100 + 68;
  private static final byte[] BYTE_OF_CHAR = new byte[ALPHABET_END];
  private static final char[] CHAR_OF_BYTE = new char[256];

  static {
    int moved = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      CHAR_OF_BYTE[b] = (char) (printable ? b : moved++);
      BYTE_OF_CHAR[CHAR_OF_BYTE[b]] = (byte) b;
    }
  }

  private final Utf8Strings tokens;
  private final int[] slots; // ids, open addressing
  private final int[] byteIds = new int[256];

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
    for (int b = 0; b < 256; b++) {
      byteIds[b] = find(String.valueOf(CHAR_OF_BYTE[b]));
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

  /** The id of the token for a single byte (0 .. 255), or {@link #NONE}. */
  int ofByte(int value) {
    return byteIds[value];
  }

  /** What a token spelled in the alphabet stands for. A spelling with a character outside of it stands for itself. */
  byte[] bytes(int id) {
    String spelling = tokens.get(id);
    byte[] out = new byte[spelling.length()];
    for (int i = 0; i < out.length; i++) {
      char c = spelling.charAt(i);
      if (c >= ALPHABET_END || CHAR_OF_BYTE[BYTE_OF_CHAR[c] & 0xFF] != c) {
        return rawBytes(id);
      }
      out[i] = BYTE_OF_CHAR[c];
    }
    return out;
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
