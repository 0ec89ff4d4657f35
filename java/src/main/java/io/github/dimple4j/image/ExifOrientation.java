package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.OptionalInt;

/**
 * How a camera was held: tag 0x0112 of the EXIF block of a picture (CIPA DC-008, section 4.6.4), or, without that tag, what its XMP packet says. Each value is a mirroring along the main
 * diagonal or not, followed by mirrorings of the two axes.
 */
enum ExifOrientation {
  NORMAL(false, false, false),
  MIRRORED(false, true, false),
  TURNED_180(false, true, true),
  FLIPPED(false, false, true),
  TRANSPOSED(true, false, false),
  TURNED_RIGHT(true, true, false),
  TRANSVERSED(true, true, true),
  TURNED_LEFT(true, false, true);

  private static final int TAG = 0x0112;
  /** Bytes of a number, by the type of an entry: short, long, signed byte, signed short, signed long, and the place of a directory. */
  private static final Map<Integer, Integer> SIZES = Map.of(3, 2, 4, 4, 6, 1, 8, 2, 9, 4, 13, 4);

  private final boolean transpose;
  private final boolean mirrorX;
  private final boolean mirrorY;

  ExifOrientation(boolean transpose, boolean mirrorX, boolean mirrorY) {
    this.transpose = transpose;
    this.mirrorX = mirrorX;
    this.mirrorY = mirrorY;
  }

  /** The orientation that a file's content names; NORMAL when nothing names one, or what does is damaged. */
  static ExifOrientation of(byte[] encoded) {
    try {
      ByteBuffer block = ExifBlock.of(encoded);
      OptionalInt tag = block == null ? OptionalInt.empty() : tag(block);
      int value = tag.isPresent() ? tag.getAsInt() : XmpPacket.orientation(encoded);
      return value >= 1 && value <= values().length ? values()[value - 1] : NORMAL;
    } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException | ArithmeticException e) {
      return NORMAL;
    }
  }

  /** A block has the structure of a TIFF file: its first directory holds the tag. */
  private static OptionalInt tag(ByteBuffer tiff) {
    tiff.order(tiff.getShort(0) == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int directory = tiff.getInt(4);
    int entries = tiff.getShort(directory) & 0xFFFF;
    for (int i = 0; i < entries; i++) {
      int entry = directory + 2 + 12 * i;
      int size = SIZES.getOrDefault((int) tiff.getShort(entry + 2), 0);
      if ((tiff.getShort(entry) & 0xFFFF) == TAG && size > 0) {
        return OptionalInt.of(size == 1 ? tiff.get(entry + 8) : size == 2 ? tiff.getShort(entry + 8) : tiff.getInt(entry + 8));
      }
    }
    return OptionalInt.empty();
  }

  /** Turns a picture as it is stored into the picture as it is meant. */
  Pixels apply(Pixels stored) {
    if (this == NORMAL) {
      return stored;
    }
    int width = transpose ? stored.height() : stored.width();
    int height = transpose ? stored.width() : stored.height();
    byte[] rgb = turned(stored.rgb(), 3, stored, width, height);
    byte[] alpha = stored.alpha() == null ? null : turned(stored.alpha(), 1, stored, width, height);
    return new Pixels(rgb, alpha, width, height);
  }

  private byte[] turned(byte[] from, int channels, Pixels stored, int width, int height) {
    byte[] to = new byte[from.length];
    for (int y = 0, at = 0; y < height; y++) {
      for (int x = 0; x < width; x++, at += channels) {
        int u = mirrorX ? width - 1 - x : x;
        int v = mirrorY ? height - 1 - y : y;
        int source = channels * (transpose ? u * stored.width() + v : v * stored.width() + u);
        System.arraycopy(from, source, to, at, channels);
      }
    }
    return to;
  }
}
