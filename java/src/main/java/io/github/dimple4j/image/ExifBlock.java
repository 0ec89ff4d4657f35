package io.github.dimple4j.image;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.InflaterInputStream;

/**
 * Where each format keeps its EXIF block: JPEG in segment APP1, PNG in chunk eXIf (or, before that chunk existed, in hexadecimal digits
 * within a text chunk, as ImageMagick wrote it), WebP in chunk EXIF; a TIFF file has the structure of such a block itself.
 */
final class ExifBlock {
  private static final byte[] PREFIX = "Exif\0\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] PROFILE = "Raw profile type exif\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final int LONGEST_TEXT = 1 << 18; // of an inflated text: a block of 64 KB has 128 KB of digits

  private ExifBlock() {}

  /**
   * The block of a file, from its mark of the byte order on.
   *
   * @return null if there is none
   * @throws RuntimeException if the file is damaged on the way to it
   */
  static ByteBuffer of(byte[] encoded) {
    ByteBuffer file = ByteBuffer.wrap(encoded);
    return switch (PictureFormat.of(encoded)) {
      case JPEG -> {
        ByteBuffer content = segment(file, PREFIX);
        yield content == null ? null : withoutPrefix(content);
      }
      case PNG -> ofPng(file);
      case WEBP -> {
        ByteBuffer content = chunk(file, "EXIF");
        yield content == null ? null : withoutPrefix(content);
      }
      case TIFF -> file;
      default -> null;
    };
  }

  /** The content of a JPEG's first segment APP1 that begins so; null if there is none. */
  static ByteBuffer segment(ByteBuffer file, byte[] prefix) {
    file.position(2);
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
      if (marker == 0xE1 && startsWith(content, prefix)) {
        return content;
      }
      file.position(file.position() + length);
    }
    return null;
  }

  private static ByteBuffer ofPng(ByteBuffer file) {
    ByteBuffer text = null; // the last one's content: it alone is inflated, however many there are
    boolean compressed = false;
    for (int at = PngFile.SIGNATURE; at + 12 <= file.limit(); at += 12 + file.getInt(at)) {
      int type = file.getInt(at + 4);
      ByteBuffer content = file.slice(at + 8, file.getInt(at));
      if (type == PngFile.EXIF) {
        return withoutPrefix(content);
      }
      if ((type == PngFile.TEXT || type == PngFile.COMPRESSED_TEXT) && startsWith(content, PROFILE)) {
        text = content;
        compressed = type == PngFile.COMPRESSED_TEXT;
      }
    }
    return text == null ? null : digits(text, compressed);
  }

  /** A name, the length in decimal digits and the block in hexadecimal ones, each on lines of their own. */
  private static ByteBuffer digits(ByteBuffer content, boolean compressed) {
    byte[] bytes = new byte[content.limit() - PROFILE.length];
    content.get(PROFILE.length, bytes);
    int start = compressed ? 1 : 0; // the method of compression
    InputStream stored = new ByteArrayInputStream(bytes, start, bytes.length - start);
    try (InputStream in = compressed ? new InflaterInputStream(stored) : stored) {
      String[] lines = new String(in.readNBytes(LONGEST_TEXT), StandardCharsets.ISO_8859_1).strip().split("\\s+", 3);
      return withoutPrefix(ByteBuffer.wrap(HexFormat.of().parseHex(lines[2].replaceAll("\\s", ""))));
    } catch (IOException e) {
      return null;
    }
  }

  /** The content of a WebP file's first chunk of a name; null if there is none. */
  static ByteBuffer chunk(ByteBuffer file, String name) {
    file.order(ByteOrder.LITTLE_ENDIAN);
    long size;
    for (long at = 12; at + 8 <= file.limit(); at += 8 + size + (size & 1)) {
      size = Integer.toUnsignedLong(file.getInt((int) at + 4));
      if (startsWith(file.slice((int) at, 4), name.getBytes(StandardCharsets.ISO_8859_1))) {
        return file.slice((int) at + 8, Math.toIntExact(size));
      }
    }
    return null;
  }

  private static ByteBuffer withoutPrefix(ByteBuffer block) {
    return startsWith(block, PREFIX) ? block.slice(PREFIX.length, block.limit() - PREFIX.length) : block;
  }

  static boolean startsWith(ByteBuffer content, byte[] prefix) {
    byte[] start = new byte[Math.min(prefix.length, content.limit())];
    content.get(0, start);
    return Arrays.equals(start, prefix);
  }
}
