package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;

/** A platform without readers, such as Android's Java. */
final class NoPlatformFormats implements PlatformFormats {
  @Override
  public Pixels png(byte[] encoded) throws PictureException {
    throw none("PNG");
  }

  @Override
  public Pixels bmp(byte[] encoded) throws PictureException {
    throw none("BMP");
  }

  @Override
  public Pixels tiff(byte[] encoded) throws PictureException {
    throw none("TIFF");
  }

  @Override
  public Pixels other(byte[] encoded, String formats) throws PictureException {
    throw PictureException.notOf("JPEG, WebP or GIF", OtherFormat.nameOf(encoded));
  }

  private static PictureException none(String format) {
    return PictureException.unsupported("a " + format + " file, for which this Java platform has no reader; Image.rgb takes decoded pixels");
  }
}
