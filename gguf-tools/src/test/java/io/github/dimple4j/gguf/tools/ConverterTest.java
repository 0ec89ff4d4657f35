package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.Dimple;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Where weights go, what a file says beside them, and what the converter does to the folders that it is given. */
class ConverterTest extends ConverterFixture {
  /** Names that only need a new prefix; the others are split and have their own comparison. */
  private static final Map<String, String> RENAMED = Map.ofEntries(Map.entry("token_embd", "model.embed_tokens"),
      Map.entry("output_norm", "model.norm"), Map.entry("output", "lm_head"), Map.entry("v.post_ln", "visual.merger.ln_q"),
      Map.entry("mm.0", "visual.merger.mlp.0"), Map.entry("mm.2", "visual.merger.mlp.2"),
      Map.entry("mm.img_projector.0", "img_projector.linear_1"), Map.entry("mm.img_projector.2", "img_projector.linear_2"),
      Map.entry("blk.N.attn_norm", "model.layers.N.input_layernorm"), Map.entry("blk.N.attn_q", "model.layers.N.self_attn.q_proj"),
      Map.entry("blk.N.attn_k", "model.layers.N.self_attn.k_proj"), Map.entry("blk.N.attn_v", "model.layers.N.self_attn.v_proj"),
      Map.entry("blk.N.attn_output", "model.layers.N.self_attn.o_proj"),
      Map.entry("blk.N.ffn_norm", "model.layers.N.post_attention_layernorm"),
      Map.entry("blk.N.ffn_gate", "model.layers.N.mlp.gate_proj"), Map.entry("blk.N.ffn_up", "model.layers.N.mlp.up_proj"),
      Map.entry("blk.N.ffn_down", "model.layers.N.mlp.down_proj"), Map.entry("v.blk.N.ln1", "visual.blocks.N.norm1"),
      Map.entry("v.blk.N.ln2", "visual.blocks.N.norm2"), Map.entry("v.blk.N.attn_out", "visual.blocks.N.attn.proj"),
      Map.entry("v.blk.N.ffn_gate", "visual.blocks.N.mlp.gate_proj"), Map.entry("v.blk.N.ffn_up", "visual.blocks.N.mlp.up_proj"),
      Map.entry("v.blk.N.ffn_down", "visual.blocks.N.mlp.down_proj"));
  private static final Pattern NUMBER = Pattern.compile("(?<=blk\\.)\\d+");

