package io.github.dimple4j.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.ImageException;
import io.github.dimple4j.image.raster.Pixels;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.InflaterInputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Pictures of every kind, as Pillow reads them, and damaged ones: pictures.txt, which {@code make_pictures.py} writes. */
class PicturesTest {
  private static final int BACKGROUND = 0x2040A0;
  private static final int NEAR = 2; // levels

  /** A line of pictures.txt. */
  record Case(String file, String expected, int width, int height, String pixels, String blended) {
    static Case of(String line) {
      String[] words = line.split(" ");
      return words.length == 2 ? new Case(words[0], words[1], 0, 0, null, null)
          : new Case(words[0], words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]), words[4], words.length > 5 ? words[5] : null);
    }

    byte[] content() {
      return resource("pictures/" + file);
    }

    @Override
    public String toString() {
      return file;
    }
  }

  private static byte[] resource(String name) {
    try (InputStream in = PicturesTest.class.getResourceAsStream(name)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static Stream<Case> cases() {
    return new String(resource("pictures.txt"), StandardCharsets.US_ASCII).lines().map(Case::of);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void isWhatPillowReadsOrOneClearError(Case picture) throws Exception {
    if (picture.pixels() == null) {
      assertRefused(picture);
      return;
    }
    Pixels pixels = PictureDecoder.decode(picture.content(), picture.file());
    assertThat(pixels.width()).isEqualTo(picture.width());
    assertThat(pixels.height()).isEqualTo(picture.height());
    if (picture.expected().equals("near")) {
      assertNear(pixels.rgb(), inflated(picture.pixels()));
    } else {
      assertThat(digest(pixels.rgb())).isEqualTo(picture.pixels());
    }
    if (picture.blended() != null) {
      assertThat(digest(pixels.over(BACKGROUND).rgb())).as("blended").isEqualTo(picture.blended());
    }
  }

  private static void assertRefused(Case picture) {
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> PictureDecoder.decode(picture.content(), picture.file())).satisfies(e -> {
      assertThat(e.getMessage()).startsWith(picture.file() + ": ").doesNotContain("\n").doesNotContain("null").doesNotContain("Exception");
      if (picture.expected().equals("unsupported")) {
        assertThat(e.getMessage()).endsWith("which is not read").doesNotContain("damaged");
      }
      if (picture.file().contains("-behind")) {
        assertThat(e.getMessage()).containsPattern("uses colour \\d+ of \\d+|its palette has 200 colours for samples of 8 bits");
      }
      if (picture.file().contains("bomb-within-limit")) {
        assertThat(e.getMessage()).containsPattern("bytes of data for|it ends early"); // found before memory is taken for the pixels
      }
    });
  }

  private static byte[] inflated(String text) throws IOException {
    return new InflaterInputStream(new ByteArrayInputStream(Base64.getDecoder().decode(text))).readAllBytes();
  }

  private static void assertNear(byte[] actual, byte[] expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.length; i++) {
      assertThat(Math.abs((actual[i] & 0xFF) - (expected[i] & 0xFF))).as("byte %d", i).isLessThanOrEqualTo(NEAR);
    }
  }

  private static String digest(byte[] rgb) throws NoSuchAlgorithmException {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(rgb), 0, 8);
  }

  /** Each format that has a length or an end in it is complete or refused, wherever it is cut off. */
  @Test
  void noPictureIsReadFromAFileThatIsCutOff() {
    for (String file : new String[] {"jpeg-sampled-2x2.jpg", "jpeg-progressive-444.jpg", "jpeg-restart-1.jpg", "png-rgb-8.png", "png-palette-2.png",
        "gif-lzw-interlaced.gif", "bmp-24.bmp", "tiff-tiles.tif", "tiff-rgb-be.tif", "tiff-group3-23.tif", "tiff-group4-23.tif",
        "webp-lossy-50.webp", "webp-lossless-m3.webp", "webp-lossy-alpha-0.webp", "webp-animated.webp"}) {
      byte[] whole = resource("pictures/" + file);
      int end = file.endsWith(".gif") ? whole.length - 2 : whole.length; // its last bytes close what is complete
      for (int length = 0; length < end; length += 1 + length / 32) {
        byte[] cut = Arrays.copyOf(whole, length);
        assertThatExceptionOfType(ImageException.class).as("%s of %d bytes", file, length).isThrownBy(() -> PictureDecoder.decode(cut, file));
      }
    }
  }

  /** Bytes that are changed at random give a picture or a refusal, and nothing else. */
  @Test
  void damagedFilesThrowNothingElse() {
    var random = new Random(3);
    cases().filter(picture -> picture.pixels() != null).forEach(picture -> {
      byte[] good = picture.content();
      for (int i = 0; i < 6; i++) {
        byte[] bad = good.clone();
        for (int j = 0; j < 3; j++) {
          bad[random.nextInt(Math.min(bad.length, i % 2 == 0 ? 100 : bad.length))] = (byte) random.nextInt();
        }
        try {
          Pixels pixels = PictureDecoder.decode(bad, picture.file());
          assertThat(pixels.rgb()).hasSize(3 * pixels.width() * pixels.height());
        } catch (ImageException e) {
          assertThat(e.getMessage()).startsWith(picture.file() + ": ").doesNotContain("\n");
        }
      }
    });
  }
}
