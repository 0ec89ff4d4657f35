package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.OptionalInt;
import java.util.zip.CRC32;

/** The chunks of a PNG file (W3C, "PNG specification, third edition", sections 5 and 11), checked before anything is decoded. */
final class PngFile {
  /** Bytes before the first chunk. */
  static final int SIGNATURE = 8;

  static final int EXIF = type("eXIf");
  static final int TEXT = type("tEXt");
  static final int COMPRESSED_TEXT = type("zTXt");
  static final int UNICODE_TEXT = type("iTXt");
  private static final int HEADER = type("IHDR");
  private static final int PALETTE = type("PLTE");
  private static final int TRANSPARENCY = type("tRNS");
  private static final int DATA = type("IDAT");
  private static final int END = type("IEND");

  private static final int ANCILLARY = 1 << 29; // the type's first letter is small
  private static final int MOST_INFLATED = 1032; // bytes that deflate makes of one (zlib's technical notes)
  // Where the header has them.
  private static final int WIDTH = 16;
  private static final int HEIGHT = 20;
  private static final int DEPTH = 24;
  private static final int COLOR = 25;
  private static final int PALETTE_COLOR = 3;
  private static final int[] CHANNELS = {1, 0, 3, 1, 2, 0, 4}; // by the kind of colour

  private PngFile() {}

  private static int type(String name) {
    return ByteBuffer.wrap(name.getBytes(StandardCharsets.US_ASCII)).getInt();
  }

  /**
   * What the picture itself consists of: no gamma, profile or text, which do not change what is stored.
   *
   * @param encoded a file with the signature of a PNG
   * @return a PNG of the chunks IHDR, PLTE, tRNS, IDAT and IEND
   * @throws PictureException if a chunk is cut off or has the wrong checksum, one that is needed is missing, or the picture is too large
   */
  static byte[] essence(byte[] encoded) throws PictureException {
    ByteBuffer file = ByteBuffer.wrap(encoded);
    var essence = new ByteArrayOutputStream(encoded.length);
    essence.write(encoded, 0, SIGNATURE);
    long data = 0;
    int at = SIGNATURE;
    for (int type = 0; type != END; at += 12 + file.getInt(at)) {
      type = checkedType(file, at);
      if (at == SIGNATURE != (type == HEADER)) {
        throw PictureException.damaged("it does not begin with one header");
      }
      if (type == HEADER) {
        checkSize(file);
      }
      data += type == DATA ? file.getInt(at) : 0;
      if (type == HEADER || type == PALETTE || type == TRANSPARENCY || type == DATA || type == END) {
        essence.write(encoded, at, 12 + file.getInt(at));
      } else if ((type & ANCILLARY) == 0) {
        throw PictureException.unsupported("a PNG with a chunk " + new String(encoded, at + 4, 4, StandardCharsets.ISO_8859_1)
            + " that must be understood");
      }
    }
    checkData(file, data);
    return essence.toByteArray();
  }

  private static int checkedType(ByteBuffer file, int at) throws PictureException {
    long left = file.limit() - at - 12L;
    if (left < 0 || file.getInt(at) < 0 || file.getInt(at) > left) {
      throw PictureException.damaged("it ends early");
    }
    int length = file.getInt(at);
    var crc = new CRC32();
    crc.update(file.slice(at + 4, 4 + length));
    if ((int) crc.getValue() != file.getInt(at + 8 + length)) {
      throw PictureException.damaged("the chunk at byte " + at + " has the wrong checksum");
    }
    return file.getInt(at + 4);
  }

  private static void checkSize(ByteBuffer file) throws PictureException {
    if (file.getInt(SIGNATURE) != 13) {
      throw PictureException.damaged("its header has " + file.getInt(SIGNATURE) + " bytes");
    }
    Pixels.checkSize(file.getInt(WIDTH) & 0xFFFFFFFFL, file.getInt(HEIGHT) & 0xFFFFFFFFL);
  }

  /** Before memory is taken for the pixels: whether their data can inflate to as many. */
  private static void checkData(ByteBuffer file, long data) throws PictureException {
    long pixels = (long) file.getInt(WIDTH) * file.getInt(HEIGHT);
    int color = file.get(COLOR);
    int channels = color >= 0 && color < CHANNELS.length ? CHANNELS[color] : 0;
    if (pixels * channels * file.get(DEPTH) / 8 > data * MOST_INFLATED) {
      throw PictureException.tooShort(data, file.getInt(WIDTH), file.getInt(HEIGHT));
    }
  }

  /**
   * How many colours the palette has.
   *
   * @param essence a picture
   * @return none if it is missing; where samples are no numbers of colours, as many as there could be
   */
  static int colours(byte[] essence) {
    ByteBuffer file = ByteBuffer.wrap(essence);
    if (file.get(COLOR) != PALETTE_COLOR) {
      return 256;
    }
    int at = SIGNATURE;
    while (file.getInt(at + 4) != PALETTE && file.getInt(at + 4) != END) {
      at += 12 + file.getInt(at);
    }
    return file.getInt(at) / 3; // the end has no bytes
  }

  /**
   * The grey that is transparent in a picture of fewer than 8 bits, which the platform's reader passes over where it is the white of one bit.
   *
   * @param essence a picture
   * @return its level, 0 to 255; none in pictures of other kinds
   */
  static OptionalInt transparentGrey(byte[] essence) {
    ByteBuffer file = ByteBuffer.wrap(essence);
    int depth = file.get(DEPTH);
    if (file.get(COLOR) != 0 || depth < 1 || depth >= 8) {
      return OptionalInt.empty();
    }
    for (int at = SIGNATURE; file.getInt(at + 4) != DATA && file.getInt(at + 4) != END; at += 12 + file.getInt(at)) {
      if (file.getInt(at + 4) == TRANSPARENCY && file.getInt(at) == 2) {
        int most = (1 << depth) - 1;
        return OptionalInt.of((file.getShort(at + 8) & most) * 255 / most);
      }
    }
    return OptionalInt.empty();
  }
}
