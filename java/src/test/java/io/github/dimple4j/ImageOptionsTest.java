package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.awt.image.BufferedImage;
import org.junit.jupiter.api.Test;

class ImageOptionsTest {
  private static final ImageOptions ON_WHITE = ImageOptions.builder().background(0xFFFFFF).build();
  private static final int[] PILLOW = {0, 11, 57, 139, 244, 255, 5, 28, 90, 147, 191, 202, 21, 63, 155, 163, 87, 53, 28, 80, 188, 171, 34, 0};

  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  @Test
  void transparencyIsDroppedUnlessABackgroundIsSet() {
    var picture = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
    picture.setRGB(0, 0, 0x00FF8040);
    picture.setRGB(1, 0, 0x80FF8040);
    picture.setRGB(2, 0, 0xFFFF8040);
    assertThat(Image.of(picture).rgb()).isEqualTo(bytes(255, 128, 64, 255, 128, 64, 255, 128, 64));
    assertThat(Image.of(picture, ON_WHITE).rgb()).isEqualTo(bytes(255, 255, 255, 255, 191, 159, 255, 128, 64));
    assertThat(Image.of(picture, ImageOptions.builder().background(0x0000FF).build()).rgb())
        .isEqualTo(bytes(0, 0, 255, 128, 64, 159, 255, 128, 64));
  }

  /** Row by row what Pillow's {@code resize((6, 4), Image.BICUBIC)} gives. */
  @Test
  void smallPicturesAreEnlargedIfAskedFor() {
    var picture = new BufferedImage(3, 2, BufferedImage.TYPE_INT_RGB);
    int[] greys = {0, 100, 255, 40, 200, 10};
    for (int i = 0; i < greys.length; i++) {
      picture.setRGB(i % 3, i / 3, greys[i] * 0x010101);
    }
    assertThat(Image.of(picture).width()).isEqualTo(3);
    Image enlarged = Image.of(picture, ImageOptions.builder().minimumSide(4).build());
    assertThat(enlarged.width()).isEqualTo(6);
    assertThat(enlarged.height()).isEqualTo(4);
    int[] red = new int[24];
    for (int i = 0; i < red.length; i++) {
      red[i] = enlarged.rgb()[3 * i] & 0xFF;
    }
    assertThat(red).containsExactly(PILLOW);
    assertThat(Image.of(picture, ImageOptions.builder().minimumSide(2).build()).width()).isEqualTo(3);
  }

  @Test
  void valuesAreChecked() {
    for (int color : new int[] {-1, 0x1000000}) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> ImageOptions.builder().background(color).build());
    }
    for (int side : new int[] {-1, ImageOptions.MAX_MINIMUM_SIDE + 1}) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> ImageOptions.builder().minimumSide(side).build());
    }
  }
}
