package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;

/**
 * What the components of a frame mean, and their conversion to RGB. A file says it by a JFIF segment (YCbCr), by an Adobe segment, or by
 * the identifiers of its components, in this order; four components are inverted CMYK, as Adobe's programs write it, or YCCK.
 */
final class JpegColors {
  static final int NO_ADOBE = -1;

  private static final int POINT = 16; // bits behind the point
  private static final int HALF = 1 << (POINT - 1);

  // JFIF 1.02, "Conversion to and from RGB".
  private static final int RED = (int) (1.402 * (1 << POINT) + 0.5);
  private static final int BLUE = (int) (1.772 * (1 << POINT) + 0.5);
  private static final int GREEN_OF_CB = (int) (0.34414 * (1 << POINT) + 0.5);
  private static final int GREEN_OF_CR = (int) (0.71414 * (1 << POINT) + 0.5);

  private final JpegFrame frame;
  private final boolean luminance; // the first three components are Y, Cb and Cr

  JpegColors(JpegFrame frame, boolean jfif, int adobeTransform) {
    this.frame = frame;
    JpegComponent[] c = frame.components;
    this.luminance = switch (c.length) {
      case 1 -> false;
      case 3 -> jfif || (adobeTransform == NO_ADOBE ? !(c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B') : adobeTransform != 0);
      default -> adobeTransform > 0;
    };
  }

  Pixels picture(JpegComponent[] components) throws PictureException {
    int count = components.length;
    JpegUpsampling[] upsampling = new JpegUpsampling[count];
    int[][] rows = new int[count][];
    for (int i = 0; i < count; i++) {
      upsampling[i] = JpegUpsampling.of(frame, components[i]);
      rows[i] = new int[8 * frame.mcusWide * frame.horizontal];
    }
    byte[] rgb = new byte[Math.multiplyExact(3, frame.width * frame.height)];
    for (int y = 0; y < frame.height; y++) {
      for (int i = 0; i < count; i++) {
        upsampling[i].row(y, rows[i]);
      }
      if (luminance) {
        toRgb(rows[0], rows[1], rows[2]);
      }
      if (count == 4) {
        blacken(rows);
      }
      int to = 3 * y * frame.width;
      for (int x = 0; x < frame.width; x++) {
        for (int channel = 0; channel < 3; channel++) {
          rgb[to++] = (byte) rows[count == 1 ? 0 : channel][x];
        }
      }
    }
    return new Pixels(rgb, frame.width, frame.height);
  }

  private void toRgb(int[] first, int[] second, int[] third) {
    for (int x = 0; x < frame.width; x++) {
      int y = first[x];
      int cb = second[x] - 128;
      int cr = third[x] - 128;
      first[x] = Math.clamp(y + (RED * cr + HALF >> POINT), 0, 255);
      second[x] = Math.clamp(y + (HALF - GREEN_OF_CB * cb - GREEN_OF_CR * cr >> POINT), 0, 255);
      third[x] = Math.clamp(y + (BLUE * cb + HALF >> POINT), 0, 255);
    }
  }

  /**
   * Inks become light: what the three colours leave of what black leaves. Samples are inverted, so 255 is no ink; but with YCCK the
   * conversion above gives RGB, which YCCK inverts once more.
   */
  private void blacken(int[][] rows) {
    for (int x = 0; x < frame.width; x++) {
      int light = rows[3][x];
      for (int channel = 0; channel < 3; channel++) {
        int sample = rows[channel][x];
        int ink = luminance ? sample : 255 - sample;
        int product = ink * light + 128;
        rows[channel][x] = Math.clamp(light - ((product >> 8) + product >> 8), 0, 255);
      }
    }
  }
}
