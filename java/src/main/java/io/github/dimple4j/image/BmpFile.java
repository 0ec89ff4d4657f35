package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The header of a Windows bitmap (BITMAPINFOHEADER and its kin), checked before memory is taken. */
final class BmpFile {
  private static final int FILE_HEADER = 14;
  private static final int CORE_HEADER = 12; // of OS/2: sizes of 16 bits, nothing compressed
  private static final int INFO_HEADER = 40; // of Windows, as later ones begin
  private static final int RLE8 = 1;
  private static final int RLE4 = 2;
  private static final int JPEG = 4;

  private BmpFile() {}

  /**
   * Checks a file.
   *
   * @param encoded a file with the signature of a bitmap
   * @throws PictureException if it cannot hold as many pixels as it announces, these are too many, or it is a wrapping of another format
   */
  static void check(byte[] encoded) throws PictureException {
    ByteBuffer file = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    boolean core = encoded.length > FILE_HEADER && encoded[FILE_HEADER] == CORE_HEADER;
    if (encoded.length < FILE_HEADER + (core ? CORE_HEADER : INFO_HEADER)) {
      throw PictureException.damaged("it ends early");
    }
    long width = core ? file.getShort(18) & 0xFFFF : file.getInt(18);
    long height = core ? file.getShort(20) & 0xFFFF : Math.abs((long) file.getInt(22));
    int bits = file.getShort(core ? 24 : 28);
    int compression = core ? 0 : file.getInt(30);
    Pixels.checkSize(width, height);
    if (compression >= JPEG) {
      throw PictureException.unsupported("a bitmap of compression " + compression);
    }
    long needed = height * ((width * bits + 31) / 32 * 4);
    if (compression != RLE8 && compression != RLE4 && needed > encoded.length - (long) file.getInt(10)) {
      throw PictureException.damaged("it ends early");
    }
  }
}
