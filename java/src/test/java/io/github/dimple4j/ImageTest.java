package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ImageTest {
  @TempDir Path folder;

  @Test
  void fileContentAndPlatformPictureAreTheSameImage() throws IOException {
    var picture = new BufferedImage(2, 1, BufferedImage.TYPE_INT_RGB);
    picture.setRGB(0, 0, 0x010203);
    picture.setRGB(1, 0, 0xFFFE80);
    Path file = folder.resolve("picture.png");
    assertThat(ImageIO.write(picture, "png", file.toFile())).isTrue();
    for (Image image : new Image[] {Image.read(file), Image.decode(Files.readAllBytes(file), "picture"), Image.of(picture)}) {
      assertThat(image.width()).isEqualTo(2);
      assertThat(image.height()).isEqualTo(1);
      assertThat(image.rgb()).containsExactly(1, 2, 3, 0xFF, 0xFE, 0x80);
    }
  }

  @Test
  void errorsBeginWithTheNameThatThePictureHas() throws IOException {
    Path file = Files.writeString(folder.resolve("text.jpg"), "This is not a picture.");
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> Image.read(file)).withMessageStartingWith(file + ": is not a PNG");
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> Image.decode(new byte[9], "cat"))
        .withMessageStartingWith("cat: is not a PNG");
    Path picture = folder.resolve("picture.png");
    assertThat(ImageIO.write(new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB), "png", picture.toFile())).isTrue();
    assertThat(Image.read(picture).errorPrefix()).isEqualTo(picture + ": ");
    assertThat(Image.rgb(new byte[3], 1, 1).errorPrefix()).isEmpty();
  }

  @Test
  void rawPixelsAreChecked() {
    byte[] rgb = {1, 2, 3, 4, 5, 6};
    Image image = Image.rgb(rgb, 2, 1);
    rgb[0] = 9;
    assertThat(image.rgb()).containsExactly(1, 2, 3, 4, 5, 6);
    assertThat(image).hasToString("image of 2 x 1");
    for (int[] size : new int[][] {{1, 1}, {0, 0}, {-2, -1}, {1 << 30, 1 << 30}}) {
      assertThatExceptionOfType(InvalidArgumentException.class).isThrownBy(() -> Image.rgb(new byte[6], size[0], size[1]));
    }
  }
}
