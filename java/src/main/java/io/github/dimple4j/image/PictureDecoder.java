package io.github.dimple4j.image;

import io.github.dimple4j.ImageException;
import io.github.dimple4j.image.jpeg.JpegDecoder;
import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import io.github.dimple4j.image.webp.WebpDecoder;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ServiceLoader;

/**
 * Reads picture files. What a file of a known format gives is settled here and by the platform alone: readers that an application has
 * registered with ImageIO serve formats that nobody else knows.
 */
public final class PictureDecoder {
  /** No compressed picture of {@link Pixels#MAX_PIXELS} is larger: three bytes a pixel, and a little for headers. */
  private static final long MAX_FILE_SIZE = 3 * Pixels.MAX_PIXELS + (1 << 20);

  private static final String FORMATS = "PNG, JPEG, WebP, GIF, BMP or TIFF";

  private static final PlatformFormats PLATFORM =
      ServiceLoader.load(PlatformFormats.class, PlatformFormats.class.getClassLoader()).findFirst().orElseGet(NoPlatformFormats::new);

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
      try (InputStream in = Files.newInputStream(file)) { // a device says nothing of its size
        byte[] bytes = in.readNBytes((int) MAX_FILE_SIZE + 1);
        if (bytes.length > MAX_FILE_SIZE) {
          throw new ImageException(file + ": has more than " + MAX_FILE_SIZE + " bytes, too many for a picture");
        }
        return bytes;
      }
    } catch (OutOfMemoryError e) {
      throw new ImageException(file + ": takes more memory than Java has", e);
    } catch (NoSuchFileException e) {
      throw new ImageException(file + ": no such file", e);
    } catch (IOException e) {
      throw new ImageException(file + ": cannot be read: " + reason(e), e);
    }
  }

  /** Errors of the file system have their file's name for a message. */
  private static String reason(IOException e) {
    String named = e instanceof FileSystemException f ? f.getReason() : e.getMessage();
    return e instanceof AccessDeniedException ? "access denied" : named == null ? e.getClass().getSimpleName() : named;
  }

  /**
   * Decodes a picture of any size that is decoded.
   *
   * @param encoded the content of a picture file
   * @param name what error messages call it
   * @return as with {@link #decode(byte[], String, long)}
   */
  public static Pixels decode(byte[] encoded, String name) {
    return decode(encoded, name, Pixels.MAX_PIXELS);
  }

  /**
   * Decodes a picture and turns it upright.
   *
   * @param encoded the content of a picture file
   * @param name what error messages call it
   * @param limit pixels that it may have
   * @return the picture as it is meant to be seen
   * @throws ImageException if it is not a picture, is cut off or damaged, or has more pixels than the limit or {@link Pixels#MAX_PIXELS}
   */
  public static Pixels decode(byte[] encoded, String name, long limit) {
    try {
      return Pixels.atMost(limit, () -> ExifOrientation.of(encoded).apply(stored(encoded)));
    } catch (PictureException e) {
      throw new ImageException(name + ": " + e.getMessage(), e);
    } catch (EOFException e) {
      throw new ImageException(name + ": is damaged: it ends early", e);
    } catch (IOException | RuntimeException e) {
      // The platform's readers throw all kinds of unchecked exceptions at damaged files.
      String message = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage().lines().findFirst().orElse("");
      throw new ImageException(name + ": is damaged: " + message, e);
    } catch (OutOfMemoryError e) {
      throw new ImageException(name + ": takes more memory than Java has", e);
    }
  }

  private static Pixels stored(byte[] encoded) throws IOException {
    return switch (PictureFormat.of(encoded)) {
      case JPEG -> JpegDecoder.decode(encoded);
      case PNG -> PLATFORM.png(encoded);
      case GIF -> GifDecoder.decode(encoded);
      case BMP -> PLATFORM.bmp(encoded);
      case TIFF -> PLATFORM.tiff(encoded);
      case BIG_TIFF -> throw PictureException.unsupported("a BigTIFF file");
      case WEBP -> WebpDecoder.decode(encoded);
      case OTHER -> PLATFORM.other(encoded, FORMATS);
    };
  }
}
