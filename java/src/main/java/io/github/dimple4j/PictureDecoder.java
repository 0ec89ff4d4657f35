package io.github.dimple4j;

import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ColorModel;
import java.awt.image.DataBuffer;
import java.awt.image.IndexColorModel;
import java.awt.image.Raster;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Set;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/** Turns encoded pictures and those of the Java platform into 8-bit RGB. */
final class PictureDecoder {
  /** No compressed picture of {@link Image#MAX_PIXELS} is larger: three bytes a pixel, and a little for headers. */
  private static final long MAX_FILE_SIZE = 3 * Image.MAX_PIXELS + (1 << 20);

  private PictureDecoder() {}

  static byte[] bytes(Path file) {
    try {
      if (Files.isDirectory(file)) {
        throw new ImageException(file + ": is a folder, expected a picture");
      }
      long size = Files.size(file);
      if (size > MAX_FILE_SIZE) {
        throw new ImageException(file + ": has " + size + " bytes, too many for a picture");
      }
      return Files.readAllBytes(file);
    } catch (NoSuchFileException e) {
      throw new ImageException(file + ": no such file", e);
    } catch (IOException e) {
      throw new ImageException(file + ": cannot be read: " + e.getMessage(), e);
    }
  }

  static Image decode(byte[] encoded, String name) {
    try (ImageInputStream in = new MemoryCacheImageInputStream(new ByteArrayInputStream(encoded))) {
      Iterator<ImageReader> readers = ImageIO.getImageReaders(in);
      if (!readers.hasNext()) {
        throw new ImageException(name + ": is not a PNG, JPEG, GIF or BMP picture");
      }
      ImageReader reader = readers.next();
      try {
        return decode(reader, in, encoded, name);
      } finally {
        reader.dispose();
      }
    } catch (IOException | RuntimeException e) {
      // The platform's readers throw all kinds of unchecked exceptions at damaged files.
      throw e instanceof ImageException known ? known : new ImageException(name + ": is damaged: " + e.getMessage(), e);
    }
  }

  private static Image decode(ImageReader reader, ImageInputStream in, byte[] encoded, String name) throws IOException {
    reader.setInput(in, true, true);
    int width = reader.getWidth(0);
    int height = reader.getHeight(0);
    if ((long) width * height > Image.MAX_PIXELS) {
      throw new ImageException(name + ": has " + width + " x " + height + " pixels, more than " + Image.MAX_PIXELS);
    }
    Image image = Image.of(reader.read(0));
    return ExifOrientation.of(encoded).apply(image);
  }

  /** The pixels as stored: no colour management, which would brighten grey pictures, and no blending. */
  static byte[] rgb(BufferedImage image) {
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
    return rgb;
  }

  /** Whether samples are unsigned integers, in the order red, green, blue or grey first, and not multiplied by alpha. */
  private static boolean storesRgbOrGrey(ColorModel colors, Raster raster) {
    int space = colors.getColorSpace().getType();
    boolean integers = Set.of(DataBuffer.TYPE_BYTE, DataBuffer.TYPE_USHORT,
        DataBuffer.TYPE_INT).contains(raster.getTransferType());
    return integers && (space == ColorSpace.TYPE_RGB || space == ColorSpace.TYPE_GRAY)
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
