package io.github.dimple4j.image.webp;

import io.github.dimple4j.image.raster.PictureException;
import io.github.dimple4j.image.raster.Pixels;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** The container (RFC 9649, section 2): chunks of a name, a length and as many bytes, filled up to an even number. */
public final class WebpDecoder {
  private static final int HEADER = 8; // of a chunk
  private static final int FIRST_CHUNK = 12;
  private static final int FRAME_HEADER = 16;

  private final ByteBuffer file;

  private WebpDecoder(ByteBuffer file) {
    this.file = file;
  }

  /**
   * Decodes a file.
   *
   * @param encoded its content
   * @return the picture as it is stored; of an animation the first frame, on transparent black
   * @throws PictureException if the file is cut off, damaged, too large or of a kind that is not read
   */
  public static Pixels decode(byte[] encoded) throws PictureException {
    ByteBuffer file = ByteBuffer.wrap(encoded).order(ByteOrder.LITTLE_ENDIAN);
    long length = HEADER + (file.getInt(4) & 0xFFFFFFFFL);
    if (length > encoded.length) {
      throw PictureException.damaged("it has " + encoded.length + " bytes of " + length);
    }
    return new WebpDecoder(file.slice(0, (int) length).order(ByteOrder.LITTLE_ENDIAN)).decode();
  }

  private Pixels decode() throws PictureException {
    return switch (name(FIRST_CHUNK)) {
      case "VP8 ", "VP8L" -> picture(FIRST_CHUNK, file.limit());
      case "VP8X" -> extended();
      default -> throw PictureException.damaged("its first chunk is '" + name(FIRST_CHUNK) + "'");
    };
  }

  private Pixels extended() throws PictureException {
    ByteBuffer header = content(FIRST_CHUNK);
    int width = 1 + uint24(header, 4);
    int height = 1 + uint24(header, 7);
    Pixels.checkSize(width, height);
    boolean animated = (header.get(0) & 2) != 0;
    for (int at = next(FIRST_CHUNK); at < file.limit(); at = next(at)) {
      String name = name(at);
      if (animated && name.equals("ANMF")) {
        return onCanvas(frame(at), content(at), width, height);
      }
      if (!animated && (name.equals("ALPH") || name.equals("VP8 ") || name.equals("VP8L"))) {
        Pixels picture = picture(at, file.limit());
        if (picture.width() != width || picture.height() != height) {
          throw PictureException.damaged("its picture of " + picture.width() + " x " + picture.height() + " is not that of " + width
              + " x " + height + " that is announced");
        }
        return picture;
      }
    }
    throw PictureException.damaged("it holds no picture");
  }

  private Pixels frame(int at) throws PictureException {
    return picture(at + HEADER + FRAME_HEADER, at + HEADER + content(at).limit());
  }

  private static Pixels onCanvas(Pixels frame, ByteBuffer header, int width, int height) throws PictureException {
    int left = 2 * uint24(header, 0);
    int top = 2 * uint24(header, 3);
    if (left + frame.width() > width || top + frame.height() > height || frame.width() != 1 + uint24(header, 6)
        || frame.height() != 1 + uint24(header, 9)) {
      throw PictureException.damaged("its first frame does not fit");
    }
    if (frame.width() == width && frame.height() == height) {
      return frame;
    }
    byte[] rgb = new byte[3 * width * height];
    byte[] alpha = new byte[width * height];
    for (int y = 0; y < frame.height(); y++) {
      int to = (top + y) * width + left;
      System.arraycopy(frame.rgb(), 3 * y * frame.width(), rgb, 3 * to, 3 * frame.width());
      for (int x = 0; x < frame.width(); x++) {
        alpha[to + x] = frame.alpha() == null ? (byte) 255 : frame.alpha()[y * frame.width() + x];
      }
    }
    return new Pixels(rgb, alpha, width, height);
  }

  /** A picture of one chunk, or of two where alpha comes first. */
  private Pixels picture(int from, int end) throws PictureException {
    ByteBuffer alpha = null;
    for (int at = from; at < end; at = next(at)) {
      switch (name(at)) {
        case "ALPH" -> alpha = content(at);
        case "VP8L" -> {
          return Vp8lDecoder.decode(content(at));
        }
        case "VP8 " -> {
          Pixels opaque = Vp8Decoder.decode(content(at));
          return alpha == null ? opaque
              : new Pixels(opaque.rgb(), WebpAlpha.decode(alpha, opaque.width(), opaque.height()), opaque.width(), opaque.height());
        }
        default -> { } // unknown chunks are passed over
      }
    }
    throw PictureException.damaged("it holds no picture");
  }

  private String name(int at) throws PictureException {
    if (at + HEADER > file.limit()) {
      throw PictureException.damaged("it ends early");
    }
    byte[] name = new byte[4];
    file.get(at, name);
    return new String(name, StandardCharsets.ISO_8859_1);
  }

  private ByteBuffer content(int at) throws PictureException {
    long length = file.getInt(at + 4) & 0xFFFFFFFFL;
    if (at + HEADER + length > file.limit()) {
      throw PictureException.damaged("it ends early");
    }
    return file.slice(at + HEADER, (int) length).order(ByteOrder.LITTLE_ENDIAN);
  }

  private int next(int at) throws PictureException {
    int length = content(at).limit();
    return at + HEADER + length + (length & 1);
  }

  private static int uint24(ByteBuffer from, int at) throws PictureException {
    if (at + 3 > from.limit()) {
      throw PictureException.damaged("a chunk is too short");
    }
    return from.get(at) & 0xFF | (from.getShort(at + 1) & 0xFFFF) << 8;
  }
}
