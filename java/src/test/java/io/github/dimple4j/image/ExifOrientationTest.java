package io.github.dimple4j.image;

import io.github.dimple4j.ImageException;
import io.github.dimple4j.image.raster.Pixels;
import static io.github.dimple4j.image.Samples.encode;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.zip.CRC32;
import java.util.zip.DeflaterOutputStream;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** A photo is turned upright, and a damaged EXIF block leaves it as it is stored. */
class ExifOrientationTest {
  /** Four patches of colour: red, green / blue, white, on 32 x 48 pixels. */
  private static byte[] jpeg() throws IOException {
    var image = new BufferedImage(32, 48, BufferedImage.TYPE_INT_RGB);
    for (int y = 0; y < 48; y++) {
      for (int x = 0; x < 32; x++) {
        image.setRGB(x, y, (y < 24 ? x < 16 ? Color.RED : Color.GREEN : x < 16 ? Color.BLUE : Color.WHITE).getRGB());
      }
    }
    return encode(image, "jpg");
  }

  /** Puts an APP1 segment with an orientation behind the start of a JPEG, after a segment of another kind. */
  private static byte[] withOrientation(byte[] jpeg, int value, ByteOrder order) {
    byte[] comment = {(byte) 0xFF, (byte) 0xFE, 0, 6, 'a', 'b', 'c', 'd', (byte) 0xFF};
    ByteBuffer tiff = ByteBuffer.allocate(8 + 2 + 24 + 4).order(order);
    tiff.putShort((short) (order == ByteOrder.LITTLE_ENDIAN ? 0x4949 : 0x4D4D)).putShort((short) 42).putInt(8).putShort((short) 2);
    tiff.putShort((short) 0x0100).putShort((short) 3).putInt(1).putShort((short) 32).putShort((short) 0);
    tiff.putShort((short) 0x0112).putShort((short) 3).putInt(1).putShort((short) value).putShort((short) 0);
    ByteBuffer out = ByteBuffer.allocate(jpeg.length + comment.length + 10 + tiff.capacity());
    out.put(jpeg, 0, 2).put(comment).put((byte) 0xFF).put((byte) 0xE1).putShort((short) (8 + tiff.capacity()));
    out.put("Exif\0\0".getBytes(StandardCharsets.US_ASCII)).put(tiff.array()).put(jpeg, 2, jpeg.length - 2);
    return out.array();
  }

  /** Colours of the corners top left, top right, bottom left, bottom right, after the turn that EXIF's table prescribes. */
  @ParameterizedTest
  @CsvSource({"1, RGBW", "2, GRWB", "3, WBGR", "4, BWRG", "5, RBGW", "6, BRWG", "7, WGBR", "8, GWRB", "0, RGBW", "9, RGBW"})
  void exifOrientationIsApplied(int value, String corners) throws IOException {
    for (ByteOrder order : List.of(ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN)) {
      Pixels image = PictureDecoder.decode(withOrientation(jpeg(), value, order), "photo.jpg");
      boolean turned = value >= 5 && value <= 8;
      assertThat(image.width()).isEqualTo(turned ? 48 : 32);
      assertThat(image.height()).isEqualTo(turned ? 32 : 48);
      int right = image.width() - 3;
      int bottom = image.height() - 3;
      String found = "" + colour(image, 2, 2) + colour(image, right, 2) + colour(image, 2, bottom) + colour(image, right, bottom);
      assertThat(found).isEqualTo(corners);
    }
  }

  /** As signed numbers and as places of directories, which nobody should write, but some do; as a byte the value is none. */
  @ParameterizedTest
  @CsvSource({"1, false", "3, true", "4, true", "6, true", "8, true", "9, true", "13, true", "2, false", "11, false"})
  void orientationsOfOtherTypes(int type, boolean taken) throws IOException {
    for (ByteOrder order : List.of(ByteOrder.LITTLE_ENDIAN, ByteOrder.BIG_ENDIAN)) {
      byte[] file = withOrientation(jpeg(), 6, order);
      int entry = 2 + 9 + 4 + 6 + 8 + 2 + 12; // start, comment, marker and length, name, head, count, the first entry
      ByteBuffer bytes = ByteBuffer.wrap(file).order(order).putShort(entry + 2, (short) type).putInt(entry + 8, 0);
      if (type == 6) {
        bytes.put(entry + 8, (byte) 6);
      } else if (type == 3 || type == 8) {
        bytes.putShort(entry + 8, (short) 6);
      } else {
        bytes.putInt(entry + 8, 6);
      }
      assertThat(PictureDecoder.decode(file, "photo.jpg").width()).as(type + " " + order).isEqualTo(taken ? 48 : 32);
    }
  }

