package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import static io.github.dimple4j.image.Samples.noise;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;

import java.awt.Transparency;
import java.awt.color.ColorSpace;
import java.awt.image.BufferedImage;
import java.awt.image.ComponentColorModel;
import java.awt.image.DataBuffer;
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

  /** Such pictures are made by programs, not read from files, and are as dark as they say when they are shown. */
  @Test
  void linearSamplesAreConverted() {
    var colors = new ComponentColorModel(ColorSpace.getInstance(ColorSpace.CS_LINEAR_RGB), false, false, Transparency.OPAQUE, DataBuffer.TYPE_BYTE);
    var image = new BufferedImage(colors, colors.createCompatibleWritableRaster(1, 1), false, null);
    image.getRaster().setPixel(0, 0, new int[] {0, 55, 255});
    int[] found = pixel(PlatformPicture.pixels(image), 0, 0);
    assertThat(found[0]).isZero();
    assertThat(found[1]).isBetween(127, 129); // 255 (1.055 (55 / 255)^(1 / 2.4) - 0.055)
    assertThat(found[2]).isEqualTo(255);
  }
}
