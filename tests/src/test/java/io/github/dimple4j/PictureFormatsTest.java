package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.TensorType;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The golden picture in the formats that people have: what the vision tower makes of it stays what the reference made of it. */
class PictureFormatsTest {
  private final Golden golden = Golden.named("alpha");
  private DimpleModel model;

  @TempDir private Path folder;

  @BeforeEach
  void load() {
    model = golden.load(TensorType.F32, "cpu");
  }

  @AfterEach
  void close() {
    model.close();
  }

  private float[][] features(Image image) {
    try (Session session = model.session().tokens(golden.imageCase().prompt(), image).withoutResponse().open()) {
      return session.imageFeatures();
    }
  }

  private float[][] reference() {
    return features(golden.images().getFirst());
  }

  private BufferedImage picture() throws IOException {
    return ImageIO.read(golden.folder().resolve("image_0.png").toFile());
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tiff"})
  void losslessFormatsGiveTheSameFeatures(String format) throws IOException {
    Path file = folder.resolve("picture." + format);
    assertThat(ImageIO.write(picture(), format, file.toFile())).isTrue();
    assertThat(features(Image.read(file))).isDeepEqualTo(reference());
    assertThat(features(Image.decode(Files.readAllBytes(file), "bytes"))).isDeepEqualTo(reference());
  }

  @Test
  void picturesInMemoryGiveTheSameFeatures() throws IOException {
    assertThat(features(Image.of(picture()))).isDeepEqualTo(reference());
    Image image = golden.images().getFirst();
    assertThat(features(Image.rgb(image.rgb(), image.width(), image.height()))).isDeepEqualTo(reference());
  }

  /** Transparency is dropped and not blended: the colour under a transparent pixel counts. */
  @Test
  void alphaChangesNothing() throws IOException {
    BufferedImage opaque = picture();
    BufferedImage transparent = new BufferedImage(opaque.getWidth(), opaque.getHeight(), BufferedImage.TYPE_INT_ARGB);
    for (int y = 0; y < opaque.getHeight(); y++) {
      for (int x = 0; x < opaque.getWidth(); x++) {
        transparent.setRGB(x, y, opaque.getRGB(x, y) & 0xFFFFFF | (x * 16 & 0xFF) << 24);
      }
    }
    Path file = folder.resolve("alpha.png");
    ImageIO.write(transparent, "png", file.toFile());
    assertThat(features(Image.read(file))).isDeepEqualTo(reference());
  }

  /** GIF has a palette of 256 colours: the picture it holds is the one to compare with. */
  @Test
  void gifGivesThePictureOfItsPalette() throws IOException {
    BufferedImage indexed = new BufferedImage(picture().getWidth(), picture().getHeight(), BufferedImage.TYPE_BYTE_INDEXED);
    Graphics2D graphics = indexed.createGraphics();
    graphics.drawImage(picture(), 0, 0, null);
    graphics.dispose();
    Path file = folder.resolve("picture.gif");
    ImageIO.write(indexed, "gif", file.toFile());
    assertThat(features(Image.read(file))).isDeepEqualTo(features(Image.of(indexed)));
  }

  @Test
  void jpegIsNearlyTheSame() throws IOException {
    Path file = folder.resolve("picture.jpg");
    ImageIO.write(picture(), "jpg", file.toFile());
    float[][] features = features(Image.read(file));
    assertThat(features).hasDimensions(reference().length, reference()[0].length);
    double correlation = correlation(features, reference());
    assertThat(correlation).isBetween(0.8, 0.999999);
  }

  private static double correlation(float[][] a, float[][] b) {
    double[] x = Arrays.stream(a).flatMapToDouble(PictureFormatsTest::doubles).toArray();
    double[] y = Arrays.stream(b).flatMapToDouble(PictureFormatsTest::doubles).toArray();
    double product = 0;
    for (int i = 0; i < x.length; i++) {
      product += x[i] * y[i];
    }
    return product / Math.sqrt(Arrays.stream(x).map(v -> v * v).sum() * Arrays.stream(y).map(v -> v * v).sum());
  }

  private static DoubleStream doubles(float[] row) {
    return IntStream.range(0, row.length).mapToDouble(i -> row[i]);
  }
}
