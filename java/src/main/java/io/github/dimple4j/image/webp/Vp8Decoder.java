package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** A key frame, macroblock by macroblock: modes of prediction, coefficients, samples; then the filter over all of it. */
final class Vp8Decoder {
  private static final int[] SEGMENT_TREE = {2, 4, 0, -1, -2, -3};
  private static final int[] MODE_TREE = {-Vp8Prediction.BLOCKS, 2, 4, 6, -Vp8Prediction.DC, -Vp8Prediction.VERTICAL,
      -Vp8Prediction.HORIZONTAL, -Vp8Prediction.TRUE_MOTION};
  private static final int[] MODES = {145, 156, 163, 128}; // section 11.2
  private static final int[] COLOR_MODE_TREE = {-Vp8Prediction.DC, 2, -Vp8Prediction.VERTICAL, 4, -Vp8Prediction.HORIZONTAL,
      -Vp8Prediction.TRUE_MOTION};
  private static final int[] COLOR_MODES = {142, 114, 183};
  private static final int[] BLOCK_MODE_TREE = {-Vp8Prediction.B_DC, 2, -Vp8Prediction.B_TRUE_MOTION, 4, -Vp8Prediction.B_VERTICAL, 6, 8,
      12, -Vp8Prediction.B_HORIZONTAL, 10, -Vp8Prediction.B_RIGHT_DOWN, -Vp8Prediction.B_VERTICAL_RIGHT, -Vp8Prediction.B_LEFT_DOWN, 14,
      -Vp8Prediction.B_VERTICAL_LEFT, 16, -Vp8Prediction.B_HORIZONTAL_DOWN, -Vp8Prediction.B_HORIZONTAL_UP};

  private final Vp8Header header;
  private final int columns; // macroblocks
  private final int rows;
  private final Vp8Plane[] planes; // Y, Cb, Cr
  private final Vp8Coefficients coefficients;
  private final Vp8LoopFilter filter;
  private final int[][] quantizers;
  private final int[] modesAbove; // of the blocks of the macroblocks above
  private final int[] modesLeft = new int[4];
  private final int[] blockModes = new int[16];

  private Vp8Decoder(Vp8Header header) {
    this.header = header;
    columns = Math.ceilDiv(header.width, 16);
    rows = Math.ceilDiv(header.height, 16);
    planes = new Vp8Plane[] {new Vp8Plane(16 * columns, 16 * rows), new Vp8Plane(8 * columns, 8 * rows),
        new Vp8Plane(8 * columns, 8 * rows)};
    coefficients = new Vp8Coefficients(header.coefficients, columns);
    filter = new Vp8LoopFilter(header, planes, columns, rows);
    quantizers = header.quantizers();
    modesAbove = new int[4 * columns];
  }

  static Pixels decode(ByteBuffer chunk) throws PictureException {
    Vp8Decoder decoder = new Vp8Decoder(new Vp8Header(chunk));
    for (int row = 0; row < decoder.rows; row++) {
      decoder.row(row);
    }
    decoder.filter.apply();
    return Vp8Colors.picture(decoder.planes, decoder.header.width, decoder.header.height);
  }

  private void row(int row) throws PictureException {
    Vp8BoolDecoder data = header.partitions[row % header.partitions.length];
    Arrays.fill(modesLeft, Vp8Prediction.B_DC);
    coefficients.startRow();
    for (int column = 0; column < columns; column++) {
      macroblock(column, row, data);
    }
  }

  private void macroblock(int column, int row, Vp8BoolDecoder data) throws PictureException {
    Vp8BoolDecoder in = header.modes;
    int segment = header.segmentMap ? in.leaf(SEGMENT_TREE, header.segmentProbabilities, 0) : 0;
    boolean skip = header.skipProbability > 0 && in.bit(header.skipProbability) == 1;
    int mode = in.leaf(MODE_TREE, MODES, 0);
    boolean ofBlocks = mode == Vp8Prediction.BLOCKS;
    blockModes(column, mode);
    int colorMode = in.leaf(COLOR_MODE_TREE, COLOR_MODES, 0);
    boolean empty = skip || !coefficients.read(data, column, ofBlocks, quantizers[segment]);
    if (skip) {
      coefficients.skip(column, ofBlocks);
    }
    filter.note(column, row, header.level(segment, ofBlocks), ofBlocks || !empty);
    luminance(column, row, mode);
    for (int plane = 1; plane <= 2; plane++) {
      Vp8Prediction.square(planes[plane], 8 * column, 8 * row, 8, colorMode);
      for (int block = 0; block < 4; block++) {
        Vp8Transform.add(coefficients.values, 16 * (12 + 4 * plane + block), planes[plane],
            planes[plane].at(8 * column + 4 * (block % 2), 8 * row + 4 * (block / 2)));
      }
    }
  }

  /** The modes of the blocks: read one by one, or those that correspond to the mode of all (section 11.3). */
  private void blockModes(int column, int mode) throws PictureException {
    for (int block = 0; block < 16; block++) {
      int above = 4 * column + block % 4;
      int left = block / 4;
      int blockMode = mode == Vp8Prediction.BLOCKS
          ? header.modes.leaf(BLOCK_MODE_TREE, Vp8Tables.BLOCK_MODES, 9 * (10 * modesAbove[above] + modesLeft[left]))
          : Vp8Prediction.blockMode(mode);
      blockModes[block] = blockMode;
      modesAbove[above] = blockMode;
      modesLeft[left] = blockMode;
    }
  }

  private void luminance(int column, int row, int mode) {
    Vp8Plane plane = planes[0];
    if (mode != Vp8Prediction.BLOCKS) {
      Vp8Prediction.square(plane, 16 * column, 16 * row, 16, mode);
    }
    for (int block = 0; block < 16; block++) {
      int x = 16 * column + 4 * (block % 4);
      int y = 16 * row + 4 * (block / 4);
      if (mode == Vp8Prediction.BLOCKS) {
        Vp8Prediction.block(plane, x, y, blockModes[block], column == columns - 1);
      }
      Vp8Transform.add(coefficients.values, 16 * block, plane, plane.at(x, y));
    }
  }
}
