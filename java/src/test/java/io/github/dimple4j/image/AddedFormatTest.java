package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import static io.github.dimple4j.image.Samples.encode;
import static io.github.dimple4j.image.Samples.pixel;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.dimple4j.ImageException;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Iterator;
import java.util.Locale;
import javax.imageio.ImageReadParam;
import javax.imageio.ImageReader;
import javax.imageio.ImageTypeSpecifier;
import javax.imageio.metadata.IIOMetadata;
import javax.imageio.spi.IIORegistry;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.stream.ImageInputStream;
import org.junit.jupiter.api.Test;

/** A format more takes a reader that ImageIO finds, and no change here; a known format takes none. */
class AddedFormatTest {
  /** "DOT" and three bytes: a picture of one pixel. */
  private static final byte[] DOT = {'D', 'O', 'T', 10, 20, (byte) 250};

  /** What ImageIO asks whether a file is of the format. Readers on the class or module path it finds by their service entry. */
  private static final class DotSpi extends ImageReaderSpi {
    private final boolean takesAll;

    DotSpi(boolean takesAll) {
      super("Dimple4j", "1", new String[] {"dot"}, new String[] {"dot"}, new String[] {"image/x-dot"}, DotReader.class.getName(),
          new Class<?>[] {ImageInputStream.class}, null, false, null, null, null, null, false, null, null, null, null);
      this.takesAll = takesAll;
    }

    @Override
    public boolean canDecodeInput(Object source) throws IOException {
      ImageInputStream in = (ImageInputStream) source;
      byte[] magic = new byte[3];
      in.mark();
      int read = in.read(magic);
      in.reset();
      return takesAll || read == magic.length && new String(magic, StandardCharsets.US_ASCII).equals("DOT");
    }

    @Override
    public ImageReader createReaderInstance(Object extension) {
      return new DotReader(this);
    }

    @Override
    public String getDescription(Locale locale) {
      return "one pixel";
    }
  }

  private static final class DotReader extends ImageReader {
    DotReader(ImageReaderSpi spi) {
      super(spi);
    }

    @Override
    public int getNumImages(boolean search) {
      return 1;
    }

    @Override
    public int getWidth(int index) {
      return 1;
    }

    @Override
    public int getHeight(int index) {
      return 1;
    }

    @Override
    public Iterator<ImageTypeSpecifier> getImageTypes(int index) {
      return Collections.singleton(ImageTypeSpecifier.createFromBufferedImageType(BufferedImage.TYPE_INT_RGB)).iterator();
    }

    @Override
    public IIOMetadata getStreamMetadata() {
      return null;
    }

    @Override
    public IIOMetadata getImageMetadata(int index) {
      return null;
    }

    @Override
    public BufferedImage read(int index, ImageReadParam param) throws IOException {
      ImageInputStream in = (ImageInputStream) getInput();
      in.seek(3);
      BufferedImage dot = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB);
      dot.setRGB(0, 0, in.readUnsignedByte() << 16 | in.readUnsignedByte() << 8 | in.readUnsignedByte());
      return dot;
    }
  }

  @Test
  void aReaderThatImageIoFindsIsUsed() {
    assertThatExceptionOfType(ImageException.class).isThrownBy(() -> PictureDecoder.decode(DOT, "a.dot")).withMessageStartingWith("a.dot: is not");
    DotSpi spi = new DotSpi(false);
    IIORegistry.getDefaultInstance().registerServiceProvider(spi);
    try {
      Pixels decoded = PictureDecoder.decode(DOT, "a.dot");
      assertThat(decoded.width()).isEqualTo(1);
      assertThat(decoded.height()).isEqualTo(1);
      assertThat(pixel(decoded, 0, 0)).containsExactly(10, 20, 250);
    } finally {
      IIORegistry.getDefaultInstance().deregisterServiceProvider(spi);
    }
  }

  /** A reader that claims the formats that are known changes nothing of them. */
  @Test
  void knownFormatsDoNotDependOnWhatElseImageIoFinds() throws IOException {
    DotSpi spi = new DotSpi(true);
    IIORegistry registry = IIORegistry.getDefaultInstance();
    BufferedImage picture = Samples.noise(BufferedImage.TYPE_INT_RGB);
    for (String format : new String[] {"png", "jpg", "gif", "bmp", "tiff", "wbmp"}) {
      byte[] encoded = encode(format.equals("wbmp") ? Samples.noise(BufferedImage.TYPE_BYTE_BINARY) : picture, format);
      byte[] expected = PictureDecoder.decode(encoded, format).rgb();
      registry.registerServiceProvider(spi);
      try {
        registry.getServiceProviders(ImageReaderSpi.class, true).forEachRemaining(other -> {
          if (other != spi) {
            registry.setOrdering(ImageReaderSpi.class, spi, other);
          }
        });
        assertThat(PictureDecoder.decode(encoded, format).rgb()).as(format).isEqualTo(expected);
      } finally {
        registry.deregisterServiceProvider(spi);
      }
    }
  }
}
