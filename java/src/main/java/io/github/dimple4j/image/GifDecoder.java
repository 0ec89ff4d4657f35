package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.util.Arrays;

/**
 * The first frame of a GIF file (CompuServe, "Graphics Interchange Format, version 89a") on its screen. Where the frame does not cover the
 * screen lies its transparent colour, or else its first one.
 */
final class GifDecoder {
  private static final int SCREEN = 6; // where the screen's description starts
  private static final int EXTENSION = '!';
  private static final int CONTROL = 0xF9;
  private static final int IMAGE = ',';
  private static final int[][] PASSES = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}; // of interlaced rows: first and distance

  private static final long MOST_PIXELS = 4096 * 8 / 3; // of a byte: those of the longest code in the fewest bits

  private final byte[] file;
  private int at = SCREEN;

  private GifDecoder(byte[] file) {
    this.file = file;
  }

  /**
   * Decodes a file.
   *
   * @param file its content, which starts like a GIF
   * @return the first frame
   * @throws PictureException if it is cut off, damaged or too large
   */
  static Pixels decode(byte[] file) throws PictureException {
    return new GifDecoder(file).decode();
  }

  private Pixels decode() throws PictureException {
    int screenWidth = word();
    int screenHeight = word();
    int flags = octet();
    skip(2);
    byte[] palette = (flags & 0x80) != 0 ? palette(flags) : null;
    int transparent = -1;
    for (int block = octet(); block != IMAGE; block = octet()) {
      if (block != EXTENSION) {
        throw PictureException.damaged(block == ';' ? "it ends before its picture begins" : "it has a block of the unknown kind " + block);
      }
      if (octet() == CONTROL && octet(at) >= 4) {
        transparent = (octet(at + 1) & 1) != 0 ? octet(at + 4) : -1;
      }
      for (int length = octet(); length != 0; length = octet()) {
        skip(length);
      }
    }
    int left = word();
    int top = word();
    int width = word();
    int height = word();
    flags = octet();
    byte[] colors = (flags & 0x80) != 0 ? palette(flags) : palette;
    int fullWidth = Math.max(screenWidth, left + width);
    int fullHeight = Math.max(screenHeight, top + height);
    Pixels.checkSize(fullWidth, fullHeight);
    Pixels.checkSize(width, height);
    if ((long) width * height > (file.length - at) * MOST_PIXELS) {
      throw PictureException.tooShort(file.length - at, width, height);
    }
    if (colors == null) {
      throw PictureException.unsupported("a GIF without colours");
    }
    byte[] indices = new byte[fullWidth * fullHeight];
    Arrays.fill(indices, (byte) Math.max(transparent, 0));
    new Lzw(width * height).decode(indices, left + top * fullWidth, width, rows(height, (flags & 0x40) != 0), fullWidth);
    return colored(indices, colors, transparent, fullWidth, fullHeight);
  }

  private static Pixels colored(byte[] indices, byte[] colors, int transparent, int width, int height) throws PictureException {
    byte[] rgb = new byte[3 * indices.length];
    byte[] alpha = transparent < 0 ? null : new byte[indices.length];
    for (int i = 0; i < indices.length; i++) {
      int index = indices[i] & 0xFF;
      if (3 * index >= colors.length) {
        throw PictureException.colourBehind(index, colors.length / 3);
      }
      System.arraycopy(colors, 3 * index, rgb, 3 * i, 3);
      if (alpha != null) {
        alpha[i] = (byte) (index == transparent ? 0 : 255);
      }
    }
    return new Pixels(rgb, alpha, width, height);
  }

  /** The rows of a frame in the order in which they are stored. */
  private static int[] rows(int height, boolean interlaced) {
    int[] rows = new int[height];
    int next = 0;
    for (int[] pass : interlaced ? PASSES : new int[][] {{0, 1}}) {
      for (int y = pass[0]; y < height; y += pass[1]) {
        rows[next++] = y;
      }
    }
    return rows;
  }

  private int octet(int position) throws PictureException {
    if (position >= file.length) {
      throw PictureException.damaged("it ends early");
    }
    return file[position] & 0xFF;
  }

  private int octet() throws PictureException {
    return octet(at++);
  }

  private int word() throws PictureException {
    return octet() | octet() << 8;
  }

  private void skip(int count) throws PictureException {
    if (count > file.length - at) {
      throw PictureException.damaged("it ends early");
    }
    at += count;
  }

  private byte[] palette(int flags) throws PictureException {
    int from = at;
    skip(3 << (flags & 7) + 1);
    return Arrays.copyOfRange(file, from, at);
  }

  /** Codes of growing length in blocks of up to 255 bytes (appendix F). */
  private final class Lzw {
    private static final int MOST_CODES = 4096;

    private final int pixels;
    private final int[] prefix = new int[MOST_CODES]; // what stands for all but the last pixel of a code
    private final byte[] suffix = new byte[MOST_CODES];
    private final byte[] reversed = new byte[MOST_CODES + 1];
    private int blockLeft;
    private int buffer;
    private int bits;

    Lzw(int pixels) {
      this.pixels = pixels;
    }

    void decode(byte[] to, int start, int width, int[] rows, int stride) throws PictureException {
      int smallest = octet();
      if (smallest < 1 || smallest > 8) {
        throw PictureException.damaged("its codes start with " + smallest + " bits");
      }
      int clear = 1 << smallest;
      int next = clear + 2;
      int length = smallest + 1;
      int previous = -1;
      for (int done = 0; done < pixels;) {
        int code = code(length);
        if (code == clear) {
          next = clear + 2;
          length = smallest + 1;
          previous = -1;
          continue;
        }
        if (code == clear + 1 || code > next || previous < 0 && code > clear || code == next && next == MOST_CODES) {
          throw PictureException.damaged(code == clear + 1 ? "its data end before the picture is complete"
              : "its data hold an unknown code");
        }
        // A code that is being defined stands for the previous one and the first pixel of that once more.
        int count = code == next ? 1 : 0;
        int entry = code == next ? previous : code;
        for (; entry > clear; entry = prefix[entry]) {
          reversed[count++] = suffix[entry];
        }
        reversed[count++] = (byte) entry;
        if (code == next) {
          reversed[0] = (byte) entry;
        }
        for (int i = count - 1; i >= 0 && done < pixels; i--, done++) {
          to[start + rows[done / width] * stride + done % width] = reversed[i];
        }
        if (previous >= 0 && next < MOST_CODES) {
          prefix[next] = previous;
          suffix[next++] = (byte) entry;
          if (next == 1 << length && length < 12) {
            length++;
          }
        }
        previous = code;
      }
    }

    private int code(int length) throws PictureException {
      while (bits < length) {
        if (blockLeft == 0) {
          blockLeft = octet();
          if (blockLeft == 0) {
            throw PictureException.damaged("its data end before the picture is complete");
          }
        }
        buffer |= octet() << bits;
        bits += 8;
        blockLeft--;
      }
      int code = buffer & (1 << length) - 1;
      buffer >>>= length;
      bits -= length;
      return code;
    }
  }
}
