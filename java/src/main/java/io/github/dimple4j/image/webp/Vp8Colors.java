package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.Pixels;

/** YCbCr of ITU-R BT.601 (16 to 235) at half the resolution for colours, as RGB. Interpolation and rounding are those of libwebp. */
final class Vp8Colors {
  // Factors times 2^14, of samples times 2^8; offsets follow from 16 and 128.
  private static final int LUMINANCE = 19077; // 1.164
  private static final int RED = 26149; // 1.596
  private static final int GREEN_OF_CB = 6419; // 0.391
  private static final int GREEN_OF_CR = 13320; // 0.813
  private static final int BLUE = 33050; // 2.018
  private static final int RED_OFFSET = -14234;
  private static final int GREEN_OFFSET = 8708;
  private static final int BLUE_OFFSET = -17685;

  private Vp8Colors() {}

  static Pixels picture(Vp8Plane[] planes, int width, int height) {
    byte[] rgb = new byte[Math.multiplyExact(3, width * height)];
    int[] cb = new int[width + 2];
    int[] cr = new int[width + 2];
    for (int y = 0, to = 0; y < height; y++) {
      upsample(planes[1], y, width, height, cb);
      upsample(planes[2], y, width, height, cr);
      int from = planes[0].at(0, y);
      for (int x = 0; x < width; x++) {
        int luminance = planes[0].sample(from + x) * LUMINANCE >> 8;
        rgb[to++] = clipped(luminance + (cr[x] * RED >> 8) + RED_OFFSET);
        rgb[to++] = clipped(luminance - (cb[x] * GREEN_OF_CB >> 8) - (cr[x] * GREEN_OF_CR >> 8) + GREEN_OFFSET);
        rgb[to++] = clipped(luminance + (cb[x] * BLUE >> 8) + BLUE_OFFSET);
      }
    }
    return new Pixels(rgb, width, height);
  }

  /** A row: 9/16 of the nearest sample, 3/16 of the next ones in either direction, 1/16 of the one beyond, rounded in two steps. */
  private static void upsample(Vp8Plane plane, int y, int width, int height, int[] to) {
    int last = (height + 1) / 2 - 1;
    int near = plane.at(0, y / 2);
    int far = plane.at(0, Math.clamp(y / 2 + (y % 2 == 0 ? -1 : 1), 0, last));
    to[0] = 3 * plane.sample(near) + plane.sample(far) + 2 >> 2;
    int pairs = (width - 1) / 2;
    for (int x = 1; x <= pairs; x++) {
      int nearLeft = plane.sample(near + x - 1);
      int nearRight = plane.sample(near + x);
      int farLeft = plane.sample(far + x - 1);
      int farRight = plane.sample(far + x);
      int sum = nearLeft + nearRight + farLeft + farRight + 8;
      to[2 * x - 1] = (sum + 2 * (nearRight + farLeft) >> 3) + nearLeft >> 1;
      to[2 * x] = (sum + 2 * (nearLeft + farRight) >> 3) + nearRight >> 1;
    }
    if (width % 2 == 0) {
      to[width - 1] = 3 * plane.sample(near + pairs) + plane.sample(far + pairs) + 2 >> 2;
    }
  }

  private static byte clipped(int value) {
    return (byte) Math.clamp(value >> 6, 0, 255);
  }
}
