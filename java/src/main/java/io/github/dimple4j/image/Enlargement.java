package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;

/**
 * Bicubic enlargement, an axis after the other (Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5,
 * as Pillow has it): every pixel is a weighted mean of the four that are nearest in a row, of fewer at the edges.
 */
public final class Enlargement {
  private static final double SHARPNESS = -0.5; // Keys' a
  private static final int POINT = 22; // bits behind the point of a weight
  private static final int REACH = 2;

  private Enlargement() {}

  /**
   * Enlarges an opaque picture so that its shorter side has a length, with its proportions kept.
   *
   * @param picture any picture
   * @param side pixels
   * @return the larger picture, or this one if no side is shorter
   */
  public static Pixels atLeast(Pixels picture, int side) {
    int shorter = Math.min(picture.width(), picture.height());
    if (shorter >= side) {
      return picture;
    }
    long width = Math.round(picture.width() * (double) side / shorter);
    long height = Math.round(picture.height() * (double) side / shorter);
    if (width * height > Pixels.MAX_PIXELS) {
      return picture; // of an aspect ratio that no model takes, which says so
    }
    return resized(picture, (int) width, (int) height);
  }

  static Pixels resized(Pixels picture, int width, int height) {
    byte[] wide = along(picture.rgb(), picture.height(), 3 * picture.width(), 3, picture.width(), 3, width);
    byte[] high = along(wide, width, 3, 3 * width, picture.height(), 3 * width, height);
    return new Pixels(high, width, height);
  }

  /**
   * Resizes lines of pixels that lie at a distance from each other.
   *
   * @param lines how many lines there are
   * @param lineStep from a line to the next, in the result as in rows of its own length
   * @param step from a pixel of a line to the next
   * @param size pixels of a line
   * @param resizedStep from a pixel to the next in the result
   * @param resized pixels of a line of the result
   */
  private static byte[] along(byte[] from, int lines, int lineStep, int step, int size, int resizedStep, int resized) {
    byte[] to = new byte[3 * lines * resized];
    int resizedLineStep = step == 3 ? 3 * resized : lineStep;
    for (int i = 0; i < resized; i++) {
      double center = (i + 0.5) * size / resized;
      int first = Math.max((int) (center - REACH + 0.5), 0);
      int[] weights = weights(center, first, Math.min((int) (center + REACH + 0.5), size) - first);
      for (int line = 0; line < lines; line++) {
        for (int channel = 0; channel < 3; channel++) {
          int sum = 1 << (POINT - 1);
          for (int k = 0; k < weights.length; k++) {
            sum += weights[k] * (from[line * lineStep + (first + k) * step + channel] & 0xFF);
          }
          to[line * resizedLineStep + i * resizedStep + channel] = (byte) Math.clamp(sum >> POINT, 0, 255);
        }
      }
    }
    return to;
  }

  private static int[] weights(double center, int first, int count) {
    double[] exact = new double[count];
    double sum = 0;
    for (int k = 0; k < count; k++) {
      exact[k] = weight(Math.abs(first + k - center + 0.5));
      sum += exact[k];
    }
    int[] weights = new int[count];
    for (int k = 0; k < count; k++) {
      weights[k] = (int) Math.round(exact[k] / sum * (1 << POINT));
    }
    return weights;
  }

  private static double weight(double distance) {
    double x = distance;
    if (x < 1) {
      return ((SHARPNESS + 2) * x - (SHARPNESS + 3)) * x * x + 1;
    }
    return x < REACH ? (((x - 5) * x + 8) * x - 4) * SHARPNESS : 0;
  }
}
