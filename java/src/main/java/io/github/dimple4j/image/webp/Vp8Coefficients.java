package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import java.util.Arrays;

/** The coefficients of a macroblock (RFC 6386, section 13): 16 blocks of luminance, 4 of each colour, and what their DC are made of. */
final class Vp8Coefficients {
  private static final int[] BANDS = {0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0}; // the last is behind the end
  private static final int[] ZIGZAG = {0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15};
  private static final int[][] EXTRA = {{173, 148, 140}, {176, 155, 140, 135}, {180, 157, 141, 134, 130},
      {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}}; // probabilities of the bits of large numbers, categories 3 to 6

  // Kinds of blocks.
  private static final int LUMINANCE_AC = 0;
  private static final int SECOND_ORDER = 1;
  private static final int COLOR = 2;
  private static final int LUMINANCE = 3;

  private static final int CONTEXTS = 9; // columns or rows of blocks: 4 of luminance, 2 of each colour, 1 of second order
  private static final int SECOND = 8;

  /** Of 24 blocks, 16 each, row by row. */
  final int[] values = new int[24 * 16];

  private final int[] secondOrder = new int[16];
  private final int[] probabilities;
  private final int[] above; // whether the last block there has coefficients
  private final int[] left = new int[CONTEXTS];
  private int end; // of the block that was read last: the place behind its last coefficient

  Vp8Coefficients(int[] probabilities, int columns) {
    this.probabilities = probabilities;
    above = new int[CONTEXTS * columns];
  }

  void startRow() {
    Arrays.fill(left, 0);
  }

  /** Notes a macroblock without coefficients; one with modes for each block has no block of second order, whose contexts stay. */
  void skip(int column, boolean ofBlocks) {
    Arrays.fill(values, 0);
    int contexts = ofBlocks ? SECOND : CONTEXTS;
    Arrays.fill(left, 0, contexts, 0);
    Arrays.fill(above, CONTEXTS * column, CONTEXTS * column + contexts, 0);
  }

  /** Reads a macroblock; false if all of it is zero. */
  boolean read(Vp8BoolDecoder in, int column, boolean ofBlocks, int[] quantizers) throws PictureException {
    Arrays.fill(values, 0);
    int first = 0;
    if (!ofBlocks) {
      Arrays.fill(secondOrder, 0);
      block(in, SECOND_ORDER, column, SECOND, SECOND, secondOrder, 0, 0, quantizers[2], quantizers[3]);
      Vp8Transform.secondOrder(secondOrder, values);
      first = 1;
    }
    boolean any = false;
    for (int block = 0; block < 16; block++) {
      block(in, ofBlocks ? LUMINANCE : LUMINANCE_AC, column, block % 4, block / 4, values, 16 * block, first, quantizers[0], quantizers[1]);
      any |= end > 1 || values[16 * block] != 0;
    }
    for (int block = 16; block < 24; block++) {
      int plane = 2 * (block / 4 - 2); // contexts 4 and 5, 6 and 7
      block(in, COLOR, column, plane + block % 2, plane + block / 2 % 2, values, 16 * block, 0, quantizers[4], quantizers[5]);
      any |= end > 1 || values[16 * block] != 0;
    }
    return any;
  }

  private void block(Vp8BoolDecoder in, int kind, int column, int contextAbove, int contextLeft, int[] to, int at, int first, int dc,
      int ac) throws PictureException {
    int up = CONTEXTS * column + contextAbove;
    end = tokens(in, kind, above[up] + left[contextLeft], to, at, first, dc, ac);
    int some = end > first ? 1 : 0;
    above[up] = some;
    left[contextLeft] = some;
  }

  /** Section 13.2: a token for each coefficient until an end; none ends right behind a zero. */
  private int tokens(Vp8BoolDecoder in, int kind, int context, int[] to, int at, int first, int dc, int ac) throws PictureException {
    int nodes = nodes(kind, first, context);
    for (int place = first; place < 16; place++) {
      if (in.bit(probabilities[nodes]) == 0) {
        return place;
      }
      while (in.bit(probabilities[nodes + 1]) == 0) {
        if (++place == 16) {
          return 16;
        }
        nodes = nodes(kind, place, 0);
      }
      int value = in.bit(probabilities[nodes + 2]) == 0 ? 1 : large(in, nodes);
      nodes = nodes(kind, place + 1, value == 1 ? 1 : 2);
      to[at + ZIGZAG[place]] = (in.flag() ? -value : value) * (place == 0 ? dc : ac);
    }
    return 16;
  }

  /** Where the probabilities of a coefficient begin. */
  private static int nodes(int kind, int place, int context) {
    return 11 * (3 * (8 * kind + BANDS[place]) + context);
  }

  private int large(Vp8BoolDecoder in, int nodes) throws PictureException {
    if (in.bit(probabilities[nodes + 3]) == 0) {
      return in.bit(probabilities[nodes + 4]) == 0 ? 2 : 3 + in.bit(probabilities[nodes + 5]);
    }
    if (in.bit(probabilities[nodes + 6]) == 0) {
      return in.bit(probabilities[nodes + 7]) == 0 ? 5 + in.bit(159) : 7 + 2 * in.bit(165) + in.bit(145);
    }
    int upper = in.bit(probabilities[nodes + 8]);
    int category = 2 * upper + in.bit(probabilities[nodes + 9 + upper]);
    int extra = 0;
    for (int probability : EXTRA[category]) {
      extra = 2 * extra + in.bit(probability);
    }
    return 3 + (8 << category) + extra;
  }
}
