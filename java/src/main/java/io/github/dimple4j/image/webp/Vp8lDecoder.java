package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.BitSet;
import java.util.Deque;

/** A lossless picture (RFC 9649, section 3): pixels are 0xAARRGGBB. */
final class Vp8lDecoder {
  private static final int SIGNATURE = 0x2F;
  private static final int LENGTHS = 256; // where the symbols of green end and those of lengths begin
  private static final int CACHED = LENGTHS + 24;
  private static final int DISTANCES = 40;
  private static final int CODES = 5; // of a group: green, red, blue, alpha, distances
  private static final int MOST_CACHE_BITS = 11;

  /**
   * Short distances (section 3.6.2): how far to the left (negative: to the right) and how many rows up, in 4 bits each, the former plus 8
   * (0x18: one row up).
   */
  private static final String NEAR = "1807171928062729161a262a38053739151b363a252b48044749141c353b464a242c58454b343c035759131d56"
      + "5a232d444c555b333d68026769121e666a222e545c434d656b323e78017779535d111f646c424e767a212f757b313f636d525e00747c414f1020626e"
      + "30737d515f40727e616f50717f6070";

  private final Vp8lBits bits;

  private Vp8lDecoder(ByteBuffer data) {
    bits = new Vp8lBits(data);
  }

  static Pixels decode(ByteBuffer chunk) throws PictureException {
    Vp8lDecoder decoder = new Vp8lDecoder(chunk);
    if (decoder.bits.take(8) != SIGNATURE) {
      throw PictureException.damaged("its lossless picture does not start like one");
    }
    int width = 1 + decoder.bits.take(14);
    int height = 1 + decoder.bits.take(14);
    boolean transparent = decoder.bits.flag();
    if (decoder.bits.take(3) != 0) {
      throw PictureException.unsupported("a WebP of a newer version");
    }
    Pixels.checkSize(width, height);
    int[] pixels = decoder.picture(width, height);
    byte[] rgb = new byte[Math.multiplyExact(3, pixels.length)];
    byte[] alpha = transparent ? new byte[pixels.length] : null;
    for (int i = 0; i < pixels.length; i++) {
      rgb[3 * i] = (byte) (pixels[i] >> 16);
      rgb[3 * i + 1] = (byte) (pixels[i] >> 8);
      rgb[3 * i + 2] = (byte) pixels[i];
      if (transparent) {
        alpha[i] = (byte) (pixels[i] >> 24);
      }
    }
    return new Pixels(rgb, alpha, width, height);
  }

  /** The picture that stands for alpha, of the size of another one. */
  static int[] decodeWithoutHeader(ByteBuffer data, int width, int height) throws PictureException {
    return new Vp8lDecoder(data).picture(width, height);
  }

  private int[] picture(int width, int height) throws PictureException {
    Deque<Vp8lTransform> transforms = new ArrayDeque<>();
    int present = 0;
    int stored = width; // pixels per row that are stored: fewer where one holds several indices
    while (bits.flag()) {
      int kind = bits.take(2);
      if ((present & 1 << kind) != 0) {
        throw PictureException.damaged("it has a transform twice");
      }
      present |= 1 << kind;
      Vp8lTransform transform = transform(kind, stored, height);
      transforms.push(transform);
      stored = transform.storedWidth();
    }
    int[] pixels = pixels(stored, height, true);
    for (Vp8lTransform transform : transforms) {
      pixels = transform.undo(pixels, height);
    }
    return pixels;
  }

  private Vp8lTransform transform(int kind, int width, int height) throws PictureException {
    switch (kind) {
      case Vp8lTransform.SUBTRACT_GREEN -> {
        return new Vp8lTransform(kind, width, 0, null);
      }
      case Vp8lTransform.PALETTE -> {
        int[] colors = pixels(1 + bits.take(8), 1, false);
        return new Vp8lTransform(kind, width, colors.length <= 2 ? 3 : colors.length <= 4 ? 2 : colors.length <= 16 ? 1 : 0, colors);
      }
      default -> {
        int blockBits = 2 + bits.take(3);
        return new Vp8lTransform(kind, width, blockBits, pixels(blocks(width, blockBits), blocks(height, blockBits), false));
      }
    }
  }

