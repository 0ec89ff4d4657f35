package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The header of a bitmap of Windows or OS/2 (BITMAPINFOHEADER and its kin), checked before memory is taken. */
final class BmpFile {
  private static final int FILE_HEADER = 14;
  private static final int CORE_HEADER = 12; // of OS/2: sizes of 16 bits, nothing compressed
  private static final int INFO_HEADER = 40; // of Windows, as later ones begin
  private static final int SECOND_HEADER = 64; // of OS/2: begins as that of Windows
  private static final int OFFSET = 10; // where the file says where its pixels are
  private static final int COLOURS = 46; // where it says how many colours its palette has
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
    boolean second = header(file) == SECOND_HEADER;
    if (second && compression > RLE4) {
      throw PictureException.unsupported("a bitmap of OS/2's compression " + compression);
    }
    if (compression >= JPEG) {
      throw PictureException.unsupported("a bitmap of compression " + compression);
    }
    long needed = height * ((width * bits + 31) / 32 * 4);
    if (compression != RLE8 && compression != RLE4 && needed > encoded.length - (long) file.getInt(10)) {
      throw PictureException.damaged("it ends early");
    }
  }

  private static int header(ByteBuffer file) {
    return file.getInt(FILE_HEADER);
  }

  /**
   * How many colours the palette has, which may be fewer than there are numbers for.
   *
   * @param encoded a file that {@link #check} has let pass
   * @return as many as the header counts and as stand in front of the pixels
   */
  static int colours(byte[] encoded) {
    ByteBuffer file = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    int header = header(file);
    boolean core = header == CORE_HEADER;
    int bits = file.getShort(core ? 24 : 28);
    if (bits < 1 || bits > 8) {
      return 0;
    }
    long counted = core ? 0 : file.getInt(COLOURS) & 0xFFFFFFFFL;
    long room = ((file.getInt(OFFSET) & 0xFFFFFFFFL) - FILE_HEADER - header) / (core ? 3 : 4);
    return (int) Math.min(counted == 0 ? 1 << bits : Math.min(counted, 1 << bits), Math.max(room, 0));
  }

  /**
   * The file as the platform's reader has it right: the header of Windows, and the pixels behind the palette without a gap, which that reader takes
   * for more colours.
   *
   * @param encoded a file that {@link #check} has let pass
   * @return the same picture
   */
  static byte[] plain(byte[] encoded) {
    ByteBuffer file = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    int header = header(file);
    boolean core = header == CORE_HEADER;
    int bits = file.getShort(core ? 24 : 28);
    int kept = header == SECOND_HEADER ? INFO_HEADER : header;
    long colors = bits < 1 || bits > 8 ? 0 : core ? 3L << bits : 4L << bits;
    long from = FILE_HEADER + (long) header;
    long pixels = file.getInt(OFFSET) & 0xFFFFFFFFL;
    boolean gap = colors > 0 && pixels > from + colors;
    if (!gap && kept == header || header < CORE_HEADER || pixels < from || pixels > encoded.length) {
      return encoded;
    }
    int palette = (int) (gap ? colors : pixels - from);
    ByteBuffer plain = ByteBuffer.allocate(FILE_HEADER + kept + palette + encoded.length - (int) pixels).order(ByteOrder.LITTLE_ENDIAN);
    plain.put(encoded, 0, FILE_HEADER + kept).put(encoded, (int) from, palette).put(encoded, (int) pixels, encoded.length - (int) pixels);
    plain.putInt(2, plain.capacity()).putInt(OFFSET, FILE_HEADER + kept + palette).putInt(FILE_HEADER, kept);
    return plain.array();
  }
}
