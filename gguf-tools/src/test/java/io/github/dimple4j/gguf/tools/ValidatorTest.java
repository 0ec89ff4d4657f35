package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.ProgressListener;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
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

  /** A text model of one layer with three experts. */
  private static SmallModel experts() {
    SmallModel model = new SmallModel();
    model.metadata.put("general.architecture", MetadataValue.string("llada-moe"));
    Map.of("context_length", 64, "embedding_length", 32, "block_count", 1, "feed_forward_length", 96, "vocab_size", 20,
        "attention.head_count", 4, "attention.head_count_kv", 2, "expert_count", 3, "expert_used_count", 2)
        .forEach((key, value) -> model.metadata.put("llada-moe." + key, MetadataValue.uint32(value)));
    model.add("token_embd.weight", 32, 20);
    model.add("output.weight", 32, 20);
    model.add("output_norm.weight", 32);
    Map.of("attn_norm", List.of(32), "attn_q", List.of(32, 32), "attn_k", List.of(32, 16), "attn_v", List.of(32, 16), "attn_output",
        List.of(32, 32), "attn_q_norm", List.of(8), "attn_k_norm", List.of(8), "ffn_norm", List.of(32), "ffn_gate_inp", List.of(32, 3))
        .forEach((name, shape) -> model.add("blk.0." + name + ".weight", shape.stream().mapToLong(Integer::longValue).toArray()));
    model.add("blk.0.ffn_gate_exps.weight", 32, 48, 3); // without a key of its own: 96 shared by the two that are used
    model.add("blk.0.ffn_up_exps.weight", 32, 48, 3);
    model.add("blk.0.ffn_down_exps.weight", 48, 32, 3);
    return model;
  }

  @Test
  void modelsWithExpertsAreHeldAgainstTheirKeys() throws IOException {
    SmallModel model = experts();
    assertThat(problems(model.write(path, TensorType.F16))).isEmpty();
    model.tensors.remove("blk.0.attn_q_norm.weight");
    model.metadata.put("llada-moe.expert_feed_forward_length", MetadataValue.uint32(96));
    assertThat(problems(model.write(path, TensorType.F16))).containsExactlyInAnyOrder(
        "tensor blk.0.attn_q_norm.weight is missing; expected shape [8]",
        "tensor blk.0.ffn_gate_exps.weight has shape [32 x 48 x 3]; expected [32 x 96 x 3]",
        "tensor blk.0.ffn_up_exps.weight has shape [32 x 48 x 3]; expected [32 x 96 x 3]",
        "tensor blk.0.ffn_down_exps.weight has shape [48 x 32 x 3]; expected [96 x 32 x 3]");
  }

  @Test
  void partsAreCheckedAsOneModel() throws IOException {
    SmallModel model = experts();
    List<String> names = List.copyOf(model.tensors.keySet());
    model.metadata.put("split.count", MetadataValue.uint32(2));
    for (int part = 0; part < 2; part++) {
      model.metadata.put("split.no", MetadataValue.uint32(part));
      model.write(folder.resolve("m-0000" + (part + 1) + "-of-00002.gguf"), TensorType.F32,
          part == 0 ? names.subList(0, 6) : names.subList(6, names.size()));
    }
    assertThat(problems(folder.resolve("m-00001-of-00002.gguf"))).isEmpty();
  }

  @Test
  void progressReachesTheEnd() throws IOException {
    long[] last = new long[2];
    Validator.check(path, (tensor, done, total) -> {
      last[0] = done;
      last[1] = total;
    });
    assertThat(last[0]).isPositive().isEqualTo(last[1]);
  }

  private static List<String> problems(Path path) throws IOException {
    return Validator.check(path, ProgressListener.NONE).problems();
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
