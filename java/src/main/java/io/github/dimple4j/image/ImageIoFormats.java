package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import java.io.IOException;
import java.util.OptionalInt;

/** ImageIO's readers. */
public final class ImageIoFormats implements PlatformFormats {
  /** For {@link java.util.ServiceLoader}. */
  public ImageIoFormats() {}

  @Override
  public Pixels png(byte[] encoded) throws IOException {
    byte[] essence = PngFile.essence(encoded);
    Pixels pixels = PlatformPicture.pixels(PlatformPicture.checked(PlatformReader.read("png", essence), PngFile.colours(essence)));
    OptionalInt grey = PngFile.transparentGrey(essence);
    if (grey.isEmpty()) {
      return pixels;
    }
    byte[] alpha = new byte[pixels.width() * pixels.height()];
    for (int i = 0; i < alpha.length; i++) {
      alpha[i] = (byte) ((pixels.rgb()[3 * i] & 0xFF) == grey.getAsInt() ? 0 : 255);
    }
    return new Pixels(pixels.rgb(), alpha, pixels.width(), pixels.height());
  }

  @Override
  public Pixels bmp(byte[] encoded) throws IOException {
    BmpFile.check(encoded);
    return PlatformPicture.pixels(PlatformPicture.checked(PlatformReader.read("bmp", BmpFile.plain(encoded)), BmpFile.colours(encoded)));
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
