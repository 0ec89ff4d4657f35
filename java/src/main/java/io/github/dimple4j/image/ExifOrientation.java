package io.github.dimple4j.image;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * How a camera was held: tag 0x0112 of the EXIF block that a JPEG carries in its APP1 segment (CIPA DC-008, section 4.6.4). Each
 * value is a mirroring along the main diagonal or not, followed by mirrorings of the two axes.
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
  private static final int SHORT = 3;
  private static final long EXIF = 0x457869660000L; // "Exif", two zero bytes

  private final boolean transpose;
  private final boolean mirrorX;
  private final boolean mirrorY;

  ExifOrientation(boolean transpose, boolean mirrorX, boolean mirrorY) {
    this.transpose = transpose;
    this.mirrorX = mirrorX;
    this.mirrorY = mirrorY;
  }

  /** The orientation that a file's content names; NORMAL when it is no JPEG, has no EXIF block or a damaged one. */
  static ExifOrientation of(byte[] encoded) {
    try {
      return ofJpeg(ByteBuffer.wrap(encoded));
    } catch (BufferUnderflowException | IndexOutOfBoundsException | IllegalArgumentException e) {
      return NORMAL;
    }
  }

  private static ExifOrientation ofJpeg(ByteBuffer file) {
    if (file.getShort() != (short) 0xFFD8) {
      return NORMAL;
    }
    // Segments: FF, marker, length (itself included), content. Compressed data begins behind SOS (DA).
    while (file.get() == (byte) 0xFF) {
      int marker = file.get() & 0xFF;
      if (marker == 0xFF) {
        file.position(file.position() - 1); // a fill byte
        continue;
      }
      if (marker == 0xDA || marker == 0xD9) {
        break;
      }
      int length = (file.getShort() & 0xFFFF) - 2;
      ByteBuffer content = file.slice(file.position(), length);
      if (marker == 0xE1 && length > 6 && content.getLong(0) >>> 16 == EXIF) {
        return ofTiff(content.slice(6, length - 6));
      }
      file.position(file.position() + length);
    }
    return NORMAL;
  }

  private static ExifOrientation ofTiff(ByteBuffer tiff) {
    tiff.order(tiff.getShort(0) == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int directory = tiff.getInt(4);
    int entries = tiff.getShort(directory) & 0xFFFF;
    for (int i = 0; i < entries; i++) {
      int entry = directory + 2 + 12 * i;
      if ((tiff.getShort(entry) & 0xFFFF) == TAG && tiff.getShort(entry + 2) == SHORT) {
        int value = tiff.getShort(entry + 8);
        return value >= 1 && value <= values().length ? values()[value - 1] : NORMAL;
      }
    }
    return NORMAL;
  }

  /** Turns a picture as it is stored into the picture as it is meant. */
  Pixels apply(Pixels stored) {
    if (this == NORMAL) {
      return stored;
    }
    int width = transpose ? stored.height() : stored.width();
    int height = transpose ? stored.width() : stored.height();
    byte[] from = stored.rgb();
    byte[] to = new byte[from.length];
    for (int y = 0, at = 0; y < height; y++) {
      for (int x = 0; x < width; x++, at += 3) {
        int u = mirrorX ? width - 1 - x : x;
        int v = mirrorY ? height - 1 - y : y;
        int source = 3 * (transpose ? u * stored.width() + v : v * stored.width() + u);
        System.arraycopy(from, source, to, at, 3);
      }
    }
    return new Pixels(to, width, height);
  }
}
