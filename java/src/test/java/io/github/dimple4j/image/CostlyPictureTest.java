package io.github.dimple4j.image;

import io.github.dimple4j.image.raster.Pixels;
import static java.nio.charset.StandardCharsets.US_ASCII;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Small files do not take much time or memory. */
class CostlyPictureTest {
  private static byte[] chunk(String type, byte[] content) {
    CRC32 sum = new CRC32();
    sum.update(type.getBytes(US_ASCII));
    sum.update(content);
    return ByteBuffer.allocate(12 + content.length).putInt(content.length).put(type.getBytes(US_ASCII)).put(content).putInt((int) sum.getValue()).array();
  }

  private static byte[] deflated(byte[] bytes) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (DeflaterOutputStream deflater = new DeflaterOutputStream(out, new Deflater(9))) {
      deflater.write(bytes);
    }
    return out.toByteArray();
  }

  @Test
  @Timeout(60)
  void oneOfManyTextsIsInflated() throws IOException {
    byte[] text = new byte[1 << 18];
    Arrays.fill(text, (byte) '0');
    byte[] start = "\nexif\n  131000\n".getBytes(US_ASCII);
    System.arraycopy(start, 0, text, 0, start.length);
    ByteArrayOutputStream profile = new ByteArrayOutputStream();
    profile.write("Raw profile type exif\0\0".getBytes(US_ASCII));
    profile.write(deflated(text));
    ByteArrayOutputStream png = new ByteArrayOutputStream();
    png.write(new byte[] {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'});
    png.write(chunk("IHDR", ByteBuffer.allocate(13).putInt(1).putInt(1).put((byte) 8).array()));
    byte[] one = chunk("zTXt", profile.toByteArray());
    for (int i = 0; i < 20_000; i++) {
      png.write(one);
    }
    png.write(chunk("IDAT", deflated(new byte[] {0, 77})));
    png.write(chunk("IEND", new byte[0]));
    assertThat(PictureDecoder.decode(png.toByteArray(), "a.png").rgb()).containsExactly((byte) 77, (byte) 77, (byte) 77);
  }

  /** Bits of a lossless WebP, the lowest first. */
  private static final class Bits {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    private long waiting;
    private int count;

    Bits put(int value, int bits) {
      waiting |= (long) value << count;
      for (count += bits; count >= 8; count -= 8) {
        bytes.write((int) waiting);
        waiting >>>= 8;
      }
      return this;
    }

    /** A prefix code of one symbol. */
    Bits only(int symbol) {
      return put(0b101, 3).put(symbol, 8);
    }
  }

  /** One pixel, with the last of 65,536 groups of codes. */
  private static byte[] manyGroups() {
    Bits bits = new Bits().put(0x2F, 8).put(0, 28).put(0, 4).put(0, 1).put(0, 1).put(1, 1).put(0, 3); // a pixel; no transform, no cache, parts
    bits.put(0, 1).only(255).only(255).only(0).only(0).only(0); // the picture of groups: one of 0xFFFF
    for (int group = 0; group < 1 << 16; group++) {
      for (int color : new int[] {20, 10, 30, 255, 0}) {
        bits.only(group == 0xFFFF ? color : 1);
      }
    }
    byte[] data = Arrays.copyOf(bits.put(0, 16).bytes.toByteArray(), bits.bytes.size() + 1 & ~1);
    return ByteBuffer.allocate(20 + data.length).order(ByteOrder.LITTLE_ENDIAN).put("RIFF".getBytes(US_ASCII)).putInt(12 + data.length)
        .put("WEBPVP8L".getBytes(US_ASCII)).putInt(data.length).put(data).array();
  }

  @Test
  void codesThatNoPixelHasTakeNoMemory(@TempDir Path folder) throws Exception {
    Path file = Files.write(folder.resolve("groups.webp"), manyGroups());
    Path printed = folder.resolve("printed");
    Process process = new ProcessBuilder(List.of(ProcessHandle.current().info().command().orElseThrow(), "-Xmx64m", "-XX:+UseSerialGC", "-cp",
        String.join(System.getProperty("path.separator"), place(PictureDecoder.class), place(CostlyPictureTest.class)),
        OfSmallMemory.class.getName(), file.toString())).redirectErrorStream(true).redirectOutput(printed.toFile()).start();
    boolean ended = process.waitFor(120, TimeUnit.SECONDS);
    process.destroyForcibly();
    assertThat(ended).isTrue();
    assertThat(Files.readString(printed).strip()).isEqualTo("[10, 20, 30]");
  }

  private static String place(Class<?> type) throws Exception {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
  }

  /** Decodes a file in a process of its own. */
  static final class OfSmallMemory {
    public static void main(String[] arguments) throws IOException {
      Pixels pixels = PictureDecoder.decode(Files.readAllBytes(Path.of(arguments[0])), "a.webp");
      System.out.println(Arrays.toString(pixels.rgb()));
    }
  }
}
