package io.github.dimple4j.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ValidatorTest {
  @TempDir private Path folder;
  private Path path;

  @BeforeEach
  void synthesize() throws IOException {
    path = folder.resolve("x.gguf");
    Synth.of("dimple-mini").type(TensorType.Q8_0).write(path);
  }

  @Test
  void soundFilesHaveNoProblems() throws IOException {
    assertThat(problems(path)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"alpha", "beta", "gamma"})
  void convertedFilesHaveNoProblems(String golden) throws IOException {
    Path converted = folder.resolve("y.gguf");
    Converter.of(TestCheckpoint.GOLDENS.resolve(golden)).write(converted);
    assertThat(problems(converted)).isEmpty();
  }

  @Test
  void weightsThatAreNotNumbersAreFound() throws IOException {
    byte[] bytes = Files.readAllBytes(path);
    try (GgufFile file = GgufFile.open(path)) {
      ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN)
          .putFloat((int) (file.dataStart() + file.tensor("blk.2.attn_norm.weight").orElseThrow().offset()) + 12, Float.NaN)
          .putShort((int) (file.dataStart() + file.tensor("blk.1.ffn_up.weight").orElseThrow().offset()) + 34 * 9, (short) 0x7c00);
    }
    Files.write(path, bytes);
    List<String> found = problems(path);
    assertThat(found).contains("tensor blk.2.attn_norm.weight has a weight of NaN in row 0, column 3");
    assertThat(found).hasSize(2).anyMatch(problem -> problem.matches("tensor blk\\.1\\.ffn_up\\.weight has a weight of -?(Infinity|NaN)"
        + " in row 1, column \\d+"));
  }

  @Test
  void tensorsAreHeldAgainstTheKeys() throws IOException {
    assertThat(changed("dimple.feed_forward_length", MetadataValue.uint32(544))).contains(
        "tensor blk.0.ffn_gate.weight has shape [256 x 512]; expected [256 x 544]");
    assertThat(changed("dimple.block_count", MetadataValue.uint32(5)))
        .contains("tensor blk.4.attn_q.bias is missing; expected shape [256]");
    assertThat(changed("dimple.block_count", MetadataValue.uint32(3)))
        .contains("tensor blk.3.attn_q.bias has no place in this architecture");
    assertThat(changed("clip.vision.projection_dim", MetadataValue.uint32(128)))
        .contains("tensor mm.2.weight has shape [512 x 256]; expected [512 x 128]");
  }

  @Test
  void keysAreChecked() throws IOException {
    assertThat(changed("general.architecture", MetadataValue.string("gpt2"))).anyMatch(problem -> problem.contains("is \"gpt2\""));
    assertThat(changed("dimple.embedding_length", null)).contains("key dimple.embedding_length is missing");
    assertThat(changed("dimple.embedding_length", MetadataValue.string("wide")))
        .contains("key dimple.embedding_length is string wide; expected an integer from 1 on");
    assertThat(changed("dimple.rope.freq_base", MetadataValue.float32(-1)))
        .contains("key dimple.rope.freq_base is float32 -1.0; expected a positive number");
    assertThat(changed("dimple.attention.head_count", MetadataValue.uint32(7))).anyMatch(problem -> problem.contains("do not divide"));
  }

  @Test
  void theTokenizerIsChecked() throws IOException {
    assertThat(changed("tokenizer.ggml.mask_token_id", MetadataValue.uint32(1024)))
        .containsExactly("key tokenizer.ggml.mask_token_id is 1024; the vocabulary ends at 1023");
    assertThat(changed("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1)))
        .containsExactly("key tokenizer.ggml.token_type has 2 elements for 1024 tokens");
    assertThat(changed("tokenizer.ggml.merges", MetadataValue.strings(List.of("a b", "<| x"))))
        .containsExactly("key tokenizer.ggml.merges: \"<| x\" does not make a token of two tokens");
  }

  @Test
  void progressReachesTheEnd() throws IOException {
    long[] last = new long[2];
    try (GgufFile file = GgufFile.open(path)) {
      Validator.of(file).progress((tensor, done, total) -> {
        last[0] = done;
        last[1] = total;
      }).problems();
    }
    assertThat(last[0]).isPositive().isEqualTo(last[1]);
  }

  private static List<String> problems(Path path) throws IOException {
    try (GgufFile file = GgufFile.open(path)) {
      return Validator.of(file).problems();
    }
  }

  /** What is wrong with the file once a key has another value, or with null none. */
  private List<String> changed(String key, MetadataValue value) throws IOException {
    Path copy = folder.resolve("changed.gguf");
    byte[] bytes = Files.readAllBytes(path);
    try (GgufFile file = GgufFile.open(path)) {
      Map<String, MetadataValue> metadata = new LinkedHashMap<>(file.metadata());
      metadata.remove("general.alignment");
      metadata.remove(key);
      if (value != null) {
        metadata.put(key, value);
      }
      List<GgufWriter.Plan> plans = new ArrayList<>();
      file.tensors().forEach(tensor -> plans.add(new GgufWriter.Plan(tensor.name(), tensor.type().orElseThrow(), tensor.dimensions())));
      try (GgufWriter writer = new GgufWriter(copy, metadata, plans, true)) {
        for (TensorInfo tensor : file.tensors()) {
          writer.write(ByteBuffer.wrap(bytes, (int) (file.dataStart() + tensor.offset()), (int) tensor.size()));
        }
        writer.commit();
      }
    }
    return problems(copy);
  }
}
