package io.github.dimple4j.image;

import io.github.dimple4j.ImageException;
import io.github.dimple4j.image.raster.Pixels;
import static io.github.dimple4j.image.Samples.encode;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
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
