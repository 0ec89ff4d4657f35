package io.github.dimple4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Model files with something wrong in them: each is refused in one line that names the file and what is wrong, and nothing else happens. */
class DamagedFileTest {
  @TempDir private Path folder;

  private static Path good() {
    return Golden.named("alpha").file(TensorType.F32);
  }

  private Path write(byte[] content) throws IOException {
    return Files.write(folder.resolve("damaged.gguf"), content);
  }

  private static void assertRefused(Path file, String... parts) {
    assertThatThrownBy(() -> DimpleModel.load(file).close()).isInstanceOfAny(ModelFileException.class, UnsupportedException.class)
        .message().doesNotContain("\n").contains(Stream.concat(Stream.of(file.toString()), Stream.of(parts)).toArray(String[]::new));
  }

  /** The library is as good as before. */
  @AfterEach
  void goodFileStillLoads() {
    try (DimpleModel model = DimpleModel.load(good())) {
      assertThat(model.info().architecture()).isNotEmpty();
    }
  }

  @Test
  void whatIsNoModelFile() throws IOException {
    assertRefused(folder.resolve("missing.gguf"));
    assertRefused(folder);
    assertRefused(write(new byte[0]));
    assertRefused(write(new byte[100_000]));
    assertRefused(write("GGUF".getBytes(StandardCharsets.US_ASCII)));
    assertRefused(write("This is a text, and it is long enough to hold a header.".getBytes(StandardCharsets.US_ASCII)));
    byte[] bytes = Files.readAllBytes(good());
    bytes[3] = 'X';
    assertRefused(write(bytes));
  }

  @Test
  void fileCutAtFiftyPlaces() throws IOException {
    byte[] bytes = Files.readAllBytes(good());
    int dataStart = dataStart();
    for (int i = 0; i < 50; i++) {
      // Half of the places in the header, half in the weights.
      long length = i < 25 ? (long) dataStart * i / 25 : dataStart + (bytes.length - dataStart) * (i - 25L) / 25;
      assertRefused(write(Arrays.copyOf(bytes, (int) length)));
    }
    assertRefused(write(Arrays.copyOf(bytes, bytes.length - 33)));
  }

  private static int dataStart() throws IOException {
    try (GgufFile file = GgufFile.open(good())) {
      return (int) file.dataStart();
    }
  }

  /** Every key that the architecture cannot do without. */
  @ParameterizedTest
  @MethodSource("neededKeys")
  void missingKey(String key) throws IOException {
    assertRefused(EditedFile.of(good()).renameKey(key).write(folder), key.substring(key.lastIndexOf('.') + 1));
  }

  static Stream<String> neededKeys() {
    return Stream.of("general.architecture", "dimple.context_length", "dimple.embedding_length", "dimple.block_count",
        "dimple.feed_forward_length", "dimple.attention.head_count", "dimple.attention.layer_norm_rms_epsilon", "dimple.rope.freq_base",
        "dimple.rope.dimension_sections", "diffusion.shift_logits", "clip.vision.patch_size",
        "clip.vision.embedding_length", "clip.vision.block_count", "clip.vision.attention.head_count");
  }

  @ParameterizedTest
  @MethodSource("wrongValues")
  void wrongValueOfAKey(String key, int value) throws IOException {
    assertRefused(EditedFile.of(good()).value(key, value).write(folder));
  }