  /** Relative to the largest weight of the tensor: a float16 has 11 significant bits, a bfloat16 8, a Q8_0 block 127 levels. */
  @ParameterizedTest
  @CsvSource({"alpha, f32, 0", "beta, f32, 0", "gamma, f32, 0", "gamma, f16, 5e-4", "beta, bf16, 0", "gamma, bf16, 4e-3",
      "gamma, q8_0, 4.5e-3", "beta, q4_0, 0.14"})
  void everyWeightArrivesAtItsPlace(String golden, String type, double tolerance) throws IOException {
    TestCheckpoint original = TestCheckpoint.golden(golden);
    Quantization asked = Quantization.of(type).orElseThrow();
    Converter.of(TestCheckpoint.GOLDENS.resolve(golden)).to(asked).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.tensors()).hasSize(original.tensors.size() + 1 + 4 * layers(original));
      for (TensorInfo tensor : file.tensors()) {
        float[] expected = expected(original, tensor.name());
        float[] actual = TensorRows.read(file, tensor, 0, (int) tensor.rows());
        assertThat(actual).as(tensor.name()).hasSameSizeAs(expected);
        float largest = 0;
        float difference = 0;
        for (int i = 0; i < actual.length; i++) {
          largest = Math.max(largest, Math.abs(expected[i]));
          difference = Math.max(difference, Math.abs(expected[i] - actual[i]));
        }
        double allowed = tensor.type().orElseThrow() == TensorType.F32 ? 0 : tolerance * largest;
        assertThat((double) difference).as(tensor.name() + " of type " + tensor.typeName()).isLessThanOrEqualTo(allowed);
      }
    }
  }

  private static int layers(TestCheckpoint original) {
    return original.config.path("vision_config").path("depth").intValue();
  }

  /** The weights that a tensor of the file must have, from the checkpoint. */
  private static float[] expected(TestCheckpoint original, String name) {
    if (name.startsWith("v.patch_embd.weight")) { // [out, 3, 2, 14, 14]: one of the two time steps
      TestCheckpoint.Tensor stacked = original.tensors.get("visual.patch_embed.proj.weight");
      int time = name.endsWith(".1") ? 1 : 0;
      float[] slice = new float[stacked.count() / 2];
      for (int i = 0; i < slice.length; i++) {
        slice[i] = stacked.get((2 * (i / 196) + time) * 196 + i % 196);
      }
      return slice;
    }
    Matcher number = NUMBER.matcher(name);
    String layer = number.find() ? number.group() : "";
    String suffix = name.substring(name.lastIndexOf('.'));
    String stem = number.replaceFirst("N").substring(0, number.replaceFirst("N").lastIndexOf('.'));
    int part = List.of("v.blk.N.attn_q", "v.blk.N.attn_k", "v.blk.N.attn_v").indexOf(stem);
    if (part >= 0) { // one third of the rows of the stacked projection
      float[] stacked = floats(original.tensors.get("visual.blocks." + layer + ".attn.qkv" + suffix));
      return Arrays.copyOfRange(stacked, part * stacked.length / 3, (part + 1) * stacked.length / 3);
    }
    return floats(original.tensors.get(RENAMED.get(stem).replace("N", layer) + suffix));
  }

  @Test
  void metadataFollowsTheConfiguration() throws IOException {
    WrittenFile written = Converter.of(TestCheckpoint.GOLDENS.resolve("beta")).to(Quantization.Q8_0).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      Map<String, MetadataValue> metadata = file.metadata();
      assertThat(metadata)
          .containsEntry("general.architecture", MetadataValue.string(new Dimple().name()))
          .containsEntry("general.file_type", MetadataValue.uint32(7))
          .containsEntry("general.quantization_version", MetadataValue.uint32(2))
          .containsEntry("dimple.vocab_size", MetadataValue.uint32(320))
          .containsEntry("dimple.attention.head_count_kv", MetadataValue.uint32(1))
          .containsEntry("dimple.attention.causal", MetadataValue.bool(false))
          .containsEntry("dimple.rope.dimension_count", MetadataValue.uint32(32))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(true))
          .containsEntry("clip.projector_type", MetadataValue.string("qwen2.5vl_merger"))
          .containsEntry("clip.vision.image_max_pixels", MetadataValue.uint32(11760))
          .containsEntry("tokenizer.ggml.mask_token_id",
              MetadataValue.uint32(TestCheckpoint.golden("beta").config.path("mask_token_id").intValue()))
          .doesNotContainKey("tokenizer.ggml.tokens");
      int[] sections = TestCheckpoint.golden("beta").config.path("mrope_section").valueStream().mapToInt(n -> n.intValue()).toArray();
      assertThat(metadata).containsEntry("dimple.rope.dimension_sections",
          MetadataValue.int32s(sections[0], sections[1], sections[2], 0));
      assertThat(file.fileSize()).isEqualTo(written.fileSize());
      assertThat(written.parameters()).isEqualTo(file.tensors().stream().mapToLong(TensorInfo::elements).sum());
    }
  }

  @Test
  void allEndsOfTheConfigurationsAreWritten() throws IOException {
    checkpoint.config.putArray("eos_token_id").add(7).add(5);
    Path source = checkpoint.write(folder.resolve("hf"));
    Files.writeString(source.resolve("generation_config.json"), "{\"eos_token_id\": [5, 9]}");
    Converter.of(source).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("tokenizer.ggml.eos_token_id", MetadataValue.uint32(7))
          .containsEntry("tokenizer.ggml.eos_token_ids", MetadataValue.int32s(7, 5, 9));
    }
    Files.delete(target);
    Files.writeString(source.resolve("generation_config.json"), "{\"eos_token_id\": 7}");
    checkpoint.config.put("eos_token_id", 7);
    Converter.of(checkpoint.write(source)).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("tokenizer.ggml.eos_token_id", MetadataValue.uint32(7))
          .doesNotContainKey("tokenizer.ggml.eos_token_ids");
    }
    Files.delete(target);
    Files.writeString(source.resolve("generation_config.json"), "{\"eos_token_id\": 320}");
    refuses(source, "generation_config.json: \"eos_token_id\" is 320; expected ids below the vocabulary's 300");
  }

  @Test
  void quantizedFilesKeepTheVisionTowerAtHalfPrecisionAndVectorsAtSingle() throws IOException {
    Converter.of(TestCheckpoint.GOLDENS.resolve("alpha")).to(Quantization.Q4_0).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      for (TensorInfo tensor : file.tensors()) {
        TensorType matrix = tensor.name().equals("output.weight") ? TensorType.Q8_0 : TensorType.Q4_0; // rows too short for q6_k
        TensorType expected = tensor.dimensions().size() == 1 ? TensorType.F32
            : tensor.name().startsWith("v.") || tensor.name().startsWith("mm.") ? TensorType.F16 : matrix;
        assertThat(tensor.type()).as(tensor.name()).contains(expected);
      }
    }
  }

  @Test
  void matricesWhoseRowsDoNotDivideTakeTheNextTypeAndAreNamed() throws IOException {
    WrittenFile written = Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.Q6_K).write(target);
    assertThat(written.fallbacks()).contains(new TypeFallback("token_embd.weight", TensorType.Q6_K, TensorType.Q8_0));
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.tensor("token_embd.weight").orElseThrow().type()).contains(TensorType.Q8_0);
    }
  }

  @Test
  void shardsGiveTheSameFileAsOne() throws IOException {
    Converter.of(checkpoint.write(folder.resolve("a/gamma"))).write(target);
    Path sharded = folder.resolve("sharded.gguf");
    Converter.of(checkpoint.writeShards(folder.resolve("b/gamma"), 3)).write(sharded);
    assertThat(sharded).hasSameBinaryContentAs(target);
  }

  @Test
  void tensorsThatFollowFromTheConfigurationAreLeftOutByName() throws IOException {
    checkpoint.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", f32(8));
    assertThat(convert().leftOut()).containsExactly("model.layers.0.self_attn.rotary_emb.inv_freq");
  }

  /** Buffers of integers are no weights: they are named, whatever they are called; but not where a weight is expected. */
  @Test
  void integersAreLeftOut() throws IOException {
    checkpoint.tensors.put("model.embeddings.position_ids", new TestCheckpoint.Tensor("I64", List.of(1L, 4L), new byte[32]));
    checkpoint.tensors.put("some.flag", new TestCheckpoint.Tensor("BOOL", List.of(), new byte[1]));
    assertThat(convert().leftOut()).contains("model.embeddings.position_ids", "some.flag");
    long width = checkpoint.config.path("hidden_size").intValue();
    checkpoint.tensors.put("model.norm.weight", new TestCheckpoint.Tensor("I32", List.of(width), new byte[4 * (int) width]));
    Files.delete(target);
    refuses(checkpoint.write(folder.resolve("integers")), "tensor model.norm.weight is of integers, I32");
  }

  @Test
  void aTiedOutputMatrixIsAbsentUnlessTheCheckpointHasOne() throws IOException {
    checkpoint.config.put("tie_word_embeddings", true);
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.tensor("output.weight")).isPresent();
    }
    Files.delete(target);
    checkpoint.tensors.remove("lm_head.weight");
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.tensor("output.weight")).isEmpty();
    }
    Files.delete(target);
    checkpoint.config.put("tie_word_embeddings", false);
    refuses("tensor lm_head.weight is missing");
  }

  @Test
  void doublePrecisionWeightsAreRounded() throws IOException {
    float[] norm = floats(checkpoint.tensors.get("model.norm.weight"));
    ByteBuffer doubles = ByteBuffer.allocate(8 * norm.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : norm) {
      doubles.putDouble(value);
    }
    checkpoint.tensors.put("model.norm.weight", new TestCheckpoint.Tensor("F64", List.of((long) norm.length), doubles.array()));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(TensorRows.read(file, file.tensor("output_norm.weight").orElseThrow(), 0, 1)).containsExactly(norm);
    }
  }

  @Test
  void modelsAtTheRootOfAFileSystemHaveAName() {
    assertThat(Converter.nameOf(Path.of("/models/mine"))).isEqualTo("mine");
    assertThat(Converter.nameOf(Path.of("/"))).isEqualTo("model");
  }

  /** However the way to the directory is spelled. */
  @Test
  void directoriesMayBeSpelledWithDots() throws IOException {
    checkpoint.write(folder.resolve("hf"));
    Files.createDirectory(folder.resolve("other"));
    Converter.of(folder.resolve("other/../hf/.")).write(target);
    Path shards = checkpoint.writeShards(folder.resolve("shards"), 3);
    Converter.of(folder.resolve("./other/../shards")).overwrite(true).write(target);
    Files.delete(shards.resolve("model.safetensors.index.json"));
  }

  @Test
  void existingOutputIsKept() throws IOException {
    Files.writeString(target, "mine");
    Path source = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(source).write(target)).isInstanceOf(GgufException.class).hasMessageContaining("exists already");
    assertThatThrownBy(() -> Converter.of(source).write(Path.of("-"))).isInstanceOf(GgufException.class).hasMessageContaining("cannot go to standard output");
    assertThat(target).hasContent("mine");
    Converter.of(source).overwrite(true).write(target);
    assertThat(GgufFile.open(target).tensors()).isNotEmpty();
  }

  @Test
  void unwritableTargetsAreRefusedBeforeTheWork() throws IOException {
    Path source = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(source).write(folder)).hasMessageContaining("is a directory");
    assertThatThrownBy(() -> Converter.of(source).write(folder.resolve("no/out.gguf"))).hasMessageContaining("there is no directory");
  }
}
