package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Random;
import javax.imageio.ImageIO;

/** Pictures to decode, and a look at what came of them. */
final class Samples {
  private Samples() {}

  /** A picture of 7 x 5 random opaque pixels, always the same ones. */
  static BufferedImage noise(int type) {
    var image = new BufferedImage(7, 5, type);
    var random = new Random(3);
    for (int y = 0; y < 5; y++) {
      for (int x = 0; x < 7; x++) {
        image.setRGB(x, y, random.nextInt() | 0xFF000000);
      }
    }
    return image;
  }

  static byte[] encode(BufferedImage image, String format) throws IOException {
    var out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).isTrue();
    return out.toByteArray();
  }

  /** Red, green and blue, 0 to 255. */
  static int[] pixel(Pixels picture, int x, int y) {
    byte[] rgb = picture.rgb();
    int at = 3 * (y * picture.width() + x);
    return new int[] {rgb[at] & 0xFF, rgb[at + 1] & 0xFF, rgb[at + 2] & 0xFF};
  }
}
