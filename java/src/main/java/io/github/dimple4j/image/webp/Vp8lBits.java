package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import java.nio.ByteBuffer;

/** Bits of a lossless picture, the lowest of each byte first. */
final class Vp8lBits {
  private final ByteBuffer data;
  private int at;
  private long buffer;
  private int count;

  Vp8lBits(ByteBuffer data) {
    this.data = data;
  }

  /** The next bits, up to 24, zeros behind the end. */
  int peek(int bits) {
    while (count < bits) {
      buffer |= (at < data.limit() ? data.get(at) & 0xFFL : 0) << count;
      at++;
      count += 8;
    }
    return (int) buffer & (1 << bits) - 1;
  }

  void drop(int bits) throws PictureException {
    buffer >>>= bits;
    count -= bits;
    if (count < 8L * (at - data.limit())) {
      throw PictureException.damaged("its data end early");
    }
  }

  int take(int bits) throws PictureException {
    int value = peek(bits);
    drop(bits);
    return value;
  }

  boolean flag() throws PictureException {
    return take(1) == 1;
  }
}
