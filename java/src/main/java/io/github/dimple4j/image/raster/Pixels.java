package io.github.dimple4j.image.raster;

import java.io.IOException;

/**
 * A decoded picture: 8-bit RGB, and how opaque each pixel is. The arrays are not copied.
 *
 * @param rgb {@code [height x width x 3]}, from the top left, not multiplied by alpha
 * @param alpha {@code [height x width]}, 255 where nothing shines through; null if the whole picture is opaque
 * @param width pixels per row
 * @param height rows
 */
public record Pixels(byte[] rgb, byte[] alpha, int width, int height) {
  /** The largest picture that is decoded, in pixels. */
  public static final long MAX_PIXELS = 100_000_000;

  /** The limit of the picture that a thread decodes, where it is lower. */
  private static final ThreadLocal<Long> LIMIT = ThreadLocal.withInitial(() -> MAX_PIXELS);

  /**
   * An opaque picture.
   *
   * @param rgb {@code [height x width x 3]}
   * @param width pixels per row
   * @param height rows
   */
  public Pixels(byte[] rgb, int width, int height) {
    this(rgb, null, width, height);
  }

  /**
   * Refuses a size before memory is taken for it.
   *
   * @param width pixels per row, as the file announces
   * @param height rows
   * @throws PictureException if one is less than 1, or there are more than {@link #MAX_PIXELS} or than {@link #atMost} allows
   */
  public static void checkSize(long width, long height) throws PictureException {
    if (width < 1 || height < 1) {
      throw PictureException.damaged("it has " + width + " x " + height + " pixels");
    }
    long limit = LIMIT.get();
    if (width > limit || width * height > limit) {
      throw PictureException.tooLarge(width, height, limit);
    }
  }

  /** Decodes a picture. */
  public interface Decoding {
    /**
     * Decodes it on the calling thread.
     *
     * @return the picture
     * @throws IOException if it is none that can be decoded
     */
    Pixels pixels() throws IOException;
  }

  /**
   * Runs a decoding in which larger pictures are refused.
   *
   * @param limit pixels; above {@link #MAX_PIXELS} it says nothing
   * @param decoding what decodes, on this thread
   * @return the picture
   * @throws IOException as the decoding does
   */
  public static Pixels atMost(long limit, Decoding decoding) throws IOException {
    LIMIT.set(Math.min(limit, MAX_PIXELS));
    try {
      return decoding.pixels();
    } finally {
      LIMIT.remove();
    }
  }

  /**
   * Blends with a colour that lies behind the picture.
   *
   * @param background {@code 0xRRGGBB}
   * @return an opaque picture: this one if it is opaque
   */
  public Pixels over(int background) {
    if (alpha == null) {
      return this;
    }
    byte[] blended = new byte[rgb.length];
    for (int i = 0; i < alpha.length; i++) {
      int opacity = alpha[i] & 0xFF;
      for (int channel = 0; channel < 3; channel++) {
        int behind = background >> (16 - 8 * channel) & 0xFF;
        int sum = (rgb[3 * i + channel] & 0xFF) * opacity + behind * (255 - opacity);
        blended[3 * i + channel] = (byte) ((sum + 127) / 255);
      }
    }
    return new Pixels(blended, width, height);
  }
}
