package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import java.nio.ByteBuffer;

/** Bits of an arithmetic code, each with a probability (RFC 6386, section 7). */
final class Vp8BoolDecoder {
  private final ByteBuffer data;
  private int at;
  private int range = 255;
  private int value; // as many bits as range has, and bits that wait behind them
  private int waiting = -8;

  Vp8BoolDecoder(ByteBuffer data) {
    this.data = data;
  }

  /** A bit that is 0 with a probability of so many 256ths. */
  int bit(int probability) throws PictureException {
    if (waiting < 0) {
      if (at == data.limit()) {
        throw PictureException.damaged("its data end early");
      }
      value = value << 8 | data.get(at++) & 0xFF;
      waiting += 8;
    }
    int split = 1 + ((range - 1) * probability >> 8);
    int bit = value >>> waiting >= split ? 1 : 0;
    if (bit == 1) {
      range -= split;
      value -= split << waiting;
    } else {
      range = split;
    }
    int shift = Integer.numberOfLeadingZeros(range) - 24;
    range <<= shift;
    waiting -= shift;
    return bit;
  }

  boolean flag() throws PictureException {
    return bit(128) == 1;
  }

  /** An unsigned number, its upper bits first. */
  int number(int bits) throws PictureException {
    int number = 0;
    for (int i = 0; i < bits; i++) {
      number = number << 1 | bit(128);
    }
    return number;
  }

  /** A number with its sign behind it; 0 where a flag says that there is none. */
  int optionalSigned(int bits) throws PictureException {
    if (!flag()) {
      return 0;
    }
    int number = number(bits);
    return flag() ? -number : number;
  }

  /** A leaf of a tree: pairs of branches, positive to a node, otherwise the negated leaf (section 8.1). */
  int leaf(int[] tree, int[] probabilities, int first) throws PictureException {
    int node = 0;
    do {
      node = tree[node + bit(probabilities[first + (node >> 1)])];
    } while (node > 0);
    return -node;
  }
}
