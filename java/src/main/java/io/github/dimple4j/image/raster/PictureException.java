package io.github.dimple4j.image.raster;

import java.io.IOException;
import java.util.Optional;

/** A picture that is not decoded. The message follows the name of the picture and a colon. */
public final class PictureException extends IOException {
  private static final long serialVersionUID = 1;

  private PictureException(String message) {
    super(message);
  }

  /**
   * A picture whose file is cut off or contradicts its format.
   *
   * @param what what is wrong
   * @return the exception
   */
  public static PictureException damaged(String what) {
    return new PictureException("is damaged: " + what);
  }

  /**
   * A picture with a pixel whose number is behind its palette.
   *
   * @param index the number
   * @param colours how many the palette has
   * @return the exception
   */
  public static PictureException colourBehind(int index, int colours) {
    return damaged("it uses colour " + index + " of " + colours);
  }

  /**
   * A picture that may be sound but is of a kind that is not read.
   *
   * @param kind the kind, for example {@code "a JPEG with 12 bits per sample"}
   * @return the exception
   */
  public static PictureException unsupported(String kind) {
    return new PictureException("is " + kind + ", which is not read");
  }

  /**
   * A picture that cannot be in so few bytes, which is found before memory is taken for it.
   *
   * @param bytes what there is
   * @param width pixels per row
   * @param height rows
   * @return the exception
   */
  public static PictureException tooShort(long bytes, long width, long height) {
    return damaged("it has " + bytes + " bytes of data for " + width + " x " + height + " pixels");
  }

  /**
   * A file that no reader takes for a picture.
   *
   * @param formats what could have been read
   * @param seems what it seems to be, with its article, if that is known
   * @return the exception
   */
  public static PictureException notOf(String formats, Optional<String> seems) {
    return new PictureException(seems.map(kind -> "is " + kind + ", expected a ").orElse("is not a ") + formats + " picture");
  }

  /**
   * A picture of too many pixels.
   *
   * @param width pixels per row
   * @param height rows
   * @param limit pixels that it may have
   * @return the exception
   */
  static PictureException tooLarge(long width, long height, long limit) {
    return new PictureException("has " + width + " x " + height + " pixels, more than " + limit);
  }
}
