package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageTest {
  @TempDir Path folder;

  private static byte[] encode(BufferedImage image, String format) throws IOException {
    var out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).isTrue();
    return out.toByteArray();
  }

  private static Image decode(BufferedImage image, String format) throws IOException {
    return Image.decode(encode(image, format), "picture." + format);
  }

  private static int[] pixel(Image image, int x, int y) {
    byte[] rgb = image.rgb();
    int at = 3 * (y * image.width() + x);
    return new int[] {rgb[at] & 0xFF, rgb[at + 1] & 0xFF, rgb[at + 2] & 0xFF};
  }

  private static BufferedImage noise(int type) {
    var image = new BufferedImage(7, 5, type);
    var random = new Random(3);
    for (int y = 0; y < 5; y++) {
      for (int x = 0; x < 7; x++) {
        image.setRGB(x, y, random.nextInt() | 0xFF000000);
      }
    }
    return image;
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp"})
  void losslessFormatsKeepEveryPixel(String format) throws IOException {
    BufferedImage image = noise(BufferedImage.TYPE_INT_RGB);
    Image decoded = decode(image, format);
    assertThat(decoded.width()).isEqualTo(7);
    assertThat(decoded.height()).isEqualTo(5);
    for (int y = 0; y < 5; y++) {
      for (int x = 0; x < 7; x++) {
        Color color = new Color(image.getRGB(x, y));
        assertThat(pixel(decoded, x, y)).containsExactly(color.getRed(), color.getGreen(), color.getBlue());
      }
    }
  }

  @Test
  void everyMemoryLayoutGivesTheSamePixels() {
    byte[] expected = Image.of(noise(BufferedImage.TYPE_INT_RGB)).rgb();
    for (int type : new int[] {BufferedImage.TYPE_INT_ARGB, BufferedImage.TYPE_INT_ARGB_PRE, BufferedImage.TYPE_INT_BGR,
        BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_4BYTE_ABGR, BufferedImage.TYPE_4BYTE_ABGR_PRE}) {
      assertThat(Image.of(noise(type)).rgb()).as("type " + type).isEqualTo(expected);
    }
    BufferedImage part = noise(BufferedImage.TYPE_INT_RGB).getSubimage(2, 1, 3, 2);
    assertThat(pixel(Image.of(part), 0, 0)).isEqualTo(pixel(Image.of(noise(BufferedImage.TYPE_INT_RGB)), 2, 1));
  }

  @Test
  void narrowSamplesSpreadOverTheRange() {
    var image = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_565_RGB);
    image.getRaster().setPixel(0, 0, new int[] {31, 63, 0});
    image.getRaster().setPixel(1, 0, new int[] {16, 32, 1});
    assertThat(pixel(Image.of(image), 0, 0)).containsExactly(255, 255, 0);
    assertThat(pixel(Image.of(image), 1, 0)).containsExactly(16 * 255 / 31, 32 * 255 / 63, 255 / 31);
  }

  @Test
  void alphaIsDroppedAndNotBlended() throws IOException {
    var image = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00FF8040);
    image.setRGB(1, 0, 0x80FF8040);
    image.setRGB(2, 0, 0xFFFF8040);
    Image decoded = decode(image, "png");
    for (int x = 0; x < 3; x++) {
      assertThat(pixel(decoded, x, 0)).containsExactly(255, 128, 64);
    }
  }

  /** The platform's own conversion would take grey as linear light and brighten it. */
  @Test
  void greyIsRepeatedAsItIs() throws IOException {
    var image = new BufferedImage(256, 1, BufferedImage.TYPE_BYTE_GRAY);
    for (int x = 0; x < 256; x++) {
      image.getRaster().setSample(x, 0, 0, x);
    }
    Image decoded = decode(image, "png");
    for (int x = 0; x < 256; x++) {
      assertThat(pixel(decoded, x, 0)).containsExactly(x, x, x);
    }
  }

  @Test
  void highByteOf16BitSamplesIsKept() throws IOException {
    var image = new BufferedImage(3, 1, BufferedImage.TYPE_USHORT_GRAY);
    image.getRaster().setSample(0, 0, 0, 0x1234);
    image.getRaster().setSample(1, 0, 0, 0xFFFF);
    image.getRaster().setSample(2, 0, 0, 0x00FF);
    Image decoded = decode(image, "png");
    assertThat(pixel(decoded, 0, 0)).containsExactly(0x12, 0x12, 0x12);
    assertThat(pixel(decoded, 1, 0)).containsExactly(255, 255, 255);
    assertThat(pixel(decoded, 2, 0)).containsExactly(0, 0, 0);
  }

  @ParameterizedTest
  @ValueSource(strings = {"gif", "png", "bmp"})
  void paletteColoursAreLookedUp(String format) throws IOException {
    byte[][] palette = new byte[3][256];
    var random = new Random(7);
    for (byte[] channel : palette) {
      random.nextBytes(channel);
    }
    var image = new BufferedImage(16, 16, BufferedImage.TYPE_BYTE_INDEXED, new IndexColorModel(8, 256, palette[0], palette[1], palette[2]));
    for (int i = 0; i < 256; i++) {
      image.getRaster().setSample(i % 16, i / 16, 0, i);
    }
    Image decoded = decode(image, format);
    for (int i = 0; i < 256; i++) {
      assertThat(pixel(decoded, i % 16, i / 16)).containsExactly(palette[0][i] & 0xFF, palette[1][i] & 0xFF, palette[2][i] & 0xFF);
    }
  }

  /** Two bits a pixel, four pixels a byte. */
  @ParameterizedTest
  @ValueSource(strings = {"gif", "png"})
  void packedPalettesAreLookedUp(String format) throws IOException {
    byte[] values = {10, 60, 110, (byte) 210};
    var image = new BufferedImage(5, 9, BufferedImage.TYPE_BYTE_BINARY, new IndexColorModel(2, 4, values, values, values));
    int[] indices = new Random(2).ints(45, 0, 4).toArray();
    image.getRaster().setPixels(0, 0, 5, 9, indices);
    Image decoded = decode(image, format);
    for (int i = 0; i < indices.length; i++) {
      assertThat(pixel(decoded, i % 5, i / 5)[0]).isEqualTo(values[indices[i]] & 0xFF);
    }
  }

  @Test
  void transparentPaletteColourKeepsItsColour() throws IOException {
    byte[] values = {90, 40};
    var image = new BufferedImage(2, 1, BufferedImage.TYPE_BYTE_INDEXED, new IndexColorModel(8, 2, values, values, values, 0));
    image.getRaster().setPixels(0, 0, 2, 1, new int[] {0, 1});
    assertThat(pixel(decode(image, "gif"), 0, 0)).containsExactly(90, 90, 90);
  }

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
      Path file = Files.write(folder.resolve("photo.jpg"), withOrientation(jpeg(), value, order));
      Image image = Image.read(file);
      boolean turned = value >= 5 && value <= 8;
      assertThat(image.width()).isEqualTo(turned ? 48 : 32);
      assertThat(image.height()).isEqualTo(turned ? 32 : 48);
      int right = image.width() - 3;
      int bottom = image.height() - 3;
      String found = "" + colour(image, 2, 2) + colour(image, right, 2) + colour(image, 2, bottom) + colour(image, right, bottom);
      assertThat(found).isEqualTo(corners);
    }
  }

  private static char colour(Image image, int x, int y) {
    int[] p = pixel(image, x, y);
    boolean red = p[0] > 128;
    boolean green = p[1] > 128;
    boolean blue = p[2] > 128;
    return red && green && blue ? 'W' : red ? 'R' : green ? 'G' : blue ? 'B' : '?';
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
      assertThat(Image.decode(bad, "bad.jpg").width()).isIn(32, 48);
    }
    assertThat(ExifOrientation.of(new byte[0])).isSameAs(ExifOrientation.NORMAL);
    assertThat(ExifOrientation.of(new byte[] {(byte) 0xFF, (byte) 0xD8, (byte) 0xFF, (byte) 0xE1, 0, 1})).isSameAs(ExifOrientation.NORMAL);
  }

  @Test
  void otherFilesAreRefusedByName() throws IOException {
    assertRefused(Files.writeString(folder.resolve("text.jpg"), "This is not a picture."), "not a PNG, JPEG, GIF or BMP");
    assertRefused(Files.write(folder.resolve("empty.png"), new byte[0]), "not a PNG, JPEG, GIF or BMP");
    assertRefused(folder, "folder");
    assertRefused(folder.resolve("none.png"), "no such file");
    byte[] png = encode(noise(BufferedImage.TYPE_INT_RGB), "png");
    for (int cut : new int[] {8, 20, 40, png.length / 2}) {
      assertRefused(Files.write(folder.resolve("cut.png"), Arrays.copyOf(png, cut)), "");
    }
  }

  private static void assertRefused(Path file, String reason) {
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> Image.read(file))
        .satisfies(e -> assertThat(e.getMessage()).startsWith(file.toString()).contains(reason).doesNotContain("\n"));
  }

  /** A file of 57 bytes that announces ten thousand million pixels. */
  @Test
  void hugePicturesAreRefusedBeforeTheirPixelsAreRead() throws IOException {
    ByteBuffer header = ByteBuffer.allocate(17).put("IHDR".getBytes(StandardCharsets.US_ASCII)).putInt(100_000).putInt(100_000)
        .put(new byte[] {8, 2, 0, 0, 0});
    var crc = new CRC32();
    crc.update(header.array());
    ByteBuffer png = ByteBuffer.allocate(57).putLong(0x89504E470D0A1A0AL).putInt(13).put(header.array()).putInt((int) crc.getValue());
    png.putInt(12).put("IDAT".getBytes(StandardCharsets.US_ASCII));
    assertRefused(Files.write(folder.resolve("bomb.png"), png.array()), "100000 x 100000 pixels");
  }

  /** Files with flipped bytes are decoded or refused, and nothing else. */
  @Test
  void damagedFilesThrowNothingElse() throws IOException {
    var random = new Random(11);
    for (String format : List.of("png", "jpg", "gif", "bmp")) {
      byte[] good = encode(noise(BufferedImage.TYPE_INT_RGB), format);
      for (int i = 0; i < 200; i++) {
        byte[] bad = good.clone();
        for (int j = 0; j < 4; j++) {
          bad[random.nextInt(Math.min(bad.length, 200))] = (byte) random.nextInt();
        }
        try {
          Image.decode(bad, "bad");
        } catch (ImageException e) {
          assertThat(e.getMessage()).startsWith("bad: ");
        }
      }
    }
  }

  @Test
  void rawPixelsAreChecked() {
    byte[] rgb = {1, 2, 3, 4, 5, 6};
    Image image = Image.rgb(rgb, 2, 1);
    rgb[0] = 9;
    assertThat(pixel(image, 0, 0)).containsExactly(1, 2, 3);
    assertThat(image).hasToString("image of 2 x 1");
    for (int[] size : new int[][] {{1, 1}, {0, 0}, {-2, -1}, {1 << 30, 1 << 30}}) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> Image.rgb(new byte[6], size[0], size[1]));
    }
  }
}
