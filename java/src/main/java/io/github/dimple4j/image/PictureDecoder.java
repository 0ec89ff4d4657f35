package io.github.dimple4j.image;

import io.github.dimple4j.ImageException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Iterator;
import javax.imageio.ImageIO;
import javax.imageio.ImageReader;
import javax.imageio.stream.ImageInputStream;
import javax.imageio.stream.MemoryCacheImageInputStream;

/** Reads picture files of every format that ImageIO finds a reader for. */
public final class PictureDecoder {
  /** The largest picture that is decoded, in pixels. */
  public static final long MAX_PIXELS = 100_000_000;

  /** No compressed picture of {@link #MAX_PIXELS} is larger: three bytes a pixel, and a little for headers. */
  private static final long MAX_FILE_SIZE = 3 * MAX_PIXELS + (1 << 20);

  private PictureDecoder() {}

  /**
   * Reads a file.
   *
   * @param file a picture file
   * @return its content
   * @throws ImageException if it cannot be read or is too large for a picture
   */
  public static byte[] bytes(Path file) {
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

  /**
   * Decodes a picture and turns it upright.
   *
   * @param encoded the content of a picture file
   * @param name what error messages call it
   * @return the picture as it is meant to be seen
   * @throws ImageException if it is not a picture, is damaged, or has more than {@link #MAX_PIXELS}
   */
  public static Pixels decode(byte[] encoded, String name) {
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

  private static Pixels decode(ImageReader reader, ImageInputStream in, byte[] encoded, String name) throws IOException {
    reader.setInput(in, true, true);
    int width = reader.getWidth(0);
    int height = reader.getHeight(0);
    if ((long) width * height > MAX_PIXELS) {
      throw new ImageException(name + ": has " + width + " x " + height + " pixels, more than " + MAX_PIXELS);
    }
    return ExifOrientation.of(encoded).apply(PlatformPicture.pixels(reader.read(0)));
  }
}
