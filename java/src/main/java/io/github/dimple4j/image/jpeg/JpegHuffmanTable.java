package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;

/** Codes of 1 to 16 bits for symbols of 8 bits (annex C). */
final class JpegHuffmanTable {
  private static final int LONGEST = 16;
  private static final int FAST = 9;

  private final int[] symbols;
  private final int[] limit = new int[LONGEST + 2]; // of each length: the first code that is longer, as 16 bits
  private final int[] offset = new int[LONGEST + 1]; // of each length: what is added to a code for the symbol's place
  private final short[] fast = new short[1 << FAST]; // length << 8 | symbol of short codes by their first bits, 0 for long ones

  private JpegHuffmanTable(int[] counts, int[] symbols) throws PictureException {
    this.symbols = symbols;
    int code = 0;
    int place = 0;
    for (int length = 1; length <= LONGEST; length++) {
      offset[length] = place - code;
      for (int i = 0; i < counts[length]; i++, code++, place++) {
        if (length <= FAST && code < 1 << length) {
          int first = code << (FAST - length);
          for (int tail = 0; tail < 1 << (FAST - length); tail++) {
            fast[first + tail] = (short) (length << 8 | symbols[place]);
          }
        }
      }
      if (code > 1 << length) {
        throw PictureException.damaged("a Huffman table has too many codes of " + length + " bits");
      }
      limit[length] = code << (LONGEST - length);
      code <<= 1;
    }
    limit[LONGEST + 1] = Integer.MAX_VALUE;
  }

  static JpegHuffmanTable read(JpegInput segment) throws PictureException {
    int[] counts = new int[LONGEST + 1];
    int total = 0;
    for (int length = 1; length <= LONGEST; length++) {
      counts[length] = segment.octet();
      total += counts[length];
    }
    if (total > 256) {
      throw PictureException.damaged("a Huffman table has " + total + " symbols");
    }
    int[] symbols = new int[total];
    for (int i = 0; i < total; i++) {
      symbols[i] = segment.octet();
    }
    return new JpegHuffmanTable(counts, symbols);
  }

  int decode(JpegBits bits) throws PictureException {
    int ahead = bits.peek(LONGEST);
    int known = fast[ahead >> (LONGEST - FAST)];
    if (known != 0) {
      bits.drop(known >> 8);
      return known & 0xFF;
    }
    int length = 1;
    while (ahead >= limit[length]) {
      length++;
    }
    if (length > LONGEST) {
      bits.drop(LONGEST); // says that the data end early, if they do
      throw PictureException.damaged("its data hold a code that is in no Huffman table");
    }
    bits.drop(length);
    return symbols[(ahead >> (LONGEST - length)) + offset[length]];
  }
}
