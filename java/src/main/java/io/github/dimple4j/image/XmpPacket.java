package io.github.dimple4j.image;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.InflaterInputStream;

/**
 * Where each format keeps its XMP packet (ISO 16684-1; XMP specification, part 3): JPEG in segment APP1, PNG in a text chunk, WebP in chunk XMP, TIFF
 * in tag 700. Of the packet, which is XML, one property is asked for, as an attribute or an element: editors that drop the EXIF block leave it there.
 */
final class XmpPacket {
  private static final byte[] PREFIX = "http://ns.adobe.com/xap/1.0/\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final byte[] KEYWORD = "XML:com.adobe.xmp\0".getBytes(StandardCharsets.ISO_8859_1);
  private static final Pattern ORIENTATION = Pattern.compile("\\btiff:Orientation\\s*(?:=\\s*[\"']|>)\\s*(\\d)\\b");
  private static final int TIFF_TAG = 700;
  private static final int LONGEST_TEXT = 1 << 20; // that is looked at

  private XmpPacket() {}

  /**
   * Tiff:Orientation of a file's packet.
   *
   * @return its value; 0 if there is none
   * @throws RuntimeException if the file is damaged on the way to it
   */
  static int orientation(byte[] encoded) {
    ByteBuffer file = ByteBuffer.wrap(encoded);
    String text = switch (PictureFormat.of(encoded)) {
      case JPEG -> text(ExifBlock.segment(file, PREFIX), 0, false);
      case PNG -> ofPng(file);
      case WEBP -> text(ExifBlock.chunk(file, "XMP "), 0, false);
      case TIFF -> ofTiff(file);
      default -> "";
    };
    Matcher orientation = ORIENTATION.matcher(text);
    return orientation.find() ? Integer.parseInt(orientation.group(1)) : 0;
  }

  private static String ofTiff(ByteBuffer file) {
    file.order(file.getShort(0) == 0x4949 ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN);
    int directory = file.getInt(4);
    for (int i = 0, count = file.getShort(directory) & 0xFFFF; i < count; i++) {
      int entry = directory + 2 + 12 * i;
      if ((file.getShort(entry) & 0xFFFF) == TIFF_TAG && file.getInt(entry + 4) > 4) { // bytes, of type 1 or 7
        return text(file.slice(file.getInt(entry + 8), file.getInt(entry + 4)), 0, false);
      }
    }
    return "";
  }

  private static String ofPng(ByteBuffer file) {
    for (int at = PngFile.SIGNATURE; at + 12 <= file.limit(); at += 12 + file.getInt(at)) {
      ByteBuffer content = file.slice(at + 8, file.getInt(at));
      int type = file.getInt(at + 4);
      if ((type == PngFile.UNICODE_TEXT || type == PngFile.TEXT) && ExifBlock.startsWith(content, KEYWORD)) {
        return type == PngFile.TEXT ? text(content, KEYWORD.length, false) : ofText(content);
      }
    }
    return "";
  }

  /** Behind the keyword: whether it is compressed, how, a language and the keyword in that language, each ended by a zero; then the text. */
  private static String ofText(ByteBuffer content) {
    int at = KEYWORD.length + 2;
    for (int zeros = 0; zeros < 2; at++) {
      zeros += content.get(at) == 0 ? 1 : 0;
    }
    return text(content, at, content.get(KEYWORD.length) != 0);
  }

  private static String text(ByteBuffer content, int from, boolean compressed) {
    if (content == null) {
      return "";
    }
    byte[] bytes = new byte[content.limit() - from];
    content.get(from, bytes);
    InputStream stored = new ByteArrayInputStream(bytes);
    try (InputStream in = compressed ? new InflaterInputStream(stored) : stored) {
      return new String(in.readNBytes(LONGEST_TEXT), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return "";
    }
  }
}
