package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.util.Set;

/** Pictures of the Java platform, whatever their layout in memory, as 8-bit RGB. */
public final class PlatformPicture {
  private PlatformPicture() {}

  /**
   * Copies the pixels as stored: no colour management, which would brighten grey pictures, and alpha beside the colours.
   *
   * @param image any kind of picture
   * @return the copy
   */
  public static Pixels pixels(BufferedImage image) {
    int width = image.getWidth();
    int height = image.getHeight();
    byte[] rgb = new byte[Math.multiplyExact(3, Math.multiplyExact(width, height))];
    ColorModel colors = image.getColorModel();
    Raster raster = image.getRaster();
    if (!storesRgbOrGrey(colors, raster)) {
      converted(image, rgb);
    } else if (colors instanceof IndexColorModel palette) {
      indexed(raster, palette, rgb);
    } else {
      direct(raster, colors, rgb);
    }
    return new Pixels(rgb, colors.hasAlpha() ? alpha(image) : null, width, height);
  }

  /**
   * Refuses what readers make black, transparent or the last colour, each its own way.
   *
   * @param image a picture
   * @param colors how many colours its palette has, if it has one
   * @return the picture
   * @throws PictureException if a pixel has the number of a colour behind the palette
   */
  static BufferedImage checked(BufferedImage image, int colors) throws PictureException {
    Raster raster = image.getRaster();
    if (image.getColorModel() instanceof IndexColorModel) {
      int[] row = new int[raster.getWidth()];
      for (int y = 0; y < raster.getHeight(); y++) {
        raster.getPixels(raster.getMinX(), raster.getMinY() + y, row.length, 1, row);
        for (int index : row) {
          if (index >= colors) {
            throw PictureException.colourBehind(index, colors);
          }
        }
      }
    }
    return image;
  }

  private static byte[] alpha(BufferedImage image) {
    int width = image.getWidth();
    byte[] alpha = new byte[width * image.getHeight()];
    int[] row = new int[width];
    for (int i = 0; i < alpha.length; i++) {
      if (i % width == 0) {
        image.getRGB(0, i / width, width, 1, row, 0, width);
      }
      alpha[i] = (byte) (row[i % width] >>> 24);
    }
    return alpha;
  }

  /** Whether samples are unsigned integers, in the order red, green, blue or grey first, and neither linear nor multiplied by alpha. */
  private static boolean storesRgbOrGrey(ColorModel colors, Raster raster) {
    int space = colors.getColorSpace().getType();
    boolean integers = Set.of(DataBuffer.TYPE_BYTE, DataBuffer.TYPE_USHORT,
        DataBuffer.TYPE_INT).contains(raster.getTransferType());
    boolean linear = colors.getColorSpace() == ColorSpace.getInstance(ColorSpace.CS_LINEAR_RGB); // of light, not of what a screen is told
    return integers && !linear && (space == ColorSpace.TYPE_RGB || space == ColorSpace.TYPE_GRAY)
        && !(colors.hasAlpha() && colors.isAlphaPremultiplied());
  }

  private static void converted(BufferedImage image, byte[] rgb) {
    int width = image.getWidth();
    int[] row = new int[width];
    for (int y = 0, to = 0; y < image.getHeight(); y++) {
      image.getRGB(0, y, width, 1, row, 0, width);
      for (int pixel : row) {
        to = put(rgb, to, pixel);
      }
    }
  }

  private static void indexed(Raster raster, IndexColorModel palette, byte[] rgb) {
    int width = raster.getWidth();
    int[] colors = new int[palette.getMapSize()];
    palette.getRGBs(colors);
    int[] row = new int[width];
    for (int y = 0, to = 0; y < raster.getHeight(); y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int index : row) {
        to = put(rgb, to, index < colors.length ? colors[index] : 0);
      }
    }
  }

  private static void direct(Raster raster, ColorModel colors, byte[] rgb) {
    int width = raster.getWidth();
    int bands = raster.getNumBands();
    boolean grey = colors.getNumColorComponents() == 1;
    int[] row = new int[width * bands];
    for (int y = 0, to = 0; y < raster.getHeight(); y++) {
      raster.getPixels(raster.getMinX(), raster.getMinY() + y, width, 1, row);
      for (int x = 0; x < width; x++) {
        for (int channel = 0; channel < 3; channel++) {
          int band = grey ? 0 : channel;
          rgb[to++] = toByte(row[x * bands + band], colors.getComponentSize(band));
        }
      }
    }
  }

  /** High byte of wide samples, as the reference does; narrow ones spread over the full range. */
  private static byte toByte(int sample, int bits) {
    return (byte) (bits >= 8 ? sample >>> (bits - 8) : sample * 255 / ((1 << bits) - 1));
  }

  private static int put(byte[] rgb, int to, int pixel) {
    rgb[to] = (byte) (pixel >> 16);
    rgb[to + 1] = (byte) (pixel >> 8);
    rgb[to + 2] = (byte) pixel;
    return to + 3;
  }
}
