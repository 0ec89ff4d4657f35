package io.github.dimple4j.image.webp;

/** Smooths the edges of macroblocks and blocks (RFC 6386, section 15). */
final class Vp8LoopFilter {
  private final Vp8Header header;
  private final Vp8Plane[] planes;
  private final int columns;
  private final byte[] levels; // of macroblocks
  private final boolean[] inner; // whether the edges of blocks are smoothed, too

  // Of the macroblock that is being filtered.
  private int interior; // the largest difference of neighbours on one side of an edge that is smoothed
  private int variance; // a larger one near the edge is detail, which is smoothed less

  Vp8LoopFilter(Vp8Header header, Vp8Plane[] planes, int columns, int rows) {
    this.header = header;
    this.planes = planes;
    this.columns = columns;
    levels = new byte[columns * rows];
    inner = new boolean[columns * rows];
  }

  void note(int column, int row, int level, boolean blocks) {
    levels[row * columns + column] = (byte) level;
    inner[row * columns + column] = blocks;
  }

  void apply() {
    for (int i = 0; header.filterLevel > 0 && i < levels.length; i++) {
      if (levels[i] > 0) {
        macroblock(i % columns, i / columns, levels[i], inner[i]);
      }
    }
  }

  private void macroblock(int column, int row, int level, boolean blocks) {
    interior = level;
    if (header.sharpness > 0) {
      interior = Math.min(level >> (header.sharpness > 4 ? 2 : 1), 9 - header.sharpness);
    }
    interior = Math.max(interior, 1);
    variance = level >= 40 ? 2 : level >= 15 ? 1 : 0;
    int limit = 2 * level + interior;
    for (boolean acrossColumns : new boolean[] {true, false}) {
      if ((acrossColumns ? column : row) > 0) {
        edges(column, row, acrossColumns, 0, limit + 4);
      }
      for (int offset = 4; blocks && offset < 16; offset += 4) {
        edges(column, row, acrossColumns, offset, limit);
      }
    }
  }

  /** An edge of the luminance, and of the colours where they have one there: at half the offset. */
  private void edges(int column, int row, boolean acrossColumns, int offset, int limit) {
    int planesFiltered = header.simpleFilter || offset % 8 != 0 ? 1 : 3;
    for (int i = 0; i < planesFiltered; i++) {
      Vp8Plane plane = planes[i];
      int size = i == 0 ? 16 : 8;
      int shift = i == 0 ? offset : offset / 2;
      int at = plane.at(size * column + (acrossColumns ? shift : 0), size * row + (acrossColumns ? 0 : shift));
      int along = acrossColumns ? plane.stride : 1;
      int across = acrossColumns ? 1 : plane.stride;
      for (int k = 0; k < size; k++) {
        edge(plane.samples, at + k * along, across, limit, offset == 0);
      }
    }
  }

  private void edge(byte[] s, int at, int step, int limit, boolean ofMacroblock) {
    int p1 = s[at - 2 * step] & 0xFF;
    int p0 = s[at - step] & 0xFF;
    int q0 = s[at] & 0xFF;
    int q1 = s[at + step] & 0xFF;
    if (4 * Math.abs(p0 - q0) + Math.abs(p1 - q1) > 2 * limit + 1) {
      return;
    }
    if (header.simpleFilter) {
      two(s, at, step, true);
      return;
    }
    int p3 = s[at - 4 * step] & 0xFF;
    int p2 = s[at - 3 * step] & 0xFF;
    int q2 = s[at + 2 * step] & 0xFF;
    int q3 = s[at + 3 * step] & 0xFF;
    if (Math.abs(p3 - p2) > interior || Math.abs(p2 - p1) > interior || Math.abs(p1 - p0) > interior || Math.abs(q3 - q2) > interior
        || Math.abs(q2 - q1) > interior || Math.abs(q1 - q0) > interior) {
      return;
    }
    if (Math.abs(p1 - p0) > variance || Math.abs(q1 - q0) > variance) {
      two(s, at, step, true);
    } else if (ofMacroblock) {
      six(s, at, step);
    } else {
      int change = two(s, at, step, false) + 1 >> 1;
      add(s, at - 2 * step, change);
      add(s, at + step, -change);
    }
  }

  /** Changes a sample on each side; gives by how much that behind the edge was lessened. */
  private static int two(byte[] s, int at, int step, boolean outer) {
    int difference = 3 * ((s[at] & 0xFF) - (s[at - step] & 0xFF));
    if (outer) {
      difference += signed((s[at - 2 * step] & 0xFF) - (s[at + step] & 0xFF));
    }
    int behind = Math.clamp(difference + 4 >> 3, -16, 15);
    add(s, at - step, Math.clamp(difference + 3 >> 3, -16, 15));
    add(s, at, -behind);
    return behind;
  }

  /** Changes three samples on each side. */
  private static void six(byte[] s, int at, int step) {
    int difference = signed(3 * ((s[at] & 0xFF) - (s[at - step] & 0xFF)) + signed((s[at - 2 * step] & 0xFF) - (s[at + step] & 0xFF)));
    for (int i = 0; i < 3; i++) {
      int change = 9 * (3 - i) * difference + 63 >> 7;
      add(s, at - (i + 1) * step, change);
      add(s, at + i * step, -change);
    }
  }

  private static int signed(int value) {
    return Math.clamp(value, -128, 127);
  }

  private static void add(byte[] s, int at, int change) {
    s[at] = (byte) Math.clamp((s[at] & 0xFF) + change, 0, 255);
  }
}
