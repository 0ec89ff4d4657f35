package io.github.dimple4j.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.github.dimple4j.gguf.core.TensorRows;
import io.github.dimple4j.gguf.tools.Inspector;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
  @TempDir private Path folder;

  private static Map<String, MetadataValue> everyType() {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    metadata.put("u8", MetadataValue.scalar(MetadataType.UINT8, 255L));
    metadata.put("i8", MetadataValue.scalar(MetadataType.INT8, -128L));
    metadata.put("u16", MetadataValue.scalar(MetadataType.UINT16, 65535L));
    metadata.put("i16", MetadataValue.scalar(MetadataType.INT16, -32768L));
    metadata.put("u32", MetadataValue.uint32(4294967295L));
    metadata.put("i32", MetadataValue.scalar(MetadataType.INT32, -2147483648L));
    metadata.put("u64", MetadataValue.scalar(MetadataType.UINT64, -1L));
    metadata.put("i64", MetadataValue.scalar(MetadataType.INT64, Long.MIN_VALUE));
    metadata.put("f32", MetadataValue.float32(1e-6));
    metadata.put("f64", MetadataValue.scalar(MetadataType.FLOAT64, Math.PI));
    metadata.put("yes", MetadataValue.bool(true));
    metadata.put("text", MetadataValue.string("\u00e4 \u4e2d \ud83d\ude00\n"));
    metadata.put("texts", MetadataValue.strings(List.of("", "a", "\u0120b")));
    metadata.put("numbers", MetadataValue.int32s(-1, 0, 7));
    metadata.put("nothing", MetadataValue.strings(List.of()));
    return metadata;
  }

  /** What a type has no room for would be another number in the file. */
  @Test
  void valuesThatAreNoneOfTheirTypeAreNotWritten() {
    Map<MetadataType, List<?>> wrong = Map.of(MetadataType.UINT8, List.of(256L, -1L), MetadataType.INT8, List.of(128L, -129L), MetadataType.UINT16, List.of(1L << 16, -1L),
        MetadataType.INT16, List.of(1L << 15, -(1L << 15) - 1), MetadataType.UINT32, List.of(1L << 32, -1L, Long.MAX_VALUE, 5), MetadataType.INT32,
        List.of(1L << 31, -(1L << 31) - 1, Long.MIN_VALUE), MetadataType.FLOAT32, List.of(1.0, 1L), MetadataType.BOOL, List.of(1L), MetadataType.STRING, List.of(1L), MetadataType.INT64, List.of(1));
    wrong.forEach((type, values) -> {
      for (Object value : values) {
        assertThatThrownBy(() -> write(Map.of("name", MetadataValue.scalar(type, value)))).isInstanceOf(GgufException.class)
            .hasMessage("key name is " + value + ", which is no " + type);
        assertThatThrownBy(() -> write(Map.of("name", MetadataValue.array(type, List.of(value))))).isInstanceOf(GgufException.class);
      }
    });
    assertThat(folder).isEmptyDirectory();
  }

  private Path write(Map<String, MetadataValue> metadata) throws IOException {
    return write(folder.resolve("x.gguf"), metadata);
  }

  private static Path write(Path path, Map<String, MetadataValue> metadata) throws IOException {
    List<GgufWriter.Plan> plans = List.of(new GgufWriter.Plan("three", TensorType.F32, List.of(3L)),
        new GgufWriter.Plan("blocks", TensorType.Q8_0, List.of(32L, 2L)));
    try (GgufWriter writer = new GgufWriter(path, metadata, plans, true)) {
      writer.write(floats(1, 2, 3));
      ByteBuffer blocks = ByteBuffer.allocate(2 * 34).order(ByteOrder.LITTLE_ENDIAN);
      blocks.putShort(0, Float.floatToFloat16(0.5f)).put(2, (byte) -8).putShort(34, Float.floatToFloat16(2)).put(34 + 33, (byte) 3);
      writer.write(blocks);
      writer.commit();
    }
    return path;
  }

  private static ByteBuffer floats(float... values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : values) {
      bytes.putFloat(value);
    }
    return bytes.flip();
  }

  @Test
  void readsWhatTheWriterWrites() throws IOException {
    try (GgufFile file = GgufFile.open(write(everyType()))) {
      Map<String, MetadataValue> expected = everyType();
      expected.put("general.alignment", MetadataValue.uint32(32));
      assertThat(file.metadata()).containsExactlyEntriesOf(expected);
      assertThat(file.version()).isEqualTo(3);
      assertThat(file.dataStart() % 32).isZero();
      assertThat(file.fileSize()).isEqualTo(file.dataStart() + 32 + 96);
      assertThat(file.tensors()).containsExactly(new TensorInfo("three", 0, List.of(3L), 0),
          new TensorInfo("blocks", 8, List.of(32L, 2L), 32));
      assertThat(TensorRows.read(file, file.tensor("three").orElseThrow(), 0, 1)).containsExactly(1, 2, 3);
      TensorInfo blocks = file.tensor("blocks").orElseThrow();
      float[] second = new float[32];
      second[31] = 6;
      assertThat(TensorRows.read(file, blocks, 1, 1)).containsExactly(second);
      assertThat(TensorRows.read(file, blocks, 0, 2)).hasSize(64).startsWith(-4);
      assertThatThrownBy(() -> TensorRows.read(file, blocks, 1, 2)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void anUncommittedFileLeavesNothing() throws IOException {
    Path path = folder.resolve("y.gguf");
    try (GgufWriter writer = new GgufWriter(path, Map.of(), List.of(new GgufWriter.Plan("a", TensorType.F32, List.of(3L))), false)) {
      writer.write(floats(1, 2));
      assertThat(path).doesNotExist();
      assertThatThrownBy(writer::commit).isInstanceOf(IllegalStateException.class).hasMessageContaining("a was not written");
      assertThatThrownBy(() -> writer.write(floats(3, 4))).isInstanceOf(IllegalStateException.class);
    }
    assertThat(folder).isEmptyDirectory();
  }

  /** On the file systems of today, names of 255 bytes. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void namesMayBeAsLongAsTheFileSystemAllows() throws IOException {
    Path longest = folder.resolve("x".repeat(250) + ".gguf");
    write(longest, everyType());
    assertThat(longest).isRegularFile();
    assertThatThrownBy(() -> GgufWriter.requireWritable(folder.resolve("x".repeat(251) + ".gguf"), false)).isInstanceOf(GgufException.class)
        .hasMessageEndingWith("x.gguf: File name too long");
  }

  @Test
  void aLinkStaysALink() throws IOException {
    Path file = Files.writeString(folder.resolve("behind.gguf"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link.gguf"), file);
    write(link, everyType());
    assertThat(link).isSymbolicLink();
    assertThat(file).hasSameBinaryContentAs(write(everyType()));
    Files.delete(file);
    assertThatThrownBy(() -> write(link, everyType())).isInstanceOf(GgufException.class)
        .hasMessage(link + " is a link to a file that does not exist");
    assertThat(link).isSymbolicLink();
    assertThat(folder).isDirectoryNotContaining("glob:**.partial");
  }

  /** As a device does, which a test cannot make. */
  @Test
  @EnabledOnOs(OS.LINUX)
  void aPipeStaysAPipe() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    Path copy = folder.resolve("copy.gguf");
    Process reader = new ProcessBuilder("cat", pipe.toString()).redirectOutput(copy.toFile()).start();
    try {
      write(pipe, everyType());
      assertThat(Files.readAttributes(pipe, BasicFileAttributes.class).isOther()).isTrue();
      assertThat(reader.waitFor(10, TimeUnit.SECONDS)).isTrue();
      assertThat(copy).hasSameBinaryContentAs(write(everyType()));
    } finally {
      reader.destroyForcibly();
    }
  }

  @Test
  void readsVersion2() throws IOException {
    Path path = write(everyType());
    patch(path, 4, 2);
    try (GgufFile file = GgufFile.open(path)) {
      assertThat(file.version()).isEqualTo(2);
      assertThat(file.metadata()).hasSize(everyType().size() + 1);
    }
  }

  @Test
  void unknownTensorTypesOpenButDoNotDecode() throws IOException {
    Path path = write(Map.of());
    patch(path, indexOf(path, "blocks") + 6 + 4 + 16, 99);
    try (GgufFile file = GgufFile.open(path)) {
      TensorInfo blocks = file.tensor("blocks").orElseThrow();
      assertThat(blocks.typeName()).isEqualTo("type 99");
      assertThatThrownBy(() -> TensorRows.read(file, blocks, 0, 1)).isInstanceOf(GgufException.class).hasMessageContaining("unknown type 99");
    }
  }

  @Test
  void filesThatAreNoGguf() throws IOException {
    Path path = folder.resolve("bad.gguf");
    assertThatThrownBy(() -> GgufFile.open(path)).isInstanceOf(NoSuchFileException.class).hasMessageEndingWith("no such file");
    assertThatThrownBy(() -> GgufFile.open(folder)).isInstanceOf(GgufException.class).hasMessageContaining("is a directory");
    Path device = Path.of("/dev/null");
    if (Files.exists(device)) { // as a pipe is, which would be waited for
      assertThatThrownBy(() -> GgufFile.open(device)).isInstanceOf(GgufException.class).hasMessage("/dev/null is a pipe or a device, expected a file");
    }
    Files.write(path, new byte[0]);
    refuses(path, "is not a GGUF file");
    Files.writeString(path, "GGML and more");
    refuses(path, "is not a GGUF file");
    Files.write(path, ByteBuffer.allocate(24).put("GGUF".getBytes(StandardCharsets.US_ASCII)).putInt(3).array());
    refuses(path, "big-endian");
    patch(path, 4, 1);
    refuses(path, "version 1; expected version 2 or 3");
  }

  @Test
  void everyFieldIsChecked() throws IOException {
    Path path = write(Map.of("k", MetadataValue.bool(true)));
    int key = indexOf(path, "k") - 8;
    int tensor = indexOf(path, "three");
    record Patch(int at, long value, int size, String problem) {}
    List<Patch> patches = List.of(new Patch(8, 1L << 60, 8, "tensors do not fit"), new Patch(16, -1, 8, "keys do not fit"),
        new Patch(key, 1L << 40, 8, "a string of 1099511627776 bytes does not fit"), new Patch(key, 0, 8, "key is empty"),
        new Patch(key + 9, 13, 4, "key k has the unknown type 13"), new Patch(key + 13, 2, 1, "a bool is 2"),
        new Patch(indexOf(path, "general.alignment") + 21, 24, 4, "general.alignment is 24"),
        new Patch(tensor + 5, 5, 4, "tensor three has 5 dimensions"), new Patch(tensor + 5, 0, 4, "tensor three has 0 dimensions"),
        new Patch(tensor + 9, 0, 8, "has a dimension below 1"), new Patch(tensor + 9, Long.MAX_VALUE, 8, "is too large"),
        new Patch(tensor + 9, 1 << 20, 8, "is the file cut?"), new Patch(tensor + 9, 9, 8, "tensors three and blocks overlap"),
        new Patch(tensor + 21, 32, 8, "no tensor ends at offset 0"),
        new Patch(tensor + 17, 2, 4, "rows of 3 do not divide into q4_0 blocks of 32"),
        new Patch(tensor + 21, 8, 8, "offset 8 is not a multiple of 32"), new Patch(tensor + 21, -32, 8, "is not a multiple"));
    byte[] good = Files.readAllBytes(path);
    for (Patch patch : patches) {
      byte[] bad = good.clone();
      for (int i = 0; i < patch.size(); i++) {
        bad[patch.at() + i] = (byte) (patch.value() >> 8 * i);
      }
      Files.write(path, bad);
      refuses(path, patch.problem());
    }
  }

  @Test
  void aSmallerTypeShowsAsAGap() throws IOException {
    Path path = folder.resolve("x.gguf");
    List<GgufWriter.Plan> plans = List.of(new GgufWriter.Plan("wide", TensorType.F32, List.of(32L)),
        new GgufWriter.Plan("next", TensorType.F32, List.of(1L)));
    try (GgufWriter writer = new GgufWriter(path, Map.of(), plans, true)) {
      writer.write(floats(new float[32]));
      writer.write(floats(1));
      writer.commit();
    }
    int type = indexOf(path, "wide") + 4 + 4 + 8;
    patch(path, type, TensorType.F16.number());
    refuses(path, "tensor wide ends at offset 64, but the next one, next, starts at 128: type or shape is wrong");
    patch(path, type, 99);
    try (GgufFile file = GgufFile.open(path)) {
      assertThat(file.tensor("next").map(TensorInfo::offset)).contains(128L);
    }
  }

  @Test
  void namesAreUnique() throws IOException {
    Path path = write(Map.of("key1", MetadataValue.bool(true), "key2", MetadataValue.bool(true)));
    byte[] good = Files.readAllBytes(path);
    good[indexOf(path, "key2") + 3] = '1';
    Files.write(path, good);
    refuses(path, "the key key1 is there twice");
  }

  @Test
  void arraysOfArraysAreRefused() throws IOException {
    Path path = write(Map.of("k", MetadataValue.strings(List.of())));
    patch(path, indexOf(path, "k") + 1 + 4, 9);
    refuses(path, "array of arrays");
  }

  @Test
  void everyCutIsNoticed() throws IOException {
    Path path = write(everyType());
    byte[] good = Files.readAllBytes(path);
    int lastData = good.length - 96 + 2 * 34;
    for (int length = 0; length < lastData; length++) {
      Files.write(path, Arrays.copyOf(good, length));
      refuses(path, "");
    }
  }

  @Test
  void whatIsShownIsUnsignedAndNothingForATerminal() throws IOException {
    Map<String, MetadataValue> metadata = everyType();
    metadata.put("a\u001b[31mb\u009b\u202e", MetadataValue.array(MetadataType.UINT64, List.of(1L, -2L)));
    try (GgufFile file = GgufFile.open(write(metadata))) {
      String text = Inspector.of(file, 4).text();
      assertThat(text).contains("18446744073709551615", "[1, 18446744073709551614]", "a\\u001b[31mb\\u009b\\u202e");
      assertThat(text.chars()).noneMatch(c -> Character.isISOControl(c) && c != '\n' && c != '\r');
      assertThat(Inspector.of(file, 4).json()).contains("18446744073709551615", "18446744073709551614");
    }
  }

  /** Whatever the bytes are, the reader either reads or refuses. */
  @Test
  void randomDamageIsHarmless() throws IOException {
    Path path = write(everyType());
    byte[] good = Files.readAllBytes(path);
    SplittableRandom random = new SplittableRandom(1);
    int refused = 0;
    for (int round = 0; round < 1000; round++) {
      byte[] bad = good.clone();
      for (int i = 0; i < 3; i++) {
        bad[random.nextInt(bad.length - 128)] = (byte) (random.nextBoolean() ? random.nextInt() : random.nextInt(8));
      }
      Files.write(path, bad);
      try (GgufFile file = GgufFile.open(path)) {
        assertThat(Inspector.of(file, 4).json()).isNotEmpty();
      } catch (GgufException e) {
        refused++;
      } catch (RuntimeException e) {
        fail("round " + round, e);
      }
    }
    assertThat(refused).isPositive();
  }

  private static void refuses(Path path, String problem) {
    assertThatThrownBy(() -> GgufFile.open(path)).isInstanceOf(GgufException.class).hasMessageContaining(problem)
        .hasMessageContaining(path.toString());
  }

  /** Replaces a 32-bit field. */
  private static void patch(Path path, int at, int value) throws IOException {
    byte[] bytes = Files.readAllBytes(path);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(at, value);
    Files.write(path, bytes);
  }

  private static int indexOf(Path path, String text) throws IOException {
    return new String(Files.readAllBytes(path), StandardCharsets.ISO_8859_1).indexOf(text);
  }

  /** A question mark in its place would be another text. */
  @Test
  void halfOfASurrogatePairIsNotWritten() {
    Map<String, MetadataValue> keys = Map.of("tokenizer.chat_template", MetadataValue.string("a\ud800"));
    Path file = folder.resolve("half.gguf");
    assertThatThrownBy(() -> new GgufWriter(file, keys, List.of(), false).close()).isInstanceOf(GgufException.class)
        .hasMessageContaining("tokenizer.chat_template");
    assertThat(folder).isEmptyDirectory();
  }
}
