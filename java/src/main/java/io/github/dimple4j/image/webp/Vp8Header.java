package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;

/** The header of a key frame (RFC 6386, sections 9.1 to 9.11 and 19.2). */
final class Vp8Header {
  private static final int LENGTH = 10;
  private static final int SEGMENTS = 4;

  final int width;
  final int height;
  final Vp8BoolDecoder modes; // what comes behind the header in the first partition
  final Vp8BoolDecoder[] partitions; // coefficients of the rows of macroblocks in turn
  final boolean simpleFilter;
  final int filterLevel;
  final int sharpness;
  final boolean segmentMap;
  final int[] segmentProbabilities = {255, 255, 255};
  final int[] coefficients = Vp8Tables.COEFFICIENTS.clone();
  final int skipProbability; // 0: no macroblock says that it has no coefficients

  private boolean segmented;
  private boolean absolute;
  private final int[] segmentQuantizers = new int[SEGMENTS];
  private final int[] segmentLevels = new int[SEGMENTS];
  private int intraDelta; // of the filter level, for all macroblocks of a key frame
  private int blocksDelta; // for those with modes of their own for each block
  private final int quantizer;
  private final int[] deltas = new int[5]; // of the quantizer: luminance DC, second-order DC and AC, colour DC and AC

  Vp8Header(ByteBuffer chunk) throws PictureException {
    if (chunk.limit() < LENGTH) {
      throw PictureException.damaged("its frame ends early");
    }
    int tag = chunk.get(0) & 0xFF | (chunk.getShort(1) & 0xFFFF) << 8;
    int firstSize = tag >> 5;
    if ((tag & 1) != 0 || (tag >> 1 & 7) > 3 || (tag & 16) == 0 || chunk.get(3) != (byte) 0x9D || chunk.getShort(4) != 0x2A01) {
      throw PictureException.damaged("its frame does not start like a key frame");
    }
    width = chunk.getShort(6) & 0x3FFF;
    height = chunk.getShort(8) & 0x3FFF;
    Pixels.checkSize(width, height);
    if (LENGTH + firstSize > chunk.limit()) {
      throw PictureException.damaged("its first partition ends early");
    }
    modes = new Vp8BoolDecoder(chunk.slice(LENGTH, firstSize));
    modes.number(2); // the kind of colours and of clamping, of which there is one each
    segmented = modes.flag();
    segmentMap = segmented && segments();
    simpleFilter = modes.flag();
    filterLevel = modes.number(6);
    sharpness = modes.number(3);
    filterDeltas();
    partitions = partitions(chunk, LENGTH + firstSize, 1 << modes.number(2));
    quantizer = modes.number(7);
    for (int i = 0; i < deltas.length; i++) {
      deltas[i] = modes.optionalSigned(4);
    }
    modes.flag(); // whether probabilities hold for further frames
    for (int i = 0; i < coefficients.length; i++) {
      if (modes.bit(Vp8Tables.COEFFICIENT_UPDATES[i]) == 1) {
        coefficients[i] = modes.number(8);
      }
    }
    skipProbability = modes.flag() ? modes.number(8) : 0;
  }

  /** Section 9.3; gives whether each macroblock names its segment. */
  private boolean segments() throws PictureException {
    boolean map = modes.flag();
    if (modes.flag()) {
      absolute = modes.flag();
      for (int i = 0; i < SEGMENTS; i++) {
        segmentQuantizers[i] = modes.optionalSigned(7);
      }
      for (int i = 0; i < SEGMENTS; i++) {
        segmentLevels[i] = modes.optionalSigned(6);
      }
    }
    for (int i = 0; map && i < segmentProbabilities.length; i++) {
      segmentProbabilities[i] = modes.flag() ? modes.number(8) : 255;
    }
    return map;
  }

  /** Section 9.6: of the eight deltas two concern key frames. */
  private void filterDeltas() throws PictureException {
    if (!modes.flag() || !modes.flag()) {
      return;
    }
    int[] all = new int[8];
    for (int i = 0; i < all.length; i++) {
      all[i] = modes.optionalSigned(6);
    }
    intraDelta = all[0];
    blocksDelta = all[4];
  }

  /** Section 9.5: the sizes of all partitions but the last stand before them. */
  private static Vp8BoolDecoder[] partitions(ByteBuffer chunk, int sizes, int count) throws PictureException {
    Vp8BoolDecoder[] partitions = new Vp8BoolDecoder[count];
    int at = sizes + 3 * (count - 1);
    for (int i = 0; i < count; i++) {
      int left = chunk.limit() - at;
      int size = left < 0 || i == count - 1 ? left : chunk.get(sizes + 3 * i) & 0xFF | (chunk.getShort(sizes + 3 * i + 1) & 0xFFFF) << 8;
      if (size > left || left < 0) {
        throw PictureException.damaged("a partition ends early");
      }
      partitions[i] = new Vp8BoolDecoder(chunk.slice(at, size));
      at += size;
    }
    return partitions;
  }

  /**
   * What coefficients are multiplied with (section 14.1): DC and AC of luminance, of the second-order block, of colours.
   *
   * @return {@code [segment][6]}
   */
  int[][] quantizers() {
    int[][] all = new int[SEGMENTS][];
    for (int i = 0; i < SEGMENTS; i++) {
      int q = !segmented ? quantizer : segmentQuantizers[i] + (absolute ? 0 : quantizer);
      all[i] = new int[] {dc(q + deltas[0], 127), ac(q), 2 * dc(q + deltas[1], 127), Math.max(8, ac(q + deltas[2]) * 155 / 100),
          dc(q + deltas[3], 117), ac(q + deltas[4])};
    }
    return all;
  }

  private static int dc(int index, int most) {
    return Vp8Tables.DC_QUANTIZERS[Math.clamp(index, 0, most)];
  }

  private static int ac(int index) {
    return Vp8Tables.AC_QUANTIZERS[Math.clamp(index, 0, 127)];
  }

  /** How strongly a macroblock is filtered, 0 to 63 (section 9.6). */
  int level(int segment, boolean modesOfBlocks) {
    int level = !segmented ? filterLevel : segmentLevels[segment] + (absolute ? 0 : filterLevel);
    return Math.clamp(level + intraDelta + (modesOfBlocks ? blocksDelta : 0), 0, 63);
  }
}
