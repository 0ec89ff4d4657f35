package io.github.dimple4j.tokenizer;

/** GPT-2's alphabet: one printable character for each of the 256 bytes. */
final class ByteAlphabet {
  /** Characters of the alphabet end below this: 256 bytes, of which 68 are moved to U+0100 and up. */
  private static final int END = 0x100 + 68;
  private static final byte[] BYTE_OF_CHAR = new byte[END];
  private static final char[] CHAR_OF_BYTE = new char[256];

  static {
    int moved = 0x100;
    for (int b = 0; b < 256; b++) {
      boolean printable = b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE;
      CHAR_OF_BYTE[b] = (char) (printable ? b : moved++);
      BYTE_OF_CHAR[CHAR_OF_BYTE[b]] = (byte) b;
    }
  }

  private ByteAlphabet() {}

  /** How a byte (0 .. 255) is spelled. */
  static String spelling(int value) {
    return String.valueOf(CHAR_OF_BYTE[value]);
  }

  /** What a spelling stands for; null if a character is outside the alphabet. */
  static byte[] bytes(String spelling) {
    byte[] out = new byte[spelling.length()];
    for (int i = 0; i < out.length; i++) {
      char c = spelling.charAt(i);
      if (c >= END || CHAR_OF_BYTE[BYTE_OF_CHAR[c] & 0xFF] != c) {
        return null;
      }
      out[i] = BYTE_OF_CHAR[c];
    }
    return out;
  }
}