  private static int blocks(int pixels, int blockBits) {
    return pixels + (1 << blockBits) - 1 >> blockBits;
  }

  /** An entropy-coded picture (section 3.7.3): the picture itself may have groups of codes for parts of it. */
  private int[] pixels(int width, int height, boolean main) throws PictureException {
    int cacheBits = bits.flag() ? bits.take(4) : 0;
    if (cacheBits > MOST_CACHE_BITS) {
      throw PictureException.damaged("it has a cache of " + cacheBits + " bits");
    }
    int[] parts = null;
    int partBits = 0;
    int groups = 1;
    BitSet used = new BitSet(); // groups that a part of the picture has: codes of others are read and forgotten
    used.set(0);
    if (main && bits.flag()) {
      partBits = 2 + bits.take(3);
      parts = pixels(blocks(width, partBits), blocks(height, partBits), false);
      used.clear();
      for (int i = 0; i < parts.length; i++) {
        parts[i] = parts[i] >> 8 & 0xFFFF;
        used.set(parts[i]);
      }
      groups = used.length();
    }
    Vp8lPrefixCode[] codes = new Vp8lPrefixCode[CODES * groups];
    for (int i = 0; i < codes.length; i++) {
      Vp8lPrefixCode code = Vp8lPrefixCode.read(bits, switch (i % CODES) {
        case 0 -> CACHED + (cacheBits > 0 ? 1 << cacheBits : 0);
        case CODES - 1 -> DISTANCES;
        default -> 256;
      });
      codes[i] = used.get(i / CODES) ? code : null;
    }
    int[] pixels = new int[Math.multiplyExact(width, height)];
    int[] cache = new int[1 << cacheBits];
    int cached = 0; // pixels that are in the cache
    for (int i = 0; i < pixels.length;) {
      int group = parts == null ? 0 : CODES * parts[(i / width >> partBits) * blocks(width, partBits) + (i % width >> partBits)];
      int symbol = codes[group].decode(bits);
      if (symbol < LENGTHS) {
        int red = codes[group + 1].decode(bits);
        int blue = codes[group + 2].decode(bits);
        pixels[i++] = codes[group + 3].decode(bits) << 24 | red << 16 | symbol << 8 | blue;
      } else if (symbol < CACHED) {
        int length = number(symbol - LENGTHS);
        int distance = distance(number(codes[group + 4].decode(bits)), width);
        if (distance > i || length > pixels.length - i) {
          throw PictureException.damaged("it repeats pixels that it does not have");
        }
        for (; length > 0; length--, i++) {
          pixels[i] = pixels[i - distance];
        }
      } else {
        for (; cached < i; cached++) {
          cache[hash(pixels[cached], cacheBits)] = pixels[cached];
        }
        pixels[i++] = cache[symbol - CACHED];
      }
    }
    return pixels;
  }

  private static int hash(int pixel, int cacheBits) {
    return pixel * 0x1E35A7BD >>> 32 - cacheBits; // section 3.6.3
  }

  /** A length or distance: the symbol says how many bits follow. */
  private int number(int symbol) throws PictureException {
    if (symbol < 4) {
      return symbol + 1;
    }
    int extra = symbol - 2 >> 1;
    return (2 + (symbol & 1) << extra) + bits.take(extra) + 1;
  }

  private static int distance(int code, int width) {
    if (2 * code > NEAR.length()) {
      return code - NEAR.length() / 2;
    }
    int rows = Character.digit(NEAR.charAt(2 * code - 2), 16);
    int left = 8 - Character.digit(NEAR.charAt(2 * code - 1), 16);
    return Math.max(1, rows * width + left);
  }
}
