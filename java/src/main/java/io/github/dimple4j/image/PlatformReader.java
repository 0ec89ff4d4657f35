package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.awt.image.BufferedImage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.spi.IIORegistry;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/** Readers of ImageIO. */
final class PlatformReader {
  private PlatformReader() {}

  /** Reads with the platform's own reader of a format, whatever else the application has registered for it. */
  static BufferedImage read(String format, byte[] encoded) throws IOException {
    Iterator<ImageReaderSpi> readers = IIORegistry.getDefaultInstance().getServiceProviders(ImageReaderSpi.class, spi ->
        isPlatforms(spi) && List.of(((ImageReaderSpi) spi).getFormatNames()).contains(format), true);
    if (!readers.hasNext()) {
      throw PictureException.unsupported("a " + format.toUpperCase(Locale.ROOT) + " file, for which this Java platform has no reader");
    }
    try (ImageInputStream in = input(encoded)) {
      return read(readers.next().createReaderInstance(), in);
    }
  }

  /** Reads a format that has no name here: with a reader of the platform if there is one (WBMP), otherwise with the application's. */
  static BufferedImage readOther(byte[] encoded, String formats) throws IOException {
    try (ImageInputStream in = input(encoded)) {
      ImageReader first = null;
      for (Iterator<ImageReader> readers = ImageIO.getImageReaders(in); readers.hasNext();) {
        ImageReader reader = readers.next();
        if (first == null || isPlatforms(reader) && !isPlatforms(first)) {
          first = reader;
        }
      }
      if (first == null) {
        throw PictureException.notOf(formats, OtherFormat.nameOf(encoded));
      }
      if (isPlatforms(first) && !isWholeWbmp(encoded)) {
        throw PictureException.notOf(formats, OtherFormat.nameOf(encoded));
      }
      return read(first, in);
    }
  }

  /**
   * Whether a file has as many bytes as the sizes in its header ask for, if it is a WBMP file (WAP-237, "Wireless Application Environment: WBMP"), which begins with
   * two zeros and has nothing else to be known by.
   */
  private static boolean isWholeWbmp(byte[] encoded) {
    int at = 2;
    long[] sizes = new long[2];
    for (int i = 0; i < 2; i++) { // seven bits a byte, the highest bit of all but the last is set
      boolean more = true;
      while (more && at < encoded.length && sizes[i] < 1 << 24) {
        sizes[i] = sizes[i] << 7 | encoded[at] & 0x7F;
        more = encoded[at++] < 0;
      }
    }
    return (sizes[0] + 7) / 8 * sizes[1] == encoded.length - at;
  }

  private static boolean isPlatforms(Object readerOrProvider) {
    return readerOrProvider.getClass().getModule() == ImageIO.class.getModule();
  }

  private static ImageInputStream input(byte[] encoded) {
    return new MemoryCacheImageInputStream(new ByteArrayInputStream(encoded));
  }

  private static BufferedImage read(ImageReader reader, ImageInputStream in) throws IOException {
    try {
      reader.setInput(in, true, true);
      Pixels.checkSize(reader.getWidth(0), reader.getHeight(0));
      return reader.read(0);
    } finally {
      reader.dispose();
    }
  }
}
