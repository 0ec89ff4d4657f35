package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import java.io.IOException;

/** ImageIO's readers. */
public final class ImageIoFormats implements PlatformFormats {
  /** For {@link java.util.ServiceLoader}. */
  public ImageIoFormats() {}

  @Override
  public Pixels png(byte[] encoded) throws IOException {
    return PlatformPicture.pixels(PlatformReader.read("png", PngFile.essence(encoded)));
  }

  @Override
  public Pixels bmp(byte[] encoded) throws IOException {
    BmpFile.check(encoded);
    return PlatformPicture.pixels(PlatformReader.read("bmp", encoded));
  }

  @Override
  public Pixels tiff(byte[] encoded) throws IOException {
    return TiffFile.decode(encoded);
  }

  @Override
  public Pixels other(byte[] encoded, String formats) throws IOException {
    return PlatformPicture.pixels(PlatformReader.readOther(encoded, formats));
  }
}
