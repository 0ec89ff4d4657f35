package io.github.dimple4j.image.webp;

/** A change of pixels that made them easier to compress, and how it is undone (RFC 9649, section 3.5). */
final class Vp8lTransform {
  static final int PREDICTOR = 0;
  static final int COLOR = 1;
  static final int SUBTRACT_GREEN = 2;
  static final int PALETTE = 3;

  private static final int BLACK = 0xFF000000;

  private final int kind;
  private final int width;
  private final int bits; // blocks are 2^bits pixels a side; of a palette, 2^bits indices are in a pixel
  private final int[] data; // a pixel for each block, or differences of colours

  Vp8lTransform(int kind, int width, int bits, int[] data) {
    this.kind = kind;
    this.width = width;
    this.bits = bits;
    this.data = data;
    for (int i = 1; kind == PALETTE && i < data.length; i++) {
      data[i] = sum(data[i], data[i - 1]);
    }
  }

  /** Pixels per row before the transform is undone. */
  int storedWidth() {
    return kind == PALETTE ? blocks() : width;
  }

  private int blocks() {
    return width + (1 << bits) - 1 >> bits;
  }

  int[] undo(int[] pixels, int height) {
    if (kind == PALETTE) {
      return colored(pixels, height);
    }
    for (int y = 0, i = 0; y < height; y++) {
      for (int x = 0; x < width; x++, i++) {
        int block = data == null ? 0 : data[(y >> bits) * blocks() + (x >> bits)];
        pixels[i] = switch (kind) {
          case PREDICTOR -> sum(pixels[i], predicted(pixels, i, x, y, block >> 8 & 15));
          case COLOR -> recolored(pixels[i], block);
          default -> {
            int green = pixels[i] >> 8 & 0xFF;
            yield sum(pixels[i], green << 16 | green);
          }
        };
      }
    }
    return pixels;
  }

  private int[] colored(int[] packed, int height) {
    int[] pixels = new int[Math.multiplyExact(width, height)];
    int indexBits = 8 >> bits;
    for (int i = 0; i < pixels.length; i++) {
      int x = i % width;
      int indices = packed[i / width * blocks() + (x >> bits)] >> 8 & 0xFF;
      int index = indices >> indexBits * (x & (1 << bits) - 1) & (1 << indexBits) - 1;
      pixels[i] = index < data.length ? data[index] : 0;
    }
    return pixels;
  }

  private static int recolored(int pixel, int factors) {
    int green = (byte) (pixel >> 8);
    int red = pixel >> 16 & 0xFF;
    red = red + ((byte) factors * green >> 5) & 0xFF;
    int blue = (pixel & 0xFF) + ((byte) (factors >> 8) * green >> 5) + ((byte) (factors >> 16) * (byte) red >> 5) & 0xFF;
    return pixel & 0xFF00FF00 | red << 16 | blue;
  }

  private int predicted(int[] pixels, int i, int x, int y, int mode) {
    if (x == 0 && y == 0) {
      return BLACK;
    }
    if (y == 0) {
      return pixels[i - 1];
    }
    int above = pixels[i - width];
    if (x == 0) {
      return above;
    }
    int left = pixels[i - 1];
    int corner = pixels[i - width - 1];
    int right = pixels[i - width + 1]; // at the end of a row the first pixel of this one
    return switch (mode) {
      case 1 -> left;
      case 2 -> above;
      case 3 -> right;
      case 4 -> corner;
      case 5 -> mean(mean(left, right), above);
      case 6 -> mean(left, corner);
      case 7 -> mean(left, above);
      case 8 -> mean(corner, above);
      case 9 -> mean(above, right);
      case 10 -> mean(mean(left, corner), mean(above, right));
      case 11 -> distance(left, corner) <= distance(above, corner) ? above : left;
      case 12 -> gradient(left, above, corner, 1);
      case 13 -> {
        int mean = mean(left, above);
        yield gradient(mean, mean, corner, 2);
      }
      default -> BLACK;
    };
  }

  /** Channel by channel, modulo 256. */
  private static int sum(int a, int b) {
    return (a & 0xFF00FF00) + (b & 0xFF00FF00) & 0xFF00FF00 | (a & 0x00FF00FF) + (b & 0x00FF00FF) & 0x00FF00FF;
  }

  /** Channel by channel, rounded down. */
  private static int mean(int a, int b) {
    return (a & b) + (((a ^ b) & 0xFEFEFEFE) >>> 1);
  }

  private static int distance(int a, int b) {
    int sum = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      sum += Math.abs((a >> shift & 0xFF) - (b >> shift & 0xFF));
    }
    return sum;
  }

  /** a + (b - corner) / divisor, channel by channel, cut off at 0 and 255. */
  private static int gradient(int a, int b, int corner, int divisor) {
    int result = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      int value = (a >> shift & 0xFF) + ((b >> shift & 0xFF) - (corner >> shift & 0xFF)) / divisor;
      result |= Math.clamp(value, 0, 255) << shift;
    }
    return result;
  }
}