  static Stream<Arguments> wrongValues() {
    Stream<Arguments> sizes = Stream.of("dimple.embedding_length", "dimple.block_count", "dimple.feed_forward_length", "dimple.vocab_size",
        "dimple.attention.head_count", "dimple.attention.head_count_kv", "dimple.rope.dimension_count", "clip.vision.patch_size",
        "clip.vision.embedding_length", "clip.vision.feed_forward_length", "clip.vision.block_count", "clip.vision.projection_dim",
        "clip.vision.attention.head_count", "clip.vision.spatial_merge_size", "general.alignment")
        .flatMap(key -> Stream.of(0, 77, Integer.MAX_VALUE, -1, Integer.MIN_VALUE).map(value -> Arguments.of(key, value)));
    Stream<Arguments> tokens = Stream.of("dimple.image_token_id", "tokenizer.ggml.mask_token_id") // of 512
        .flatMap(key -> Stream.of(512, Integer.MAX_VALUE, Integer.MIN_VALUE).map(value -> Arguments.of(key, value)));
    Stream<Arguments> others = Stream.of(Arguments.of("clip.vision.window_size", 0), Arguments.of("clip.vision.window_size", 27),
        Arguments.of("clip.vision.image_min_pixels", Integer.MAX_VALUE), Arguments.of("clip.vision.image_max_pixels", 27 * 28));
    return Stream.of(sizes, tokens, others).flatMap(arguments -> arguments);
  }

  @ParameterizedTest
  @MethodSource("floatKeys")
  void keyThatIsNoNumber(String key) throws IOException {
    for (float value : new float[] {Float.NaN, Float.POSITIVE_INFINITY, -1}) {
      assertRefused(EditedFile.of(good()).value(key, Float.floatToIntBits(value)).write(folder), key.substring(key.lastIndexOf('.') + 1));
    }
  }

  static Stream<String> floatKeys() {
    return Stream.of("dimple.attention.layer_norm_rms_epsilon", "dimple.rope.freq_base");
  }

  @Test
  void unknownArchitecture() throws IOException {
    assertRefused(EditedFile.of(good()).text("general.architecture", "pimple").write(folder), "pimple");
  }

  @ParameterizedTest
  @MethodSource("tensors")
  void tensorThatIsMissing(String tensor) throws IOException {
    assertRefused(EditedFile.of(good()).renameTensor(tensor).write(folder), tensor);
  }

  @ParameterizedTest
  @MethodSource("tensors")
  void tensorOfAWrongShape(String tensor) throws IOException {
    long columns = info(tensor).columns();
    for (long wrong : List.of(columns - 1, columns + 1, columns / 2, columns * 2, 0L, -1L, 1L << 62, Long.MAX_VALUE)) {
      assertRefused(EditedFile.of(good()).tensorDimension(tensor, 0, wrong).write(folder), tensor);
    }
    for (int count : new int[] {0, 5, -1}) {
      assertRefused(EditedFile.of(good()).tensorDimensions(tensor, count).write(folder), tensor);
    }
  }

  @ParameterizedTest
  @MethodSource("tensors")
  void tensorOfAWrongType(String tensor) throws IOException {
    for (TensorType type : TensorType.values()) {
      if (type != TensorType.F32) {
        assertRefused(EditedFile.of(good()).tensorType(tensor, type.number()).write(folder));
      }
    }
    for (int unknown : new int[] {4, 5, 99, -1}) {
      assertRefused(EditedFile.of(good()).tensorType(tensor, unknown).write(folder), tensor);
    }
  }

  @ParameterizedTest
  @MethodSource("tensors")
  void tensorAtAWrongOffset(String tensor) throws IOException {
    long offset = info(tensor).offset();
    for (long wrong : List.of(offset + 1, offset + 32, offset - 32, -32L, 1L << 40, 1L << 62, Long.MAX_VALUE - 31)) {
      assertRefused(EditedFile.of(good()).tensorOffset(tensor, wrong).write(folder));
    }
  }

  static Stream<String> tensors() {
    return Stream.of("token_embd.weight", "blk.0.attn_q.weight", "blk.1.attn_k.bias", "blk.1.ffn_norm.weight", "output_norm.weight",
        "v.patch_embd.weight", "v.blk.3.attn_out.weight", "mm.0.weight", "mm.img_projector.2.weight");
  }

  private static TensorInfo info(String tensor) throws IOException {
    try (GgufFile file = GgufFile.open(good())) {
      return file.tensor(tensor).orElseThrow();
    }
  }
}
