package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.GgufWriter;
import io.github.dimple4j.gguf.MetadataType;
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
  private List<String> notes; // of the file checked last

  @BeforeEach
  void synthesize() throws IOException {
    path = folder.resolve("x.gguf");
    Synth.of("dimple-mini").type(TensorType.Q8_0).write(path);
  }

  @Test
  void soundFilesHaveNoProblems() throws IOException {
    assertThat(problems(path)).isEmpty();
    assertThat(notes).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"alpha", "beta", "gamma"})
  void convertedFilesHaveNoProblems(String golden) throws IOException {
    Path converted = folder.resolve("y.gguf");
    Converter.of(TestCheckpoint.GOLDENS.resolve(golden)).write(converted);
    assertThat(problems(converted)).isEmpty();
    assertThat(notes).isEmpty();
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

  /** The core's words, which are those of loading; the table of {@code ValidationTest} in the module tests has more. */
  @Test
  void keysAndTensorsAreThoseOfTheArchitecture() throws IOException {
    assertThat(changed("dimple.feed_forward_length", MetadataValue.uint32(544))).anyMatch(problem -> problem.contains("blk.0.ffn_gate.weight"));
    assertThat(changed("dimple.block_count", MetadataValue.uint32(5))).anyMatch(problem -> problem.contains("blk.4.attn_q.bias"));
    assertThat(changed("clip.vision.projection_dim", MetadataValue.uint32(128))).anyMatch(problem -> problem.contains("mm.2.weight"));
    assertThat(changed("general.architecture", MetadataValue.string("gpt2"))).anyMatch(problem -> problem.contains("is \"gpt2\""));
    assertThat(changed("dimple.embedding_length", null)).anyMatch(problem -> problem.contains("dimple.embedding_length\" is missing"));
  }

  @Test
  void whatMeansNothingIsNoted() throws IOException {
    assertThat(changed("dimple.block_count", MetadataValue.uint32(3))).singleElement().asString()
        .contains("tensor blk.3.attn_norm.weight is unknown").contains("11 more");
    assertThat(notes).contains("tensor blk.3.attn_q.bias is not used").hasSize(12);
    assertThat(changed("dimple.attention.sliding_window", MetadataValue.uint32(64))).singleElement().asString()
        .contains("key dimple.attention.sliding_window is unknown");
    assertThat(notes).containsExactly("key dimple.attention.sliding_window is unknown: what it asks for is not done");
  }

  /** A vision tower without a text model is sound in itself. */
  @Test
  void towersInAFileOfTheirOwnAreChecked() throws IOException {
    SmallModel tower = new SmallModel();
    try (GgufFile file = GgufFile.open(path)) {
      file.metadata().forEach((key, value) -> {
        if (key.startsWith("clip.")) {
          tower.metadata.put(key, value);
        }
      });
      tower.metadata.put("general.architecture", MetadataValue.string("clip"));
      file.tensors().stream().filter(tensor -> tensor.name().matches("(v|mm\\.[02])\\..*"))
          .forEach(tensor -> tower.add(tensor.name(), tensor.dimensions().stream().mapToLong(Long::longValue).toArray()));
    }
    Path alone = folder.resolve("tower.gguf");
    assertThat(problems(tower.write(alone, TensorType.F16))).isEmpty();
    assertThat(notes).isEmpty();
    tower.tensors.remove("v.post_ln.weight");
    assertThat(problems(tower.write(alone, TensorType.F16))).singleElement().asString().contains("v.post_ln.weight");
  }

  @Test
  void theTokenizerIsChecked() throws IOException {
    assertThat(changed("tokenizer.ggml.mask_token_id", MetadataValue.uint32(1024)))
        .singleElement().asString().contains("mask token's id is 1024");
    assertThat(changed("dimple.video_token_id", MetadataValue.uint32(1024)))
        .containsExactly("key dimple.video_token_id is 1024; the vocabulary ends at 1023");
    assertThat(changed("tokenizer.ggml.eos_token_ids", MetadataValue.int32s(3, 1024)))
        .containsExactly("key tokenizer.ggml.eos_token_ids lists 1024; the vocabulary ends at 1023");
    List<Object> types;
    try (GgufFile file = GgufFile.open(path)) {
      types = List.copyOf(file.metadata().get("tokenizer.ggml.token_type").elements());
    }
    assertThat(changed("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.UINT32, types))).isEmpty(); // as loading has it
    assertThat(changed("tokenizer.ggml.token_type", MetadataValue.array(MetadataType.INT64, types))).isNotEmpty();
    assertThat(changed("tokenizer.ggml.token_type", MetadataValue.int32s(1, 1)))
        .containsExactly("key tokenizer.ggml.token_type has 2 elements for 1024 tokens");
    assertThat(changed("tokenizer.ggml.merges", MetadataValue.strings(List.of("a b", "<| x"))))
        .containsExactly("key tokenizer.ggml.merges: \"<| x\" does not make a token of two tokens");
    assertThat(changed("tokenizer.ggml.pre", MetadataValue.string("nobody's"))).singleElement().asString().contains("unknown pre-tokenizer");
    assertThat(changed("tokenizer.ggml.add_bos_token", MetadataValue.string("yes")))
        .containsExactly("tokenizer.ggml.add_bos_token is yes; expected a boolean");
    assertThat(changed("tokenizer.chat_template", MetadataValue.string("{% if %}"))).singleElement().asString().contains("chat template, line 1");
  }

  /** A text model of one layer with three experts. */
  private static SmallModel experts() {
    SmallModel model = new SmallModel();
    model.metadata.put("general.architecture", MetadataValue.string("llada-moe"));
    Map.of("context_length", 64, "embedding_length", 32, "block_count", 1, "feed_forward_length", 96, "vocab_size", 20,
        "attention.head_count", 4, "attention.head_count_kv", 2, "expert_count", 3, "expert_used_count", 2)
        .forEach((key, value) -> model.metadata.put("llada-moe." + key, MetadataValue.uint32(value)));
    model.metadata.put("llada-moe.attention.layer_norm_rms_epsilon", MetadataValue.float32(1e-6));
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
    List<String> found = problems(model.write(path, TensorType.F16));
    assertThat(found).hasSize(4);
    for (String name : List.of("attn_q_norm", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")) {
      assertThat(found).anyMatch(problem -> problem.contains("blk.0." + name + ".weight"));
    }
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

  private List<String> problems(Path path) throws IOException {
    Validator.Result result = Validator.check(path, ProgressListener.NONE);
    notes = result.notes();
    return result.problems();
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
