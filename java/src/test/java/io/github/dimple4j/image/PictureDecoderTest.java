package io.github.dimple4j.image;

import static io.github.dimple4j.image.Samples.encode;
import static io.github.dimple4j.image.Samples.noise;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.ImageException;
import io.github.dimple4j.image.raster.Pixels;
import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Files of each format, and files that are none. */
class PictureDecoderTest {
  @TempDir Path folder;

  private static Pixels decode(BufferedImage image, String format) throws IOException {
    return PictureDecoder.decode(encode(image, format), "picture." + format);
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp"})
  void losslessFormatsKeepEveryPixel(String format) throws IOException {
    BufferedImage image = noise(BufferedImage.TYPE_INT_RGB);
    Pixels decoded = decode(image, format);
    assertThat(decoded.width()).isEqualTo(7);
    assertThat(decoded.height()).isEqualTo(5);
    for (int y = 0; y < 5; y++) {
      for (int x = 0; x < 7; x++) {
        Color color = new Color(image.getRGB(x, y));
        assertThat(pixel(decoded, x, y)).containsExactly(color.getRed(), color.getGreen(), color.getBlue());
      }
    }
  }

  /** A palette that a picture of greys was left with is none of its own, though the platform's reader would look its samples up. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void greysOfATiffAreNotLookedUp(int photometric) {
    int[][] entries = {{256, 4, 1, 3}, {257, 4, 1, 1}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, photometric}, {273, 4, 1, 8}, {277, 3, 1, 1}, {278, 4, 1, 1},
        {279, 4, 1, 3}, {320, 3, 768, 12 + 2 + 10 * 12 + 4}};
    ByteBuffer file = ByteBuffer.allocate(12 + 2 + 10 * 12 + 4 + 1536).order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {'I', 'I', 42, 0}).putInt(12).put(new byte[] {7, 100, (byte) 250, 0}).putShort((short) 10);
    for (int[] entry : entries) {
      file.putShort((short) entry[0]).putShort((short) entry[1]).putInt(entry[2]).putInt(entry[3]);
    }
    file.putInt(0);
    while (file.hasRemaining()) {
      file.putShort((short) (12345 * file.position()));
    }
    Pixels decoded = PictureDecoder.decode(file.array(), "greys.tif");
    for (int x = 0; x < 3; x++) {
      int grey = photometric == 1 ? file.get(8 + x) & 0xFF : 255 - (file.get(8 + x) & 0xFF);
      assertThat(pixel(decoded, x, 0)).containsExactly(grey, grey, grey);
    }
  }

  @Test
  void alphaIsDroppedAndNotBlended() throws IOException {
    var image = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00FF8040);
    image.setRGB(1, 0, 0x80FF8040);
    image.setRGB(2, 0, 0xFFFF8040);
    Pixels decoded = decode(image, "png");
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
    Pixels decoded = decode(image, "png");
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
    Pixels decoded = decode(image, "png");
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
    Pixels decoded = decode(image, format);
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
    Pixels decoded = decode(image, format);
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

  @Test
  void otherFilesAreRefusedByName() throws IOException {
    assertRefused(Files.writeString(folder.resolve("text.jpg"), "This is not a picture."), "not a PNG, JPEG, WebP, GIF, BMP or TIFF picture");
    assertRefused(Files.write(folder.resolve("empty.png"), new byte[0]), "not a PNG, JPEG, WebP, GIF, BMP or TIFF picture");
    assertRefused(folder, "folder");
    assertRefused(folder.resolve("none.png"), "no such file");
    byte[] png = encode(noise(BufferedImage.TYPE_INT_RGB), "png");
    for (int cut : new int[] {8, 20, 40, png.length / 2}) {
      assertRefused(Files.write(folder.resolve("cut.png"), Arrays.copyOf(png, cut)), "");
    }
  }

  /** Two zeros and two sizes are all that a WBMP file is known by, and what else begins so may have any bytes there. */
  @Test
  void filesThatBeginAsWbmpDoAreNone() throws IOException {
    byte[] wbmp = encode(noise(BufferedImage.TYPE_BYTE_BINARY), "wbmp");
    assertThat(PictureDecoder.decode(wbmp, "a.wbmp").width()).isEqualTo(noise(BufferedImage.TYPE_BYTE_BINARY).getWidth());
    assertRefused(Files.write(folder.resolve("longer.wbmp"), Arrays.copyOf(wbmp, wbmp.length + 1)), "is not a PNG");
    byte[] jpeg = encode(noise(BufferedImage.TYPE_INT_RGB), "jpg");
    byte[] behind = new byte[6 + jpeg.length];
    System.arraycopy(new byte[] {0, 0, 8, 8, 8, 8}, 0, behind, 0, 6);
    System.arraycopy(jpeg, 0, behind, 6, jpeg.length);
    assertRefused(Files.write(folder.resolve("behind.jpg"), behind), "is not a PNG");
  }

  @Test
  void formatsThatAreNotReadAreNamed() throws IOException {
    Map<String, String> kinds = Map.of("\0\0\0\u0018ftypheic", "a HEIC picture", "\0\0\0\u001cftypavif", "an AVIF picture", "\u00ff\n\0", "a JPEG XL picture",
        "\0\0\0\fjP  \r\n", "a JPEG 2000 picture", "%PDF-1.4", "a PDF file", "version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS",
        "<svg xmlns", "an SVG drawing", "<?xml version=\"1.0\"?>\n<!-- a --><svg", "an SVG drawing", "<?xml version=\"1.0\"?><html>", "an XML file");
    for (Map.Entry<String, String> kind : kinds.entrySet()) {
      assertRefused(Files.write(folder.resolve("other.jpg"), kind.getKey().getBytes(StandardCharsets.ISO_8859_1)),
          "is " + kind.getValue() + ", expected a PNG, JPEG, WebP, GIF, BMP or TIFF picture");
    }
  }

  private static void assertRefused(Path file, String reason) {
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> PictureDecoder.decode(PictureDecoder.bytes(file), file.toString()))
        .satisfies(e -> assertThat(e.getMessage()).startsWith(file.toString()).contains(reason).doesNotContain("\n"));
  }