  /** Without a tag of EXIF's an XMP packet counts, as an attribute or an element, wherever a format has it; with one it does not. */
  @Test
  void packetsOfXmpCountWithoutExif() throws IOException {
    for (String packet : List.of("<rdf:Description tiff:Orientation=\"6\"/>", "<x tiff:Orientation = '6' />",
        "<tiff:Orientation>6</tiff:Orientation>", "<tiff:Orientation >\n 6 </tiff:Orientation>")) {
      byte[] xmp = packet.getBytes(StandardCharsets.UTF_8);
      byte[] named = join("http://ns.adobe.com/xap/1.0/\0".getBytes(StandardCharsets.US_ASCII), xmp);
      byte[] segment = join(new byte[] {(byte) 0xFF, (byte) 0xE1, 0, (byte) (2 + named.length)}, named);
      assertThat(widthOf(inserted(jpeg(), 2, segment))).isEqualTo(48);
      assertThat(widthOf(inserted(withOrientation(jpeg(), 3, ByteOrder.BIG_ENDIAN), 2, segment))).isEqualTo(32);
      assertThat(widthOf(inserted(withOrientation(jpeg(), 0, ByteOrder.BIG_ENDIAN), 2, segment))).isEqualTo(32);

      byte[] png = encode(new BufferedImage(32, 48, BufferedImage.TYPE_INT_RGB), "png");
      byte[] keyword = "XML:com.adobe.xmp".getBytes(StandardCharsets.US_ASCII);
      assertThat(widthOf(inserted(png, 33, pngChunk("iTXt", join(keyword, new byte[5], xmp))))).isEqualTo(48);
      assertThat(widthOf(inserted(png, 33, pngChunk("tEXt", join(keyword, new byte[1], xmp))))).isEqualTo(48);
      assertThat(widthOf(inserted(png, 33, pngChunk("iTXt", join(keyword, new byte[] {0, 1, 0, 'e', 'n', 0, 'x', 0}, deflated(xmp)))))).isEqualTo(48);
      assertThat(widthOf(inserted(png, 33, pngChunk("iTXt", join(keyword, new byte[] {0, 1, 0, 0, 0}, xmp))))).isEqualTo(32); // damaged
    }
  }

  @Test
  void packetsOfXmpInTiffAndWebp() {
    byte[] xmp = "<x tiff:Orientation=\"8\"/>".getBytes(StandardCharsets.US_ASCII);
    ByteBuffer tiff = ByteBuffer.allocate(8 + 2 + 2 * 12 + 4 + xmp.length);
    tiff.put(new byte[] {'M', 'M', 0, 42}).putInt(8).putShort((short) 2).putShort((short) 256).putShort((short) 4).putInt(1).putInt(9);
    tiff.putShort((short) 700).putShort((short) 1).putInt(xmp.length).putInt(38).putInt(0).put(xmp);
    assertThat(ExifOrientation.of(tiff.array())).isEqualTo(ExifOrientation.TURNED_LEFT);
    ByteBuffer webp = ByteBuffer.allocate(12 + 8 + xmp.length).order(ByteOrder.LITTLE_ENDIAN);
    webp.put("RIFF".getBytes(StandardCharsets.US_ASCII)).putInt(12 + xmp.length).put("WEBPXMP ".getBytes(StandardCharsets.US_ASCII)).putInt(xmp.length).put(xmp);
    assertThat(ExifOrientation.of(webp.array())).isEqualTo(ExifOrientation.TURNED_LEFT);
  }

  private static int widthOf(byte[] file) {
    return PictureDecoder.decode(file, "photo").width();
  }

  private static byte[] inserted(byte[] file, int at, byte[] more) {
    return join(Arrays.copyOf(file, at), more, Arrays.copyOfRange(file, at, file.length));
  }

  private static byte[] join(byte[]... parts) {
    var all = new ByteArrayOutputStream();
    List.of(parts).forEach(all::writeBytes);
    return all.toByteArray();
  }

  private static byte[] deflated(byte[] plain) throws IOException {
    var out = new ByteArrayOutputStream();
    try (var deflater = new DeflaterOutputStream(out)) {
      deflater.write(plain);
    }
    return out.toByteArray();
  }

  private static byte[] pngChunk(String type, byte[] content) {
    byte[] checked = join(type.getBytes(StandardCharsets.US_ASCII), content);
    var checksum = new CRC32();
    checksum.update(checked);
    return join(ByteBuffer.allocate(4).putInt(content.length).array(), checked, ByteBuffer.allocate(4).putInt((int) checksum.getValue()).array());
  }

  private static char colour(Pixels image, int x, int y) {
    int[] p = pixel(image, x, y);
    boolean red = p[0] > 128;
    boolean green = p[1] > 128;
    boolean blue = p[2] > 128;
    return red && green && blue ? 'W' : red ? 'R' : green ? 'G' : blue ? 'B' : '?';
  }

  /** Sizes of chunks are unsigned: one that read as -8 was walked over for ever (found by FuzzTest). */
  @ParameterizedTest
  @ValueSource(ints = {-8, -9, Integer.MIN_VALUE, -1, Integer.MAX_VALUE, 1 << 20})
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void sizesOfWebpChunksEndTheWalk(int size) {
    for (String chunk : List.of("VP8L", "EXIF")) {
      ByteBuffer file = ByteBuffer.allocate(32).order(ByteOrder.LITTLE_ENDIAN);
      file.put("RIFF".getBytes(StandardCharsets.US_ASCII)).putInt(24).put(("WEBP" + chunk).getBytes(StandardCharsets.US_ASCII)).putInt(size);
      assertThat(ExifOrientation.of(file.array())).isSameAs(ExifOrientation.NORMAL);
      assertThatThrownBy(() -> PictureDecoder.decode(file.array(), "walk.webp")).isInstanceOf(ImageException.class);
    }
  }

  @Test
  void damagedExifBlocksAreIgnored() throws IOException {
    byte[] good = withOrientation(jpeg(), 6, ByteOrder.LITTLE_ENDIAN);
    int tiff = 2 + 8 + 4 + 6;
    var random = new Random(5);
    for (int i = 0; i < 300; i++) {
      byte[] bad = good.clone();
      for (int j = 0; j < 3; j++) {
        bad[tiff + random.nextInt(34)] = (byte) random.nextInt();
      }
      assertThat(PictureDecoder.decode(bad, "bad.jpg").width()).isIn(32, 48);
    }
    assertThat(ExifOrientation.of(new byte[0])).isSameAs(ExifOrientation.NORMAL);
    assertThat(ExifOrientation.of(new byte[] {(byte) 0xFF, (byte) 0xD8, (byte) 0xFF, (byte) 0xE1, 0, 1})).isSameAs(ExifOrientation.NORMAL);
  }
}
