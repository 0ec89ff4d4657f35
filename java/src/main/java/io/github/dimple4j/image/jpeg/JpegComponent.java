package io.github.dimple4j.image.jpeg;

import java.util.Arrays;

/** One of the planes that make up a picture: a luminance, say, or a colour at a quarter of the resolution. */
final class JpegComponent {
  final int id;
  final int horizontal; // sampling factors, 1 to 4
  final int vertical;
  final int tableNumber;
  int width; // samples that belong to the picture
  int height;
  int blocksWide; // blocks that hold them
  int blocksHigh;
  int stride; // samples per row of the plane, which holds whole MCUs
  byte[] samples;
  short[] coefficients; // of a progressive picture: 64 per block in natural order, blocks in rows of stride / 8
  int[] quantization; // in natural order; null until the first scan of the component
  int prediction; // of the next DC coefficient
  long known; // progressive: bit k is set once coefficient k (in zigzag order) is complete
  final int[] precision = new int[64]; // progressive: lowest bit that is known of each coefficient, -1 before its first scan

  JpegComponent(int id, int sampling, int tableNumber) {
    this.id = id;
    this.horizontal = sampling >> 4;
    this.vertical = sampling & 15;
    this.tableNumber = tableNumber;
    Arrays.fill(precision, -1);
  }
}
