package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import java.util.Arrays;

/**
 * The codes of fax machines as TIFF holds them: runs of white and of black (ITU-T T.4, tables 2 and 3), and where a row changes colour beside the row
 * above (T.4 section 4.2 and T.6). The platform's reader is wrong, without a word at times, where all pixels of a row differ from their neighbours.
 */
final class FaxDecoder {
  /** TIFF's compression of rows that begin at whole bytes, each of runs. */
  static final int RUNS = 2;
  /** T.4: rows behind marks, of runs or, if a bit behind the mark says so, of changes. */
  static final int GROUP_3 = 3;
  /** T.6: rows of changes without marks. */
  static final int GROUP_4 = 4;

  private static final int LONGEST = 13; // bits of a code
  private static final int MARK_ZEROS = 11; // an end of line is these and a 1
  private static final int FIRST_MAKE_UP = 64;

  /** Runs of 0 to 63, then of 64, 128 .. 1728. */
  private static final String WHITE = "00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 110100 110101 101010 101011 "
      + "0100111 0001100 0001000 0010111 0000011 0000100 0101000 0101011 0010011 0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011 "
      + "00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 00101101 00000100 00000101 00001010 00001011 01010010 01010011 "
      + "01010100 01010101 00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 00110011 00110100 "
      + "11011 10010 010111 0110111 00110110 00110111 01100100 01100101 01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 "
      + "011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010 011000 010011011 ";
  private static final String BLACK = "0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100 00000111 000011000 0000010111 "
      + "0000011000 0000001000 00001100111 00001101000 00001101100 00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100 "
      + "000011001101 000001101000 000001101001 000001101010 000001101011 000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 "
      + "000001101100 000001101101 000011011010 000011011011 000001010100 000001010101 000001010110 000001010111 000001100100 000001100101 000001010010 "
      + "000001010011 000000100100 000000110111 000000111000 000000100111 000000101000 000001011000 000001011001 000000101011 000000101100 000001011010 "
      + "000001100110 000001100111 "
      + "0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100 0000001101101 0000001001010 0000001001011 "
      + "0000001001100 0000001001101 0000001110010 0000001110011 0000001110100 0000001110101 0000001110110 0000001110111 0000001010010 0000001010011 "
      + "0000001010100 0000001010101 0000001011010 0000001011011 0000001100100 0000001100101 ";
  /** Runs of 1792, 1856 .. 2560 of both colours. */
  private static final String LONG_RUNS = "00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 "
      + "000000011100 000000011101 000000011110 000000011111";
  /** How changes stand to those above: pass, horizontal, then 3 to the left .. 3 to the right. */
  private static final String MODES = "0001 001 0000010 000010 010 1 011 000011 0000011";
  private static final int PASS = 0;
  private static final int HORIZONTAL = 1;
  private static final int STRAIGHT = 5;

  private static final short[][] RUN_TABLES = {table(WHITE + LONG_RUNS), table(BLACK + LONG_RUNS)};
  private static final short[] MODE_TABLE = table(MODES);

  private final byte[] data;
  private final boolean reversed;
  private final long end;
  private long at; // bits
  private final int width;
  private int[] changes; // of the current row: where the colour changes, white first
  private int count;
  private int[] above;

  private FaxDecoder(byte[] data, long from, long size, boolean reversed, int width) {
    this.data = data;
    this.reversed = reversed;
    at = 8 * from;
    end = 8 * (from + size);
    this.width = width;
    changes = new int[width + 4];
    above = new int[width + 4];
    Arrays.fill(above, width);
  }

  /**
   * Decodes a strip.
   *
   * @param data where it is in
   * @param from its first byte
   * @param size its bytes
   * @param reversed whether the first bit of a byte is its lowest one
   * @param compression {@link #RUNS}, {@link #GROUP_3} or {@link #GROUP_4}
   * @param both whether rows of group 3 say of which of the two kinds they are
   * @param black receives a row after the other, 1 where a pixel is black
   * @throws PictureException if the strip is damaged or ends early
   */
  static void decode(byte[] data, long from, long size, boolean reversed, int compression, boolean both, int width, byte[][] black)
      throws PictureException {
    FaxDecoder decoder = new FaxDecoder(data, from, size, reversed, width);
    for (byte[] row : black) {
      decoder.row(compression, both);
      decoder.paint(row);
    }
  }

