package io.github.dimple4j.image.jpeg;

import io.github.dimple4j.image.raster.PictureException;

/** Bits of the data of a scan, where FF is followed by 00, up to the next marker (sections F.2.2.5 and B.1.1.5). */
final class JpegBits {
  private static final int MOST_ZEROS = 15; // that fill up a scan, to a multiple of a word of some hardware

  private final JpegInput in;
  private long buffer; // the next bits, from the top
  private int count; // how many of them there are
  private int missing; // the last so many are zeros that stand for what the file does not hold

  JpegBits(JpegInput in) {
    this.in = in;
  }

  private void fill() throws PictureException {
    while (count <= 48) {
      int octet = in.peek(0);
      if (octet < 0 || octet == 0xFF && in.peek(1) != 0) {
        missing += 8;
        octet = 0;
      } else {
        in.skip(octet == 0xFF ? 2 : 1);
      }
      buffer |= (long) octet << (56 - count);
      count += 8;
    }
  }

  /** The next 1 to 16 bits, zeros behind the end. */
  int peek(int bits) throws PictureException {
    if (count < bits) {
      fill();
    }
    return (int) (buffer >>> (64 - bits));
  }

  void drop(int bits) throws PictureException {
    count -= bits;
    buffer <<= bits;
    if (count < missing) {
      throw PictureException.damaged(in.peek(0) < 0 ? "its data end early" : "its data end before the picture is complete");
    }
  }

  int take(int bits) throws PictureException {
    int value = peek(bits);
    drop(bits);
    return value;
  }

  /** A number of so many bits that stands for a negative one when its first bit is 0 (table F.1). */
  int signed(int bits) throws PictureException {
    if (bits == 0) {
      return 0;
    }
    if (bits > 16) {
      throw PictureException.damaged("its data hold a number of " + bits + " bits");
    }
    int value = take(bits);
    return value < 1 << (bits - 1) ? value - (1 << bits) + 1 : value;
  }

  /** Reads the restart marker with the number (0 to 7). */
  void restart(int number) throws PictureException {
    finish();
    int marker = in.marker();
    if (marker != 0xD0 + number) {
      throw PictureException.damaged("it has marker " + Integer.toHexString(marker) + " where restart " + number + " is due");
    }
  }

  /** Goes to the marker behind the data. Some encoders fill up with a few zeros; anything else that is left over was meant to be read. */
  void finish() throws PictureException {
    drop((count - missing) & 7);
    int zeros = 0;
    while (count > missing) {
      zeros = fill(zeros, take(8));
    }
    for (int octet = in.peek(0); octet >= 0 && (octet != 0xFF || in.peek(1) == 0); octet = in.peek(0)) {
      zeros = fill(zeros, octet);
      in.skip(1);
    }
    buffer = 0;
    count = 0;
    missing = 0;
  }

  private static int fill(int zeros, int octet) throws PictureException {
    if (octet != 0 && octet != 0xFF || zeros == MOST_ZEROS) {
      throw PictureException.damaged("data are left over behind the picture");
    }
    return octet == 0 ? zeros + 1 : zeros;
  }
}
