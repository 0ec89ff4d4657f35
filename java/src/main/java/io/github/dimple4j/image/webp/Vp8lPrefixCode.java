package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;

/** A prefix code of up to 15 bits a symbol (RFC 9649, section 3.7.2.1). */
final class Vp8lPrefixCode {
  private static final int LONGEST = 15;
  private static final int FAST = 8; // at most, and no more than the longest code has: small codes take little memory
  private static final int[] LENGTH_ORDER = {17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  private static final int[] REPEAT_BITS = {2, 3, 7}; // of the lengths 16, 17 and 18: a repeat of the last one, or of zero
  private static final int[] REPEAT_LEAST = {3, 3, 11};

  private final int[] symbols; // by length, then by number
  private final int[] firstCode;
  private final int[] firstPlace;
  private final int fastBits;
  private final int[] fast; // length << 16 | symbol, by reversed bits; 0 for longer codes
  private final int only; // the symbol of a code that has one, which takes no bits; -1 otherwise

  private Vp8lPrefixCode(int[] lengths) throws PictureException {
    int[] counts = new int[LONGEST + 1];
    int used = 0;
    int last = 0;
    int longest = 0;
    for (int i = 0; i < lengths.length; i++) {
      counts[lengths[i]]++;
      if (lengths[i] > 0) {
        used++;
        last = i;
        longest = Math.max(longest, lengths[i]);
      }
    }
    if (used == 0) {
      throw PictureException.damaged("a prefix code has no symbols");
    }
    only = used == 1 ? last : -1;
    fastBits = Math.min(longest, FAST);
    fast = new int[only >= 0 ? 0 : 1 << fastBits];
    firstCode = new int[longest + 2];
    firstPlace = new int[longest + 2];
    int code = 0;
    int place = 0;
    for (int length = 1; length <= longest; length++) {
      firstCode[length] = code;
      firstPlace[length] = place;
      code = code + counts[length] << 1;
      place += counts[length];
    }
    if (only < 0 && code != 1 << (longest + 1)) {
      throw PictureException.damaged("the lengths of a prefix code do not fit together");
    }
    firstPlace[longest + 1] = place;
    symbols = new int[used];
    int[] next = firstPlace.clone();
    for (int i = 0; i < lengths.length; i++) {
      int length = lengths[i];
      if (length > 0) {
        int own = firstCode[length] + next[length] - firstPlace[length];
        symbols[next[length]++] = i;
        for (int tail = 0; only < 0 && length <= fastBits && tail < 1 << (fastBits - length); tail++) {
          fast[Integer.reverse(own) >>> (32 - length) | tail << length] = length << 16 | i;
        }
      }
    }
  }

  static Vp8lPrefixCode read(Vp8lBits bits, int alphabet) throws PictureException {
    int[] lengths = new int[alphabet];
    if (bits.flag()) { // one or two symbols
      int count = 1 + bits.take(1);
      put(lengths, bits.take(bits.flag() ? 8 : 1));
      if (count == 2) {
        put(lengths, bits.take(8));
      }
      return new Vp8lPrefixCode(lengths);
    }
    int[] lengthsOfLengths = new int[LENGTH_ORDER.length];
    int count = 4 + bits.take(4);
    for (int i = 0; i < count; i++) {
      lengthsOfLengths[LENGTH_ORDER[i]] = bits.take(3);
    }
    Vp8lPrefixCode code = new Vp8lPrefixCode(lengthsOfLengths);
    int left = bits.flag() ? 2 + bits.take(2 + 2 * bits.take(3)) : alphabet;
    if (left > alphabet) {
      throw PictureException.damaged("a prefix code has " + left + " symbols of " + alphabet);
    }
    int previous = 8;
    for (int i = 0; i < alphabet && left > 0; left--) {
      int length = code.decode(bits);
      if (length < 16) {
        lengths[i++] = length;
        previous = length == 0 ? previous : length;
        continue;
      }
      int repeat = REPEAT_LEAST[length - 16] + bits.take(REPEAT_BITS[length - 16]);
      if (repeat > alphabet - i) {
        throw PictureException.damaged("a prefix code has more than " + alphabet + " symbols");
      }
      for (; repeat > 0; repeat--) {
        lengths[i++] = length == 16 ? previous : 0;
      }
    }
    return new Vp8lPrefixCode(lengths);
  }

  private static void put(int[] lengths, int symbol) throws PictureException {
    if (symbol >= lengths.length) {
      throw PictureException.damaged("a prefix code has a symbol " + symbol + " of " + lengths.length);
    }
    lengths[symbol] = 1;
  }

  int decode(Vp8lBits bits) throws PictureException {
    if (only >= 0) {
      return only;
    }
    int ahead = bits.peek(LONGEST);
    int known = fast[ahead & (1 << fastBits) - 1];
    if (known != 0) {
      bits.drop(known >> 16);
      return known & 0xFFFF;
    }
    int code = Integer.reverse(ahead) >>> (32 - LONGEST);
    int length = fastBits + 1;
    while ((code >> LONGEST - length) - firstCode[length] >= firstPlace[length + 1] - firstPlace[length]) {
      length++;
    }
    bits.drop(length);
    return symbols[firstPlace[length] + (code >> LONGEST - length) - firstCode[length]];
  }
}
