package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import java.nio.ByteBuffer;

/** The alpha of a lossy picture (RFC 9649, section 2.7.1.2): raw or lossless, as differences from what a filter predicts. */
final class WebpAlpha {
  private static final int RAW = 0;
  private static final int LOSSLESS = 1;
  private static final int HORIZONTAL = 1;
  private static final int VERTICAL = 2;
  private static final int GRADIENT = 3;

  private WebpAlpha() {}

  /** Gives {@code [height x width]}. */
  static byte[] decode(ByteBuffer chunk, int width, int height) throws PictureException {
    if (chunk.limit() < 1) {
      throw PictureException.damaged("its alpha is empty");
    }
    int header = chunk.get(0);
    ByteBuffer data = chunk.slice(1, chunk.limit() - 1);
    byte[] alpha = new byte[width * height];
    switch (header & 3) {
      case RAW -> {
        if (data.limit() < alpha.length) {
          throw PictureException.damaged("its alpha ends early");
        }
        data.get(0, alpha);
      }
      case LOSSLESS -> {
        int[] pixels = Vp8lDecoder.decodeWithoutHeader(data, width, height);
        for (int i = 0; i < alpha.length; i++) {
          alpha[i] = (byte) (pixels[i] >> 8); // in the place of green
        }
      }
      default -> throw PictureException.damaged("its alpha is compressed by method " + (header & 3));
    }
    unfilter(alpha, width, header >> 2 & 3);
    return alpha;
  }

  private static void unfilter(byte[] alpha, int width, int filter) {
    for (int i = 0; filter != 0 && i < alpha.length; i++) {
      int x = i % width;
      int left = x > 0 ? alpha[i - 1] & 0xFF : 0;
      int above = i >= width ? alpha[i - width] & 0xFF : 0;
      int corner = x > 0 && i >= width ? alpha[i - width - 1] & 0xFF : 0;
      alpha[i] += (byte) (i < width ? left : x == 0 ? above : switch (filter) {
        case HORIZONTAL -> left;
        case VERTICAL -> above;
        case GRADIENT -> Math.clamp(left + above - corner, 0, 255);
        default -> 0;
      });
    }
  }
}