  /** For the system's reason, and not for the name once more. */
  @Test
  void filesThatCannotBeReadAreRefusedForAReason() throws IOException {
    Path loop = folder.resolve("loop.png");
    Files.createSymbolicLink(loop, loop);
    assertRefused(loop, loop + ": cannot be read: ");
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> PictureDecoder.bytes(loop)).withMessageNotContaining("read: " + loop);
  }

  /** A pipe gives its picture, as {@code <(curl ...)} does; a device without an end gives none, and stops. */
  @Test
  @EnabledOnOs(OS.LINUX)
  @Timeout(20)
  void picturesComeOutOfPipesAndNotOutOfDevices() throws Exception {
    Path file = Files.write(folder.resolve("picture.png"), encode(noise(BufferedImage.TYPE_INT_RGB), "png"));
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    Process writer = new ProcessBuilder("sh", "-c", "cat \"$0\" > \"$1\"", file.toString(), pipe.toString()).start();
    assertThat(PictureDecoder.bytes(pipe)).isEqualTo(Files.readAllBytes(file));
    assertThat(writer.waitFor()).isZero();
    assertRefused(Path.of("/dev/null"), "is not a PNG");
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> PictureDecoder.bytes(Path.of("/dev/zero")))
        .withMessageMatching("/dev/zero: (has more than \\d+ bytes, too many for a picture|takes more memory than Java has)");
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
          PictureDecoder.decode(bad, "bad");
        } catch (ImageException e) {
          assertThat(e.getMessage()).startsWith("bad: ");
        }
      }
    }
  }
}
