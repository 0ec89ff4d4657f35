package io.github.dimple4j;

import io.github.dimple4j.image.Enlargement;
import io.github.dimple4j.image.PictureDecoder;
import io.github.dimple4j.image.PlatformPicture;
import io.github.dimple4j.image.raster.Pixels;
import java.awt.image.BufferedImage;
import java.nio.file.Path;
import java.util.Objects;

/**
 * A picture: 8-bit RGB, row by row from the top left. Immutable and thread-safe.
 *
 * <p>What becomes of other kinds of pictures: transparency is dropped, not blended, so a transparent pixel has the colour that the
 * file stores for it ({@link ImageOptions} has a choice); grey is repeated into the three channels; of 16-bit channels, grey too, the high
 * byte is kept; inks (CMYK) become what each leaves of what black leaves; colour profiles are not applied. That is what Pillow's
 * {@code convert("RGB")} gives, but for 16-bit grey, which Pillow cuts off at 255.
 */
public final class Image implements Part {
  /** The largest picture that is decoded, in pixels; a file that announces more is refused before its pixels are read. */
  public static final long MAX_PIXELS = Pixels.MAX_PIXELS;

  private static final ImageOptions DEFAULTS = ImageOptions.builder().build();

  private final byte[] rgb;
  private final int width;
  private final int height;
  private final String name; // what error messages call it; null if it has none

  /** Takes the array over. */
  private Image(Pixels pixels, String name) {
    rgb = pixels.rgb();
    width = pixels.width();
    height = pixels.height();
    this.name = name;
  }

  /**
   * Reads a PNG, JPEG, WebP, GIF, BMP or TIFF file, of several frames or pages the first, or a file of another format that ImageIO finds a
   * reader for. The EXIF orientation is applied.
   *
   * @param file the file
   * @return the picture
   * @throws ImageException if the file cannot be read, is not a picture, is cut off or damaged, is of a kind that is not read, or has more
   *     than {@link #MAX_PIXELS}
   */
  public static Image read(Path file) {
    return read(file, DEFAULTS);
  }

  /**
   * Reads a file, as {@link #read(Path)} does.
   *
   * @param file the file
   * @param options what becomes of transparent and of small pictures
   * @return the picture
   * @throws ImageException as with {@link #read(Path)}
   */
  public static Image read(Path file, ImageOptions options) {
    Objects.requireNonNull(file, "file");
    Objects.requireNonNull(options, "options");
    return decode(PictureDecoder.bytes(file), file.toString(), options);
  }

  /**
   * Decodes the content of a picture file, as {@link #read(Path)} does.
   *
   * @param encoded the content of a file
   * @param name what error messages call it
   * @return the picture
   * @throws ImageException if it is not a picture, is cut off or damaged, is of a kind that is not read, or has more than
   *     {@link #MAX_PIXELS}
   */
  public static Image decode(byte[] encoded, String name) {
    return decode(encoded, name, DEFAULTS);
  }

  /**
   * Decodes the content of a picture file, as {@link #read(Path)} does.
   *
   * @param encoded the content of a file
   * @param name what error messages call it
   * @param options what becomes of transparent and of small pictures
   * @return the picture
   * @throws ImageException as with {@link #decode(byte[], String)}
   */
  public static Image decode(byte[] encoded, String name, ImageOptions options) {
    Objects.requireNonNull(encoded, "encoded");
    Objects.requireNonNull(name, "name");
    Objects.requireNonNull(options, "options");
    return new Image(prepared(PictureDecoder.decode(encoded, name, options.maximumPixels()), options), name);
  }

  /**
   * Copies a picture of the Java platform.
   *
   * @param image any kind of picture
   * @return the copy
   */
  @SuppressWarnings("exports") // of java.desktop, which whoever has a BufferedImage requires already
  public static Image of(BufferedImage image) {
    return of(image, DEFAULTS);
  }

  /**
   * Copies a picture of the Java platform.
   *
   * @param image any kind of picture
   * @param options what becomes of transparent and of small pictures
   * @return the copy
   */
  @SuppressWarnings("exports") // of java.desktop, which whoever has a BufferedImage requires already
  public static Image of(BufferedImage image, ImageOptions options) {
    Objects.requireNonNull(image, "image");
    Objects.requireNonNull(options, "options");
    return new Image(prepared(PlatformPicture.pixels(image), options), null);
  }

  private static Pixels prepared(Pixels pixels, ImageOptions options) {
    Pixels opaque = options.background().isPresent() ? pixels.over(options.background().getAsInt()) : pixels;
    return Enlargement.atLeast(opaque, options.minimumSide());
  }

  /**
   * Copies raw pixels.
   *
   * @param rgb three bytes per pixel, row by row from the top left, without gaps
   * @param width pixels per row, at least 1
   * @param height rows, at least 1
   * @return the picture
   * @throws InvalidArgumentException if {@code rgb} does not have {@code 3 * width * height} bytes
   */
  public static Image rgb(byte[] rgb, int width, int height) {
    Objects.requireNonNull(rgb, "rgb");
    if (width < 1 || height < 1 || rgb.length != 3L * width * height) {
      throw new InvalidArgumentException("a picture of " + width + " x " + height + " pixels with " + rgb.length
          + " bytes, expected at least one pixel and three bytes for each");
    }
    return new Image(new Pixels(rgb.clone(), width, height), null);
  }

  /**
   * The width.
   *
   * @return pixels per row
   */
  public int width() {
    return width;
  }

  /**
   * The height.
   *
   * @return rows
   */
  public int height() {
    return height;
  }

  /**
   * A copy of the pixels.
   *
   * @return three bytes per pixel, row by row from the top left
   */
  public byte[] rgb() {
    return rgb.clone();
  }

  /** What an error about this picture begins with: its name and a colon, or nothing. */
  String errorPrefix() {
    return name == null ? "" : name + ": ";
  }

  /** The pixels themselves. */
  byte[] pixels() {
    return rgb;
  }

  /**
   * The size, for logs.
   *
   * @return for example {@code "image of 640 x 480"}
   */
  @Override
  public String toString() {
    return "image of " + width + " x " + height;
  }
}
