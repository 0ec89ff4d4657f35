package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import java.io.IOException;

/** The formats that a Java platform's own readers decode. Found by {@link java.util.ServiceLoader}; where there is none they are not read. */
public interface PlatformFormats {
  /** Decodes a PNG file. */
  Pixels png(byte[] encoded) throws IOException;

  /** Decodes a BMP file. */
  Pixels bmp(byte[] encoded) throws IOException;

  /** Decodes a TIFF file. */
  Pixels tiff(byte[] encoded) throws IOException;

  /**
   * Decodes a file of a format that has no name here.
   *
   * @param formats those that have, for the message where nobody knows the file
   */
  Pixels other(byte[] encoded, String formats) throws IOException;
}
