package io.github.dimple4j.image.webp;

import java.util.Arrays;

/** What a macroblock or a block is predicted to be from the samples above it and to its left (RFC 6386, section 12). */
final class Vp8Prediction {
  // Of macroblocks.
  static final int DC = 0;
  static final int VERTICAL = 1;
  static final int HORIZONTAL = 2;
  static final int TRUE_MOTION = 3;
  static final int BLOCKS = 4; // each block has a mode of its own

  // Of blocks.
  static final int B_DC = 0;
  static final int B_TRUE_MOTION = 1;
  static final int B_VERTICAL = 2;
  static final int B_HORIZONTAL = 3;
  static final int B_LEFT_DOWN = 4;
  static final int B_RIGHT_DOWN = 5;
  static final int B_VERTICAL_RIGHT = 6;
  static final int B_VERTICAL_LEFT = 7;
  static final int B_HORIZONTAL_DOWN = 8;
  static final int B_HORIZONTAL_UP = 9;

  private static final int CORNER = 4; // of the edge of a block: 4 samples from the bottom up come before it, 8 behind it

  private Vp8Prediction() {}

  /** The mode of blocks that corresponds to one of macroblocks. */
  static int blockMode(int mode) {
    return switch (mode) {
      case VERTICAL -> B_VERTICAL;
      case HORIZONTAL -> B_HORIZONTAL;
      case TRUE_MOTION -> B_TRUE_MOTION;
      default -> B_DC;
    };
  }

  /** Predicts a square of 8 or 16 samples a side. */
  static void square(Vp8Plane plane, int x, int y, int size, int mode) {
    byte[] samples = plane.samples;
    int above = plane.at(x, y - 1);
    int mean = mode == DC ? mean(plane, x, y, size) : 0;
    for (int row = 0; row < size; row++) {
      int to = plane.at(x, y + row);
      switch (mode) {
        case DC -> Arrays.fill(samples, to, to + size, (byte) mean);
        case VERTICAL -> System.arraycopy(samples, above, samples, to, size);
        case HORIZONTAL -> Arrays.fill(samples, to, to + size, samples[to - 1]);
        default -> trueMotion(plane, above, to, size);
      }
    }
  }

  private static void trueMotion(Vp8Plane plane, int above, int to, int size) {
    int slope = plane.sample(to - 1) - plane.sample(above - 1);
    for (int i = 0; i < size; i++) {
      plane.samples[to + i] = (byte) Math.clamp(plane.sample(above + i) + slope, 0, 255);
    }
  }

  /** The mean of what there is above and to the left. */
  private static int mean(Vp8Plane plane, int x, int y, int size) {
    int sum = 0;
    int count = 0;
    for (int i = 0; y > 0 && i < size; i++, count++) {
      sum += plane.sample(plane.at(x + i, y - 1));
    }
    for (int i = 0; x > 0 && i < size; i++, count++) {
      sum += plane.sample(plane.at(x - 1, y + i));
    }
    return count == 0 ? 128 : (sum + count / 2) / count;
  }

  /** Predicts a block of 4 x 4. */
  static void block(Vp8Plane plane, int x, int y, int mode, boolean lastColumn) {
    int to = plane.at(x, y);
    int[] edge = edge(plane, x, y, lastColumn);
    int mean = 4;
    for (int i = 0; i < 4; i++) {
      mean += edge[i] + edge[CORNER + 1 + i];
    }
    for (int row = 0; row < 4; row++) {
      for (int column = 0; column < 4; column++) {
        plane.samples[to + row * plane.stride + column] = (byte) switch (mode) {
          case B_DC -> mean >> 3;
          case B_TRUE_MOTION -> Math.clamp(edge[3 - row] + edge[CORNER + 1 + column] - edge[CORNER], 0, 255);
          case B_VERTICAL -> smooth(edge, CORNER + 1 + column);
          case B_HORIZONTAL -> row == 3 ? edge[1] + 3 * edge[0] + 2 >> 2 : smooth(edge, 3 - row);
          case B_LEFT_DOWN -> row + column == 6 ? edge[11] + 3 * edge[12] + 2 >> 2 : smooth(edge, CORNER + 2 + row + column);
          case B_RIGHT_DOWN -> smooth(edge, CORNER + column - row);
          case B_VERTICAL_RIGHT -> verticalRight(edge, column, row);
          case B_VERTICAL_LEFT -> verticalLeft(edge, column, row);
          case B_HORIZONTAL_DOWN -> horizontalDown(edge, column, row);
          default -> horizontalUp(edge, column, row);
        };
      }
    }
  }

  private static int verticalRight(int[] edge, int column, int row) {
    int place = 2 * column - row; // along the direction, in halves of a sample
    if (place < 0) {
      return smooth(edge, CORNER + 1 + place);
    }
    return place % 2 == 0 ? between(edge, CORNER + place / 2) : smooth(edge, CORNER + place / 2 + 1);
  }

  private static int verticalLeft(int[] edge, int column, int row) {
    int first = CORNER + 1 + column + row / 2;
    if (column == 3 && row >= 2) {
      return smooth(edge, first + row - 1); // the last two leave the pattern
    }
    return row % 2 == 0 ? between(edge, first) : smooth(edge, first + 1);
  }

  private static int horizontalDown(int[] edge, int column, int row) {
    int place = 2 * row - column;
    if (place < 0) {
      return smooth(edge, CORNER - 1 - place);
    }
    return place % 2 == 0 ? between(edge, CORNER - 1 - place / 2) : smooth(edge, CORNER - 1 - place / 2);
  }

  private static int horizontalUp(int[] edge, int column, int row) {
    int place = 2 * row + column;
    if (place > 5) {
      return edge[0];
    }
    if (place == 5) {
      return edge[1] + 3 * edge[0] + 2 >> 2;
    }
    return place % 2 == 0 ? between(edge, 2 - place / 2) : smooth(edge, 2 - place / 2);
  }

  private static int between(int[] edge, int place) {
    return edge[place] + edge[place + 1] + 1 >> 1;
  }

  private static int smooth(int[] edge, int place) {
    return edge[place - 1] + 2 * edge[place] + edge[place + 1] + 2 >> 2;
  }

  /**
   * From the sample to the left of the bottom row, over the corner, to the eighth above. The last four of the blocks at the right side lie
   * above the macroblock for all of its rows; above the last macroblock of a row its last sample stands for them.
   */
  private static int[] edge(Vp8Plane plane, int x, int y, boolean lastColumn) {
    int[] edge = new int[CORNER + 9];
    for (int i = 0; i < 4; i++) {
      edge[i] = plane.sample(plane.at(x - 1, y + 3 - i));
    }
    for (int i = -1; i < 4; i++) {
      edge[CORNER + 1 + i] = plane.sample(plane.at(x + i, y - 1));
    }
    boolean right = x % 16 == 12;
    int row = right ? y / 16 * 16 - 1 : y - 1;
    for (int i = 4; i < 8; i++) {
      boolean beyond = right && lastColumn;
      edge[CORNER + 1 + i] = beyond && row < 0 ? 127 : plane.sample(plane.at(beyond ? x + 3 : x + i, row));
    }
    return edge;
  }
}
