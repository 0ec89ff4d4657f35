package io.github.dimple4j.image.webp;

import java.util.Arrays;

/** Samples of luminance or of a colour, whole macroblocks, with a row above and a column to the left that prediction starts from. */
final class Vp8Plane {
  private static final byte ABOVE = 127; // RFC 6386, section 12.2
  private static final byte LEFT = (byte) 129;

  final byte[] samples;
  final int stride;

  Vp8Plane(int width, int height) {
    stride = width + 1;
    samples = new byte[Math.multiplyExact(stride, height + 1)];
    for (int y = 1; y <= height; y++) {
      samples[y * stride] = LEFT;
    }
    Arrays.fill(samples, 0, stride, ABOVE);
  }

  /** Where the sample at a place is. */
  int at(int x, int y) {
    return (y + 1) * stride + x + 1;
  }

  int sample(int position) {
    return samples[position] & 0xFF;
  }
}
