package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.TensorType;
import io.github.dimple4j.gguf.architecture.Architectures;
import io.github.dimple4j.gguf.architecture.Dimple;
import io.github.dimple4j.gguf.architecture.Dream;
import io.github.dimple4j.gguf.architecture.Llada;
import io.github.dimple4j.gguf.architecture.LladaMoe;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.core.ModelCheck;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

class ConverterTest {
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

  private static final int EXPERTS = 4;

  @TempDir private Path folder;
  private Path target;
  private TestCheckpoint checkpoint;

  @BeforeEach
  void loadCheckpoint() throws IOException {
    target = folder.resolve("out.gguf");
    checkpoint = TestCheckpoint.golden("gamma");
  }

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

  private static float[] floats(TestCheckpoint.Tensor tensor) {
    float[] floats = new float[tensor.count()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = tensor.get(i);
    }
    return floats;
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
  void periodIsWrittenOnlyWhenItSaysTheFullAttentionLayers() throws IOException {
    ObjectNode vision = (ObjectNode) checkpoint.config.path("vision_config");
    int depth = vision.path("depth").intValue();
    vision.putArray("fullatt_block_indexes").add(0).add(depth - 1);
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).doesNotContainKey("clip.vision.n_wa_pattern")
          .containsEntry("clip.vision.fullatt_block_indexes", MetadataValue.int32s(0, depth - 1));
    }
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
  void textModelsOfDreamConvert() throws IOException {
    makeDream();
    WrittenFile written = convert();
    assertThat(written.architecture()).isEqualTo(new Dream().name());
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsKey("dream.block_count").doesNotContainKey("clip.has_vision_encoder");
      assertThat(file.tensors()).extracting(TensorInfo::name).noneMatch(name -> name.startsWith("v.") || name.startsWith("mm."));
    }
  }

  /** Models of Dream's architecture, such as DiffuCoder, with more of Qwen2's keys and without Dream's own. */
  @Test
  void furtherKeysOfQwen2DoNotMatter() throws IOException {
    makeDream();
    checkpoint.config.remove(List.of("full_attn_mask", "mrope_section", "image_token_id", "video_token_id"));
    checkpoint.config.put("max_window_layers", 28).put("use_cache", true).put("use_mrope", false).put("attention_dropout", 0.0)
        .putNull("sliding_window").putNull("rope_scaling").putArray("architectures").add("DreamModel");
    assertThat(convert().architecture()).isEqualTo(new Dream().name());
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("dream.attention.causal", MetadataValue.bool(false))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(true)).doesNotContainKey("dream.rope.dimension_sections");
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

  /** A configuration's rotary scaling in llama.cpp's keys, which load; the magnitude is what is left beside 1 + log(factor) / 10. */
  @Test
  void rotaryScalingIsWritten() throws IOException {
    makeDream();
    assertThat(scalingKeys("rope_scaling", "{\"type\": \"linear\", \"factor\": 2}")).isEqualTo(Map.of(
        "type", MetadataValue.string("linear"), "factor", MetadataValue.float32(2)));
    assertThat(scalingKeys("rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 100.0}")).isEmpty();
    Map<String, MetadataValue> yarn = Map.of("type", MetadataValue.string("yarn"), "factor", MetadataValue.float32(4),
        "original_context_length", MetadataValue.uint32(64));
    assertThat(scalingKeys("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 64}")).isEqualTo(yarn);
    Map<String, MetadataValue> all = scalingKeys("rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 100.0, \"factor\": 4.0,"
        + " \"original_max_position_embeddings\": 64, \"attention_factor\": 1.5, \"beta_fast\": 16, \"beta_slow\": 2, \"truncate\": false}");
    assertThat(all).containsAllEntriesOf(yarn).containsEntry("yarn_beta_fast", MetadataValue.float32(16))
        .containsEntry("yarn_beta_slow", MetadataValue.float32(2)).containsEntry("yarn_truncate", MetadataValue.bool(false)).hasSize(7);
    assertThat(((Number) all.get("attn_factor").value()).doubleValue()).isCloseTo(1.5 / (1 + 0.1 * Math.log(4)), within(1e-6));
    Map<String, MetadataValue> scaled = scalingKeys("rope_scaling", "{\"type\": \"yarn\", \"factor\": 4.0, \"mscale\": 1.0, \"mscale_all_dim\": 0.5}");
    assertThat(((Number) scaled.get("attn_factor").value()).doubleValue()).isCloseTo(1 / (1 + 0.05 * Math.log(4)), within(1e-6));
    assertThat(scaled).containsEntry("original_context_length", MetadataValue.uint32(checkpoint.config.path("max_position_embeddings").intValue()));
  }

  private Map<String, MetadataValue> scalingKeys(String key, String json) throws IOException {
    checkpoint.config.remove(List.of("rope_scaling", "rope_parameters"));
    if (json.contains("rope_theta")) {
      checkpoint.config.put("rope_theta", 100.0);
    }
    checkpoint.config.set(key, TestCheckpoint.JSON.readTree(json));
    Files.deleteIfExists(target);
    convert();
    assertThat(ModelCheck.of(target, false)).isEmpty();
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    try (GgufFile file = GgufFile.open(target)) {
      String prefix = file.metadata().get("general.architecture").value() + ".rope.scaling.";
      file.metadata().forEach((name, value) -> {
        if (name.startsWith(prefix)) {
          keys.put(name.substring(prefix.length()), value);
        }
      });
    }
    return keys;
  }

  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "{\"rope_type\": \"dynamic\", \"factor\": 2.0} | \"rope_scaling.rope_type\" is \"dynamic\"; expected \"default\", \"mrope\", \"linear\" or \"yarn\"",
      "{\"type\": \"longrope\", \"short_factor\": [1]} | \"rope_scaling.type\" is \"longrope\"",
      "{\"rope_type\": \"llama3\", \"factor\": 8} | \"rope_scaling.rope_type\" is \"llama3\"",
      "{\"type\": \"linear\"} | \"rope_scaling.factor\" is missing",
      "{\"type\": \"linear\", \"factor\": -2} | \"rope_scaling.factor\" is -2",
      "{\"type\": \"yarn\", \"factor\": 2, \"partial_rotary_factor\": 0.5} | \"rope_scaling.partial_rotary_factor\" is 0.5; expected 1",
      "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5} | \"rope_scaling.partial_rotary_factor\" is 0.5; expected 1",
      "{\"rope_type\": \"default\", \"rope_theta\": 7} | \"rope_scaling.rope_theta\" is 7; expected",
      "{\"rope_type\": \"default\", \"low_freq_factor\": 1} | \"rope_scaling.low_freq_factor\" is 1; expected no such setting"})
  void otherRotaryScalingIsRefused(String json, String message) throws IOException {
    checkpoint.config.set("rope_scaling", TestCheckpoint.JSON.readTree(json));
    refuses(checkpoint.write(folder.resolve("hf")), message);
    makeLlada(); // which has no such key in its released configuration
    checkpoint.config.set("rope_scaling", TestCheckpoint.JSON.readTree(json));
    refuses(checkpoint.write(folder.resolve("hf")), message);
  }

  /** The frequency's base stands beside the kind of rotary embedding, or without it; there is none that all families take by default. */
  @Test
  void baseOfFrequenciesIsFound() throws IOException {
    makeDream();
    checkpoint.config.remove("rope_theta");
    refuses(checkpoint.write(folder.resolve("hf")), "\"rope_theta\" is missing; expected a positive number");
    checkBases();
    makeLlada();
    checkBases();
  }

  private void checkBases() throws IOException {
    for (String parameters : List.of("{\"rope_type\": \"default\", \"rope_theta\": 100.0}", "{\"rope_type\": \"default\"}", "null", "false")) {
      checkpoint.config.put("rope_theta", parameters.contains("100") ? 100.0 : 5000.0).set("rope_parameters", TestCheckpoint.JSON.readTree(parameters));
      Files.deleteIfExists(target);
      convert();
      try (GgufFile file = GgufFile.open(target)) {
        assertThat(file.metadata()).containsEntry(file.metadata().get("general.architecture").value() + ".rope.freq_base",
            MetadataValue.float32(parameters.contains("100") ? 100 : 5000));
      }
    }
  }

  /** Where two places say two things, the authors' codes and the versions of the transformers library take one or the other. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "{\"rope_theta\": 7, \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 8}} | \"rope_theta\" is 7; expected that of rope_parameters, 8.0",
      "{\"rope_scaling\": {\"rope_type\": \"yarn\", \"type\": \"linear\", \"factor\": 2}} | \"rope_scaling.type\" is \"linear\"; expected that of rope_type",
      "{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}, \"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 3}} | \"rope_parameters\" is {",
      "{\"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [1, 2, 5]}} | \"rope_scaling.mrope_section\" is [1,2,5]; expected that beside it, [2, 3, 3]"})
  void settingsThatContradictEachOtherAreRefused(String json, String message) throws IOException {
    checkpoint.config.setAll((ObjectNode) TestCheckpoint.JSON.readTree(json));
    refuses(message);
  }

  /** The sections of a rotary embedding may stand with its kind alone, as Qwen2-VL's do. */
  @Test
  void sectionsStandWithTheKind() throws IOException {
    checkpoint.config.remove("mrope_section");
    checkpoint.config.putObject("rope_scaling").put("type", "mrope").put("rope_type", "default").putArray("mrope_section").add(1).add(2).add(5);
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("dimple.rope.dimension_sections", MetadataValue.int32s(1, 2, 5, 0));
    }
  }

  /** A setting that nobody here knows may be all that tells one model from another, as DreamReasoner's block_size does, which is Dream's otherwise. */
  @ParameterizedTest
  @CsvSource({"gamma, config.json, block_size", "gamma, config.json, vision_config.deepstack", "sdar-vl, config.json, text_config.layer_types",
      "gamma, preprocessor_config.json, sharpening", "sdar-vl, preprocessor_config.json, tiling", "llada-plain, config.json, qk_norm_type",
      "sdar, config.json, use_regular_causal", "diffusion-gemma, config.json, text_config.router_scale"})
  void unknownSettingsAreRefused(String golden, String name, String path) throws IOException {
    checkpoint = TestCheckpoint.golden(golden);
    Path hf = checkpoint.write(folder.resolve("hf"));
    ObjectNode root = name.equals("config.json") ? checkpoint.config
        : (ObjectNode) TestCheckpoint.JSON.readTree(Files.readAllBytes(TestCheckpoint.GOLDENS.resolve(golden).resolve(name)));
    Files.write(hf.resolve(name), TestCheckpoint.JSON.writeValueAsBytes(root));
    Converter.of(hf).write(target);
    Files.delete(target);
    int dot = path.indexOf('.');
    (dot < 0 ? root : (ObjectNode) root.get(path.substring(0, dot))).putArray(path.substring(dot + 1)).add("sliding_attention");
    Files.write(hf.resolve(name), TestCheckpoint.JSON.writeValueAsBytes(root));
    refuses(hf, name + ": \"" + path + "\": not known here");
    assertThat(Converter.of(hf).ignoreUnknown(true).write(target).unread()).containsExactly(hf.resolve(name) + ": " + path);
  }

  /** How pictures are prepared is the same for all towers but SigLIP's, which has a test of its own. */
  @ParameterizedTest
  @CsvSource({"resample, 2", "rescale_factor, 0.5", "do_resize, false", "do_rescale, false", "do_normalize, false", "do_convert_rgb, false",
      "do_center_crop, true"})
  void otherPreparationsAreRefused(String key, String value) throws IOException {
    for (String golden : List.of("gamma", "dream-vl")) {
      checkpoint = TestCheckpoint.golden(golden);
      Path hf = checkpoint.write(folder.resolve("hf"));
      Files.writeString(hf.resolve("preprocessor_config.json"), "{\"" + key + "\": " + value + "}");
      refuses(hf, "preprocessor_config.json: \"" + key + "\" is " + value);
    }
  }

  /** As checkpoints of Qwen2-VL's kind have been saved by several versions of the transformers library. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"{\"max_pixels\": 12544}", "{\"size\": {\"max_pixels\": 12544, \"min_pixels\": 3136}}", "{\"size\": {\"longest_edge\": 12544}}",
      "{\"max_pixels\": 12544, \"size\": {\"max_pixels\": 1, \"min_pixels\": 3136}}"})
  void areasOfPicturesStandInSeveralPlaces(String json) throws IOException {
    Path hf = checkpoint.write(folder.resolve("hf"));
    Files.writeString(hf.resolve("preprocessor_config.json"), json);
    Converter.of(hf).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("clip.vision.image_max_pixels", MetadataValue.uint32(12544))
          .containsEntry("clip.vision.image_min_pixels", MetadataValue.uint32(3136));
    }
  }

  @Test
  void modelsAtTheRootOfAFileSystemHaveAName() {
    assertThat(Converter.nameOf(Path.of("/models/mine"))).isEqualTo("mine");
    assertThat(Converter.nameOf(Path.of("/"))).isEqualTo("model");
  }

  /** How the authors decode is the caller's to say, but the mask, which is the model's. */
  @Test
  void settingsOfADecodingAreNamed() throws IOException {
    makeDream();
    Path hf = checkpoint.write(folder.resolve("hf"));
    String generation = "{\"_from_model_config\": true, \"bos_token_id\": 1, \"temperature\": 0.2, \"alg\": \"entropy\", \"mask_token_id\": %d}";
    int mask = checkpoint.config.path("mask_token_id").intValue();
    Files.writeString(hf.resolve("generation_config.json"), generation.formatted(mask));
    assertThat(Converter.of(hf).write(target).unread()).containsExactly(hf.resolve("generation_config.json") + ": temperature",
        hf.resolve("generation_config.json") + ": alg");
    Files.delete(target);
    Files.writeString(hf.resolve("generation_config.json"), generation.formatted(mask + 1));
    refuses(hf, "generation_config.json: \"mask_token_id\" is " + (mask + 1) + "; expected the model's mask token, " + mask);
    Files.delete(hf.resolve("generation_config.json"));
    Files.writeString(hf.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}, "
        + "\"added_tokens\": [{\"id\": 2, \"content\": \"<m>\", \"special\": true}]}");
    Files.writeString(hf.resolve("tokenizer_config.json"), "{\"mask_token\": \"<m>\"}");
    refuses(hf, "its tokenizer's mask_token is \"<m>\" with id 2; expected the model's mask token, " + mask);
  }

  /** What is none of a setting's values, in families that no other test damages. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {
      "llada2/v20 | norm_head | true", "llada2/v20 | rotary_dim | 3", "llada2/v20 | rms_norm_eps | null", "llada2/v20 | partial_rotary_factor | null",
      "llada-plain | multi_query_attention | true", "llada-plain | layer_norm_with_affine | false", "rnd1 | is_causal | true", "sdar | layer_types | [\"sliding_attention\"]",
      "diffusion-gemma | use_bidirectional_attention | \"all\"", "llada2/v20 | num_shared_experts | true", "llada2/v20 | num_shared_experts | 1.5", "llada2/v20 | num_shared_experts | 2147483647",
      "llada2/v20 | first_k_dense_replace | []", "llada2/v20 | num_nextn_predict_layers | \"0\"", "llada2/v20 | num_nextn_predict_layers | 1",
      "sdar-moe | mlp_only_layers | true", "sdar-moe | mlp_only_layers | [1]", "sdar-moe | partial_rotary_factor | 0.5", "rnd1 | rope_theta | null",
      "diffusion-gemma | layer_types | [[1]]",
      "llada22/v22 | expert_capacity | 1", "llada22/v22 | expert_capacity | 13", "llada22/v22 | expert_capacity | null", "llada22/v22 | block_size | 6",
      "llada22/v22 | block_size | 512", "llada22/v22 | delete_token_id | 64", "llada22/v22 | delete_token_id | null", "llada22/v22 | split_token_id | 61",
      "llada22/v22 | rope_theta | null", "llada22/v22 | using_split_qkv_in_self_attention | true", "llada22/v22 | insert_token_id | 3",
      "diffusion-gemma | rope_parameters.full_attention | {}",
      "diffusion-gemma | rope_parameters.full_attention.partial_rotary_factor | 2",
      "diffusion-gemma | rope_parameters.sliding_attention.partial_rotary_factor | 0.5",
      "diffusion-gemma | rope_parameters.sliding_attention.type | \"yarn\""})
  void otherSettingsAreRefused(String golden, String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden(golden);
    ObjectNode at = checkpoint.config.has("text_config") ? (ObjectNode) checkpoint.config.get("text_config") : checkpoint.config;
    String[] names = path.split("\\.");
    for (int i = 0; i + 1 < names.length; i++) {
      at = (ObjectNode) at.get(names[i]);
    }
    at.set(names[names.length - 1], TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), names[names.length - 1].equals("full_attention") ? "rope_type\" is missing" : names[names.length - 1]);
  }

  /** What tiles, tower or projector of SDAR-VL are not. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"vision_feature_layer | [-1, -2]", "vision_feature_layer | -4", "vision_feature_layer | 0", "vision_aspect_ratio | \"pad\"",
      "vision_aspect_ratio | \"anyres_max_0\"", "vision_feature_select_strategy | \"default\"", "projector_hidden_act | \"relu\"", "image_grid_pinpoints | [[14, 15]]",
      "image_grid_pinpoints | []", "image_grid_pinpoints | [14]", "image_grid_pinpoints | [[14, 14], [14]]", "image_grid_pinpoints | [[14, \"14\"]]",
      "tie_word_embeddings | true", "use_image_newline_parameter | false", "multimodal_projector_bias | false", "vision_config.hidden_act | \"gelu\"",
      "vision_config.num_attention_heads | 5", "vision_config.vision_use_head | true", "vision_config.model_type | \"clip_vision_model\"",
      "text_config.model_type | \"qwen3\"", "text_config.attention_bias | true"})
  void settingsOfTiledTowersAreRefused(String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    String[] names = path.split("\\.");
    ObjectNode at = names.length == 1 ? checkpoint.config : (ObjectNode) checkpoint.config.get(names[0]);
    at.set(names[names.length - 1], TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
  }

  /** What tiles, tower, projector or tokens of LLaDA-V are not. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"mm_projector_type | \"linear\"", "mm_projector_type | null", "mm_patch_merge_type | \"flat\"", "mm_patch_merge_type | null",
      "image_aspect_ratio | \"anyres\"", "image_aspect_ratio | \"square\"", "image_aspect_ratio | null", "mm_use_im_start_end | true",
      "mm_use_im_patch_token | true", "mm_vision_tower | \"openai/clip-vit-large-patch14-336\"", "mm_hidden_size | 25", "mm_vision_select_layer | -1",
      "mm_vision_select_layer | [-2]", "image_grid_pinpoints | \"(1x1),(6x6)\"", "image_grid_pinpoints | \"(2x1),...,(1x6)\"", "image_grid_pinpoints | null",
      "image_grid_pinpoints | [[14, 15]]", "vision_config.num_hidden_layers | 1", "vision_config.hidden_act | \"gelu\"", "attention_bias | true",
      "hidden_act | \"gelu\"", "architectures | [\"LlavaLlamaForCausalLM\"]",
      "image_token_index | 160", "image_token_index | null", "eot_token_id | 160", "eot_token_id | null"})
  void settingsOfPlainTilesAreRefused(String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden("llada-v");
    String[] names = path.split("\\.");
    ObjectNode at = names.length == 1 ? checkpoint.config : (ObjectNode) checkpoint.config.get(names[0]);
    at.set(names[names.length - 1], TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
  }

  /** What LaViDa's authors' code has beside what they trained with, or nothing says. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"mm_spatial_pool_mode | \"average\"", "mm_spatial_pool_mode | \"max\"", "mm_spatial_pool_mode | null",
      "image_aspect_ratio | \"anyres_max_4\"", "image_aspect_ratio | \"pad\"", "mm_patch_merge_type | \"flat\"", "mm_projector_type | \"pooler\"",
      "mm_vision_select_layer | -1", "image_grid_pinpoints | null", "rope | false", "block_type | \"sequential\"", "image_token_index | 160",
      "eot_token_id | null"})
  void settingsOfPooledTilesAreRefused(String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden("lavida");
    checkpoint.config.set(path, TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
  }

  @Test
  void pooledTilesAreOfTheNetworkOfPlainOnes() throws IOException {
    checkpoint = TestCheckpoint.golden("lavida");
    checkpoint.write(folder.resolve("hf"));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("clip.vision.mm_spatial_pool_mode", MetadataValue.string("bilinear"))
          .containsEntry("clip.vision.image_aspect_ratio", MetadataValue.string("anyres"))
          .containsEntry("clip.vision.image_grid_pinpoints", MetadataValue.int32s(28, 14, 14, 28, 28, 28, 14, 42, 42, 14))
          .containsEntry("diffusion.pipeline", MetadataValue.string("lavida")).containsEntry("diffusion.block_length", MetadataValue.uint32(128));
      assertThat(file.tensor("v.blk.1.ln1.bias")).isPresent();
      assertThat(file.tensor("v.blk.2.ln1.bias")).isEmpty();
    }
  }

  /** The same on Dream. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"mm_spatial_pool_mode | null", "image_aspect_ratio | \"pad\"", "image_token_index | 160", "image_token_index | null",
      "architectures | [\"LlavaQwenForCausalLM\"]", "use_sliding_window | true", "hidden_act | \"gelu\""})
  void settingsOfPooledTilesOnDreamAreRefused(String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden("lavida-dream");
    checkpoint.config.set(path, TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
  }

  @Test
  void pooledTilesOnDreamHaveItsBody() throws IOException {
    checkpoint = TestCheckpoint.golden("lavida-dream");
    checkpoint.write(folder.resolve("hf"));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("clip.vision.mm_spatial_pool_mode", MetadataValue.string("bilinear"))
          .containsEntry("diffusion.pipeline", MetadataValue.string("lavida-dream"))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(true)).containsEntry("lavida-dream.image_token_id", MetadataValue.uint32(159))
          .doesNotContainKey("diffusion.block_length");
      assertThat(file.tensor("blk.1.attn_q.bias")).isPresent();
      assertThat(file.tensor("v.blk.2.ln1.bias")).isEmpty();
    }
  }

  /** LLaVA's pairs are widths and heights, in the order in which its code tries them; the file has heights first. */
  @Test
  void plainTilesKeepTheirOrder() throws IOException {
    checkpoint = TestCheckpoint.golden("llada-v");
    checkpoint.config.put("image_grid_pinpoints", "(1x1),...,(2x3)");
    checkpoint.write(folder.resolve("hf"));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("clip.vision.image_grid_pinpoints", MetadataValue.int32s(14, 14, 28, 14, 42, 14, 14, 28, 28, 28, 42, 28))
          .containsEntry("clip.vision.anyres_rules", MetadataValue.string("llava")).containsEntry("clip.vision.block_count", MetadataValue.uint32(2))
          .containsEntry("diffusion.pipeline", MetadataValue.string("llada-v")).containsEntry("diffusion.block_length", MetadataValue.uint32(128));
      assertThat(file.tensor("v.blk.1.ln1.bias")).isPresent();
      assertThat(file.tensor("v.blk.2.ln1.bias")).isEmpty();
      assertThat(file.tensor("v.post_ln.weight")).isEmpty();
    }
  }

  /** A picture has no token of its own: the first row that no token has is it, if the tokenizer leaves it free. */
  @Test
  void aPictureTakesAFreeRow() throws IOException {
    checkpoint = TestCheckpoint.golden("llada-v");
    Path hf = checkpoint.write(folder.resolve("hf"));
    String tokenizer = "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}, \"added_tokens\": [{\"id\": %d, \"content\": \"%s\", "
        + "\"special\": true}]}";
    Files.writeString(hf.resolve("tokenizer.json"), tokenizer.formatted(2, "<|eot_id|>"));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata().get("tokenizer.ggml.tokens").elements().get(159)).hasToString("<image>");
      assertThat(file.metadata().get("tokenizer.ggml.token_type").elements().get(159)).hasToString("3");
    }
    Files.delete(target);
    Files.writeString(hf.resolve("tokenizer.json"), tokenizer.formatted(159, "<|eot_id|>"));
    refuses(hf, "the token \"<|eot_id|>\" with id 159");
    Files.writeString(hf.resolve("tokenizer.json"), tokenizer.formatted(2, "<image>"));
    refuses(hf, "a token \"<image>\" of its own");
  }

  /** The authors' own configuration names a beginning of text that is no token: it is the tokenizer's. */
  @Test
  void theBeginningOfATextIsTheTokenizers() throws IOException {
    checkpoint = TestCheckpoint.golden("llada-v");
    checkpoint.config.put("bos_token_id", 128000);
    Path hf = checkpoint.write(folder.resolve("hf"));
    Files.writeString(hf.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}, "
        + "\"added_tokens\": [{\"id\": 2, \"content\": \"<|startoftext|>\", \"special\": true}]}");
    Files.writeString(hf.resolve("tokenizer_config.json"), "{\"bos_token\": \"<|startoftext|>\"}");
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("tokenizer.ggml.bos_token_id", MetadataValue.uint32(2));
    }
    Files.delete(target);
    checkpoint.config.put("bos_token_id", 128001);
    refuses("\"bos_token_id\" is 128001");
  }

  /** The features may be those of an earlier layer; the ones behind it, and the norm, are left out. */
  @ParameterizedTest
  @CsvSource({"-1, 3", "-2, 2", "1, 1"})
  void layersBehindTheFeaturesAreLeftOut(int layer, int running) throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    checkpoint.config.put("vision_feature_layer", layer);
    checkpoint.write(folder.resolve("hf"));
    convert();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("clip.vision.block_count", MetadataValue.uint32(running)).containsEntry("diffusion.tail_repeats", MetadataValue.uint32(20));
      assertThat(file.tensor("v.blk." + (running - 1) + ".ln1.bias")).isPresent();
      assertThat(file.tensor("v.blk." + running + ".ln1.bias")).isEmpty();
      assertThat(file.tensor("v.post_ln.weight")).isEmpty();
    }
  }

  /** Both halves of DiffusionGemma share their weights: a checkpoint may have them twice, if they are the same. */
  @ParameterizedTest
  @CsvSource({"model.encoder.language_model.layers.0.self_attn.q_proj.weight, model.decoder.layers.0.self_attn.q_proj.weight",
      "model.encoder.language_model.norm.weight, model.decoder.norm.weight", "lm_head.weight, model.decoder.embed_tokens.weight"})
  void whatIsSharedIsTheSameTwice(String twin, String read) throws IOException {
    checkpoint = TestCheckpoint.golden("diffusion-gemma");
    Converter.of(checkpoint.write(folder.resolve("once"))).write(folder.resolve("once.gguf"));
    TestCheckpoint.Tensor tensor = checkpoint.tensors.get(read);
    checkpoint.tensors.put(twin, tensor);
    Path twice = checkpoint.write(folder.resolve("once"));
    assertThat(Converter.of(twice).write(target).leftOut()).contains(twin);
    assertThat(target).hasSameBinaryContentAs(folder.resolve("once.gguf"));
    Files.delete(target);
    Files.delete(folder.resolve("once.gguf"));
    byte[] other = tensor.data().clone();
    other[other.length - 2] ^= 1;
    checkpoint.tensors.put(twin, new TestCheckpoint.Tensor(tensor.type(), tensor.shape(), other));
    refuses(checkpoint.write(folder.resolve("hf")), "tensor " + twin + " is another one than " + read);
  }

  /** A file that would not load is not written, whatever setting it is that makes it so. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"text_config.rms_norm_eps | 1.5 | rms_epsilon is 1.5", "text_config.rms_norm_eps | 1e-50 | rms_epsilon is 0",
      "vision_config.layer_norm_eps | 1e50 | clip.vision.attention.layer_norm_epsilon\" is not a finite", "text_config.rope_theta | 1e-50 | rope.freq_base is 0",
      "text_config.max_position_embeddings | 2147483647 | context_length\" is 2147483647", "text_config.max_position_embeddings | 1 | context_length\" is 1",
      "text_config.block_size | 2147483647 | block_length\" is 2147483647", "text_config.mask_token_id | null | mask token's id is 151669",
      "text_config.mask_token_id | 160 | mask token's id is 160", "text_config.bos_token_id | 2147483647 | bos_token_id\" is 2147483647",
      "image_token_index | null | image token's id is 151655", "text_config.mask_token_id | [1, 2] | \"text_config.mask_token_id\" is [1,2]; expected one token id",
      "image_token_index | [1, 2] | \"image_token_index\" is [1,2]; expected one token id",
      "vision_config.patch_size | 2147483647 | more elements than 64 bits count"})
  void filesThatWouldNotLoadAreNotWritten(String path, String value, String message) throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    String[] names = path.split("\\.");
    ObjectNode at = names.length == 1 ? checkpoint.config : (ObjectNode) checkpoint.config.get(names[0]);
    at.set(names[names.length - 1], TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), message);
  }

  /** Tiles of another size than the tower's, under the other name that the size may have. */
  @Test
  void otherSizesOfTilesAreRefused() throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    Path directory = checkpoint.write(folder.resolve("hf"));
    Files.writeString(directory.resolve("preprocessor_config.json"), "{\"size\": {\"shortest_edge\": 15}}");
    refuses(directory, "\"size.shortest_edge\" is 15; expected 14");
  }

  /** What stands where layers do, and is none of the checkpoint's. */
  @ParameterizedTest
  @ValueSource(strings = {"x.layer_norm1.weight", "99999999999.layer_norm1.weight", "3.layer_norm1.weight", "2.layer_norm3.weight", "02.layer_norm1.weight",
      "2", "-1.layer_norm1.weight", ".weight", "2.layer_norm1.weight_scale_inv"})
  void surplusTensorsBehindTheFeaturesAreRefused(String name) throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    checkpoint.config.put("vision_feature_layer", -2);
    String layers = "vision_tower.vision_model.encoder.layers.";
    checkpoint.tensors.put(layers + name, checkpoint.tensors.get(layers + "0.layer_norm1.weight"));
    refuses(checkpoint.write(folder.resolve("hf")), "tensor " + layers + name + " has no place");
  }

  /** DreamOn is Dream by its type; its expand token says what it is, wherever it stands. */
  @ParameterizedTest
  @ValueSource(strings = {"config.json", "generation_config.json"})
  void expandTokenMakesDreamOn(String file) throws IOException {
    makeDream();
    ObjectNode settings = file.equals("config.json") ? checkpoint.config : TestCheckpoint.JSON.createObjectNode();
    settings.put("expand_token_id", 299);
    Path directory = checkpoint.write(folder.resolve("hf"));
    Files.writeString(directory.resolve(file), settings.toString());
    Converter.of(directory).write(folder.resolve("on.gguf"));
    try (GgufFile on = GgufFile.open(folder.resolve("on.gguf"))) {
      assertThat(on.metadata().get("tokenizer.ggml.expand_token_id").value()).isEqualTo(299L);
      assertThat(on.metadata().get("diffusion.pipeline").value()).isEqualTo("dreamon");
    }
  }

  @Test
  void expandTokenBehindTheVocabularyIsRefused() throws IOException {
    makeDream();
    checkpoint.config.put("expand_token_id", 1 << 20);
    refuses(checkpoint.write(folder.resolve("hf")), "\"expand_token_id\" is 1048576; expected an id below the vocabulary's");
  }

  /** LLaDA2.2 is LLaDA2 by its type, and keys that it does not have are those of others. */
  @ParameterizedTest
  @ValueSource(strings = {"insert_token_id", "moe_capacity", "block_routing", "expert_capacity_factor"})
  void tokensThatEditAreRefused(String key) {
    for (String more : List.of("", ", \"expert_capacity\": 9, \"block_size\": 8")) {
      JsonSettings config = JsonSettings.of("config.json", "{\"model_type\": \"llada2_moe\", \"" + key + "\": 9" + more + "}");
      JsonSettings none = JsonSettings.empty("config.json");
      assertThatThrownBy(() -> Architectures.layout(config, none, Set.of())).isInstanceOf(GgufException.class).hasMessageContaining("\"" + key + "\" is 9");
    }
  }

  /** The experts of a layer, tensors of their own in the checkpoint, are one bank in the file. */
  @Test
  void mixturesOfLladaConvert() throws IOException {
    makeMixture();
    assertThat(Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F32).write(target).architecture()).isEqualTo(new LladaMoe().name());
    assertThat(ModelCheck.of(target, false)).isEmpty();
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("llada-moe.expert_count", MetadataValue.uint32(EXPERTS))
          .containsEntry("llada-moe.expert_used_count", MetadataValue.uint32(2))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(false))
          .containsEntry("tokenizer.ggml.mask_token_id", MetadataValue.uint32(299));
      TensorInfo bank = file.tensor("blk.1.ffn_down_exps.weight").orElseThrow();
      for (int expert = 0; expert < EXPERTS; expert++) {
        float[] expected = floats(checkpoint.tensors.get("model.layers.1.mlp.experts." + expert + ".down_proj.weight"));
        int rows = (int) bank.rows() / EXPERTS;
        assertThat(TensorRows.read(file, bank, (long) expert * rows, rows)).containsExactly(expected);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"norm_topk_prob, true", "moe_router_score_function, \"sigmoid\"", "routed_scaling_factor, 2.5", "shared_expert_intermediate_size, 64",
      "qk_layernorm, false", "router_num_group, 4", "'moe_layer_freq', '[0, 1]'", "partial_rotary_factor, 0.5", "num_experts_per_tok, 9",
      "head_dim, 20", "attention_bias, true"})
  void mixturesOfAnotherKindAreRefused(String key, String value) throws IOException {
    makeMixture();
    checkpoint.config.set(key, TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + key + "\" is " + value.replace(" ", ""));
  }

  /** LLaDA-MoE's names and configuration, whose model_type is LLaDA's; as released, with nulls for what it does not use. */
  private void makeMixture() {
    checkpoint.makeMixture(EXPERTS);
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

  private void makeDream() {
    checkpoint.makeDream();
  }

  /** LLaDA's names, no biases, and rotary pairs next to each other: row 2i + j of a head is the checkpoint's row j * size / 2 + i. */
  @Test
  void textModelsOfLladaConvert() throws IOException {
    makeLlada();
    Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F32).write(target);
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("general.architecture", MetadataValue.string(new Llada().name()))
          .containsEntry("llada.rope.freq_base", MetadataValue.float32(5e5))
          .containsEntry("llada.attention.causal", MetadataValue.bool(false))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(false))
          .containsEntry("tokenizer.ggml.mask_token_id", MetadataValue.uint32(299));
      int headSize = 16;
      float[] query = floats(checkpoint.tensors.get("model.transformer.blocks.1.q_proj.weight"));
      float[] converted = TensorRows.read(file, file.tensor("blk.1.attn_q.weight").orElseThrow(), 0, 64);
      for (int row = 0; row < 64; row++) {
        int from = row / headSize * headSize + row % 2 * (headSize / 2) + row % headSize / 2;
        assertThat(Arrays.copyOfRange(converted, 64 * row, 64 * row + 64))
            .containsExactly(Arrays.copyOfRange(query, 64 * from, 64 * from + 64));
      }
      assertThat(TensorRows.read(file, file.tensor("blk.1.attn_v.weight").orElseThrow(), 0, 64))
          .containsExactly(floats(checkpoint.tensors.get("model.transformer.blocks.1.v_proj.weight")));
      assertThat(file.tensors()).hasSize(3 + 2 * 9);
    }
    Files.delete(target);
    checkpoint.config.put("include_bias", true);
    refuses("\"include_bias\" is true; expected false");
  }

  /** Of rows that change places, and of an expert's matrix in its bank. */
  @ParameterizedTest
  @ValueSource(strings = {"model.transformer.blocks.1.q_proj", "model.layers.0.mlp.experts.2.up_proj"})
  void adaptersFollowTheirMatrices(String module) throws IOException {
    if (module.contains("experts")) {
      makeMixture();
    } else {
      makeLlada();
    }
    TestCheckpoint.Tensor weight = checkpoint.tensors.get(module + ".weight");
    int rows = weight.shape().get(0).intValue();
    int columns = weight.shape().get(1).intValue();
    float[] up = LoraTest.numbers(rows, 1);
    float[] down = LoraTest.numbers(columns, 2);
    Path adapter = Files.createDirectories(folder.resolve("adapter"));
    Files.writeString(adapter.resolve("adapter_config.json"), "{\"peft_type\": \"LORA\", \"r\": 1, \"lora_alpha\": 2}");
    Files.write(adapter.resolve("adapter_model.safetensors"), TestCheckpoint.safetensors(Map.of(
        "base_model.model." + module + ".lora_A.weight", LoraTest.tensor(down, 1, columns),
        "base_model.model." + module + ".lora_B.weight", LoraTest.tensor(up, rows, 1))));
    Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F32).lora(adapter).write(target);
    float[] merged = new float[rows * columns];
    for (int i = 0; i < merged.length; i++) {
      merged[i] = (float) (weight.get(i) + 2.0 * up[i / columns] * down[i % columns]);
    }
    checkpoint.tensors.put(module + ".weight", LoraTest.tensor(merged, rows, columns));
    Path expected = folder.resolve("expected.gguf");
    Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F32).write(expected);
    try (GgufFile file = GgufFile.open(target); GgufFile wanted = GgufFile.open(expected)) {
      for (TensorInfo tensor : wanted.tensors()) {
        assertThat(TensorRows.read(file, file.tensor(tensor.name()).orElseThrow(), 0, (int) tensor.rows())).as(tensor.name())
            .containsExactly(TensorRows.read(wanted, tensor, 0, (int) tensor.rows()), within(1e-6f));
      }
    }
  }

  private void makeLlada() {
    ObjectNode dream = checkpoint.config;
    ObjectNode config = TestCheckpoint.JSON.createObjectNode().put("model_type", "llada").put("rope_theta", 5e5)
        .put("max_sequence_length", 128).put("mask_token_id", 299);
    config.put("d_model", dream.path("hidden_size").intValue()).put("n_heads", dream.path("num_attention_heads").intValue());
    config.put("n_layers", dream.path("num_hidden_layers").intValue()).put("mlp_hidden_size", dream.path("intermediate_size").intValue());
    config.put("vocab_size", dream.path("vocab_size").intValue()).put("n_kv_heads", dream.path("num_key_value_heads").intValue());
    makeDream();
    Map<String, TestCheckpoint.Tensor> renamed = new LinkedHashMap<>();
    checkpoint.tensors.forEach((name, tensor) -> {
      if (!name.endsWith(".bias")) {
        renamed.put(name.replace("model.embed_tokens", "model.transformer.wte").replace("model.norm", "model.transformer.ln_f")
            .replace("lm_head", "model.transformer.ff_out").replace("model.layers", "model.transformer.blocks").replace("self_attn.", "")
            .replace("mlp.", "").replace("input_layernorm", "attn_norm").replace("post_attention_layernorm", "ff_norm")
            .replace("o_proj", "attn_out").replace("gate_proj", "ff_proj").replace("down_proj", "ff_out"), tensor);
      }
    });
    checkpoint.tensors.clear();
    checkpoint.tensors.putAll(renamed);
    dream.removeAll();
    dream.setAll(config);
  }

  @Test
  void tensorsThatFollowFromTheConfigurationAreLeftOutByName() throws IOException {
    checkpoint.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", f32(8));
    assertThat(convert().leftOut()).containsExactly("model.layers.0.self_attn.rotary_emb.inv_freq");
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
  void missingTensorsAreNamed() {
    checkpoint.tensors.remove("model.layers.1.mlp.up_proj.weight");
    refuses("tensor model.layers.1.mlp.up_proj.weight is missing");
  }

  @Test
  void surplusTensorsAreNamed() {
    checkpoint.tensors.put("model.layers.7.mlp.up_proj.weight", f32(4));
    refuses("model.safetensors: tensor model.layers.7.mlp.up_proj.weight has no place");
  }

  @Test
  void wrongShapesAreNamed() {
    checkpoint.tensors.put("model.norm.weight", f32(63));
    refuses("tensor model.norm.weight has shape [63]; config.json asks for [64]");
  }

  @Test
  void weightsThatAreNotNumbersAreNamedAndNothingIsLeft() {
    ByteBuffer.wrap(checkpoint.tensors.get("lm_head.weight").data()).order(ByteOrder.LITTLE_ENDIAN).putFloat(400, Float.NaN);
    refuses("tensor output.weight: from lm_head.weight of " + folder.resolve("hf/model.safetensors")
        + ": the weight at row 1, column 36 is NaN");
  }

  @Test
  void weightsTooLargeForTheTypeAreNamed() {
    ByteBuffer.wrap(checkpoint.tensors.get("lm_head.weight").data()).order(ByteOrder.LITTLE_ENDIAN).putFloat(400, 1e6f);
    refuses("model.safetensors: row 1, column 36 is 1e+06");
  }

  @ParameterizedTest
  @CsvSource({"hidden_size, 100, num_attention_heads", "hidden_act, gelu, hidden_act", "model_type, llama, model_type",
      "num_hidden_layers, 0, num_hidden_layers", "num_hidden_layers, 2147483647, num_hidden_layers", "vocab_size, -5, vocab_size", "use_sliding_window, true, use_sliding_window",
      "rms_norm_eps, 0, rms_norm_eps"})
  void wrongConfigurationsAreNamed(String key, String value, String named) throws IOException {
    checkpoint.config.set(key, TestCheckpoint.JSON.readTree(value.matches("[a-z]+") && !value.equals("true") ? "\"" + value + "\""
        : value));
    refuses("config.json: \"" + named + "\" is");
  }

  @Test
  @Timeout(20)
  void aVocabularyThatNoTensorHasIsRefusedBeforeItIsMade() {
    checkpoint.config.put("vocab_size", Integer.MAX_VALUE);
    refuses("model.embed_tokens.weight");
  }

  @Test
  void configurationsWithoutASizeAreNamed() {
    checkpoint.config.remove("intermediate_size");
    refuses("config.json: \"intermediate_size\" is missing; expected a positive integer");
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

  /** The same weights, if they are there, would be read as other numbers. */
  @Test
  void quantizedCheckpointsAreRefused() throws IOException {
    checkpoint.config.putObject("quantization_config").put("quant_method", "gptq").put("bits", 4);
    Path source = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("\"quantization_config\" is {\"quant_method\":\"gptq\"");
    checkpoint.config.putNull("quantization_config").putObject("text_config").putObject("quantization_config").put("quant_method", "fp8");
    checkpoint.write(source);
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("\"text_config.quantization_config\" is {\"quant_method\":\"fp8\"");
    checkpoint.config.remove("text_config");
    checkpoint.config.putObject("quantization_config").put("quant_method", "bitsandbytes"); // beside plain tensors
    checkpoint.write(source);
    Converter.of(source).write(target);
    assertThat(target).exists();
  }

  @Test
  void unwritableTargetsAreRefusedBeforeTheWork() throws IOException {
    Path source = checkpoint.write(folder.resolve("hf"));
    assertThatThrownBy(() -> Converter.of(source).write(folder)).hasMessageContaining("is a directory");
    assertThatThrownBy(() -> Converter.of(source).write(folder.resolve("no/out.gguf"))).hasMessageContaining("there is no directory");
  }

  @Test
  void directoriesWithoutAModelAreRefused() throws IOException {
    assertThatThrownBy(() -> Converter.of(folder.resolve("none")).write(target)).hasMessageContaining("is not a directory");
    assertThatThrownBy(() -> Converter.of(folder).write(target)).hasMessageContaining("has no config.json");
    Path source = checkpoint.write(folder.resolve("hf"));
    Files.delete(source.resolve("model.safetensors"));
    assertThatThrownBy(() -> Converter.of(source).write(target)).hasMessageContaining("has neither model.safetensors nor");
    Files.writeString(source.resolve("config.json"), "{\"a\": ");
    assertThatThrownBy(() -> Converter.of(source).write(target)).isInstanceOf(GgufException.class).hasMessageContaining("is not JSON");
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 100, 50_000})
  void cutShardsAreNamed(int missing) throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    Path shard = source.resolve(TestCheckpoint.shardName(1, 2));
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, Arrays.copyOf(bytes, bytes.length - missing));
    refuses(source, shard.getFileName().toString());
  }

  @Test
  void missingShardsAreNamed() throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    Files.delete(source.resolve(TestCheckpoint.shardName(1, 2)));
    refuses(source, "model-00002-of-00002.safetensors is missing");
  }

  @Test
  void anIndexThatDisagreesWithTheShardsIsNamed() throws IOException {
    Path source = checkpoint.writeShards(folder.resolve("hf"), 2);
    ObjectNode map = (ObjectNode) TestCheckpoint.JSON.readTree(Files.readAllBytes(source.resolve("model.safetensors.index.json")))
        .path("weight_map");
    String name = map.propertyNames().iterator().next();
    map.put(name, TestCheckpoint.shardName(1, 2));
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "tensor " + name + " is not in " + TestCheckpoint.shardName(1, 2));
    map.remove(name);
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "tensor " + name + " is not listed for this file");
    map.put(name, "../elsewhere.safetensors");
    TestCheckpoint.writeIndex(source, map);
    refuses(source, "\"../elsewhere.safetensors\" is not the name of a file beside it");
  }

  @Test
  void damagedSafetensorsHeadersAreNamed() throws IOException {
    Path source = checkpoint.write(folder.resolve("hf"));
    Path weights = source.resolve("model.safetensors");
    Map<String, byte[]> cases = new LinkedHashMap<>();
    cases.put("3 bytes are too few", new byte[3]);
    cases.put("a header of 9223372036854775807 bytes", length(Long.MAX_VALUE));
    cases.put("a header of 18446744073709551615 bytes", length(-1));
    cases.put("is not a JSON object", header("[1, 2]"));
    cases.put("element type \"F8_E4M3\"", header("{'a': {'dtype': 'F8_E4M3', 'shape': [8], 'data_offsets': [0, 8]}}"));
    cases.put("8 bytes do not hold shape [3]", header("{'a': {'dtype': 'F32', 'shape': [3], 'data_offsets': [0, 8]}}"));
    cases.put("bytes 4 to 12 lie outside the 8", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [4, 12]}}"));
    cases.put("bytes 8 to 0 lie outside", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [8, 0]}}"));
    cases.put("\"data_offsets\" are not two numbers", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8.5]}}"));
    cases.put("the key 'a' is given twice", header("{'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}, 'a': {}}"));
    cases.put("is not a list of sizes", header("{'a': {'dtype': 'F32', 'shape': [-2], 'data_offsets': [0, 8]}}"));
    cases.put("is too large", header("{'a': {'dtype': 'F32', 'shape': [4294967296, 4294967296], 'data_offsets': [0, 8]}}"));
    cases.put("overlaps", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}, "
        + "'b': {'dtype': 'F32', 'shape': [1], 'data_offsets': [2, 6]}}"));
    cases.put("it has no \"shape\"", header("{'a': {'dtype': 'F32', 'data_offsets': [0, 4]}}"));
    cases.put("bytes 0 to 4 of the data are no tensor's", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [4, 8]}}"));
    cases.put("bytes 4 to 8 of the data are no tensor's", header("{'a': {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}}"));
    cases.put("laid out for \"tf\"", header("{'__metadata__': {'format': 'tf'}, 'a': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}"));
    for (Map.Entry<String, byte[]> bad : cases.entrySet()) {
      Files.write(weights, bad.getValue());
      refuses(source, bad.getKey());
    }
    Files.writeString(weights.resolveSibling("model.safetensors.index.json"), "{\"weight_map\": {}}");
    refuses(source, "has model.safetensors and model.safetensors.index.json, which does not name it");
  }

  private static byte[] length(long length) {
    return ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
  }

  /** A file of a header, with single quotes for double ones, and eight bytes of data. */
  private static byte[] header(String json) {
    return TestCheckpoint.safetensors(json.replace('\'', '"'), new byte[8]);
  }

  private WrittenFile convert() throws IOException {
    return Converter.of(checkpoint.write(folder.resolve("hf"))).to(Quantization.F16).write(target);
  }

  private void refuses(String message) {
    assertThatThrownBy(this::convert).isInstanceOf(GgufException.class).message().contains(message).doesNotContain("\n");
    nothingIsLeft();
  }

  private void refuses(Path source, String message) {
    assertThatThrownBy(() -> Converter.of(source).write(target)).isInstanceOf(GgufException.class).message().contains(message)
        .doesNotContain("\n");
    nothingIsLeft();
  }

  private void nothingIsLeft() {
    try (Stream<Path> files = Files.list(folder)) {
      assertThat(files).allMatch(Files::isDirectory);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static TestCheckpoint.Tensor f32(int length) {
    return new TestCheckpoint.Tensor("F32", List.of((long) length), new byte[4 * length]);
  }
}