  private void row(int compression, boolean both) throws PictureException {
    count = 0;
    boolean runs = compression != GROUP_4;
    if (compression == RUNS) {
      at = (at + 7) / 8 * 8;
    } else if (compression == GROUP_3) {
      boolean marked = skipMark();
      if (both && !marked) {
        throw PictureException.damaged("a row of its fax codes has no beginning");
      }
      runs = !both || bit() == 1;
    }
    if (runs) {
      readRuns();
    } else {
      readChanges();
    }
    Arrays.fill(changes, count, changes.length, width);
    int[] next = above;
    above = changes;
    changes = next;
  }

  private void paint(byte[] row) {
    for (int i = 0; above[i] < width; i += 2) {
      Arrays.fill(row, above[i], above[i + 1], (byte) 1);
    }
  }

  /** Passes a mark and the zeros in front of it, if there is one. */
  private boolean skipMark() {
    long zeros = at;
    while (zeros < end && bitAt(zeros) == 0) {
      zeros++;
    }
    if (zeros == end || zeros - at < MARK_ZEROS) {
      return false;
    }
    at = zeros + 1;
    return true;
  }

  private void readRuns() throws PictureException {
    int x = 0;
    for (int color = 0; x < width; color ^= 1) {
      x = add(x + run(color));
    }
  }

  private void readChanges() throws PictureException {
    int x = -1;
    int color = 0;
    int next = 0; // change above
    while (x < width) {
      while (next > 0 && above[next - 1] > x) {
        next--;
      }
      while (above[next] < width && (above[next] <= x || (next & 1) != color)) {
        next++;
      }
      int mode = symbol(MODE_TABLE);
      if (mode == PASS) {
        x = above[next] < width ? above[next + 1] : width;
        if (x == width) {
          return;
        }
      } else if (mode == HORIZONTAL) {
        x = add(Math.max(x, 0) + run(color));
        x = add(x + run(color ^ 1));
      } else {
        int change = above[next] + mode - STRAIGHT;
        if (change < Math.max(x, 0)) {
          throw damaged();
        }
        x = add(change);
        color ^= 1;
      }
    }
  }

  /** A change; those at the end of the row are none. Two at one place take each other away. */
  private int add(int x) throws PictureException {
    if (x > width) {
      throw damaged();
    }
    if (x == width) {
      return x;
    }
    if (count > 0 && changes[count - 1] == x) {
      count--;
    } else {
      changes[count++] = x;
    }
    return x;
  }

  private int run(int color) throws PictureException {
    int length = 0;
    while (true) {
      int symbol = symbol(RUN_TABLES[color]);
      if (symbol < FIRST_MAKE_UP) {
        return length + symbol;
      }
      length += (symbol - FIRST_MAKE_UP + 1) * FIRST_MAKE_UP;
      if (length > width) {
        throw damaged();
      }
    }
  }

  private int symbol(short[] table) throws PictureException {
    int window = 0;
    for (int i = 0; i < LONGEST; i++) {
      window = window << 1 | (at + i < end ? bitAt(at + i) : 0);
    }
    int found = table[window];
    if (found == 0) {
      throw at >= end ? PictureException.damaged("it ends early") : damaged();
    }
    at += found & 15;
    if (at > end) {
      throw PictureException.damaged("it ends early");
    }
    return found >> 4;
  }

  private int bit() throws PictureException {
    if (at >= end) {
      throw PictureException.damaged("it ends early");
    }
    return bitAt(at++);
  }

  private int bitAt(long place) {
    int shift = (int) (place & 7);
    return data[(int) (place >> 3)] >> (reversed ? shift : 7 - shift) & 1;
  }

  private static PictureException damaged() {
    return PictureException.damaged("its fax codes make no row");
  }

  /** For each value of LONGEST bits the number of the code that these begin with, times 16, plus its length; 0: none. */
  private static short[] table(String codes) {
    short[] table = new short[1 << LONGEST];
    String[] all = codes.split(" ");
    for (int i = 0; i < all.length; i++) {
      int free = LONGEST - all[i].length();
      int first = Integer.parseInt(all[i], 2) << free;
      Arrays.fill(table, first, first + (1 << free), (short) (i << 4 | all[i].length()));
    }
    return table;
  }
}
