package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import static io.github.dimple4j.image.Samples.noise;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;

import java.awt.image.BufferedImage;
import org.junit.jupiter.api.Test;

/** Pixels come out as they are stored, whatever the layout in memory. */
class PlatformPictureTest {
  @Test
  void everyMemoryLayoutGivesTheSamePixels() {
    byte[] expected = PlatformPicture.pixels(noise(BufferedImage.TYPE_INT_RGB)).rgb();
    for (int type : new int[] {BufferedImage.TYPE_INT_ARGB, BufferedImage.TYPE_INT_ARGB_PRE, BufferedImage.TYPE_INT_BGR,
        BufferedImage.TYPE_3BYTE_BGR, BufferedImage.TYPE_4BYTE_ABGR, BufferedImage.TYPE_4BYTE_ABGR_PRE}) {
      assertThat(PlatformPicture.pixels(noise(type)).rgb()).as("type " + type).isEqualTo(expected);
    }
    BufferedImage part = noise(BufferedImage.TYPE_INT_RGB).getSubimage(2, 1, 3, 2);
    assertThat(pixel(PlatformPicture.pixels(part), 0, 0)).isEqualTo(pixel(PlatformPicture.pixels(noise(BufferedImage.TYPE_INT_RGB)), 2, 1));
  }

  @Test
  void narrowSamplesSpreadOverTheRange() {
    var image = new BufferedImage(2, 1, BufferedImage.TYPE_USHORT_565_RGB);
    image.getRaster().setPixel(0, 0, new int[] {31, 63, 0});
    image.getRaster().setPixel(1, 0, new int[] {16, 32, 1});
    assertThat(pixel(PlatformPicture.pixels(image), 0, 0)).containsExactly(255, 255, 0);
    assertThat(pixel(PlatformPicture.pixels(image), 1, 0)).containsExactly(16 * 255 / 31, 32 * 255 / 63, 255 / 31);
  }
}
