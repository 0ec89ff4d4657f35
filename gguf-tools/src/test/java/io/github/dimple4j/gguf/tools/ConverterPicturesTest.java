package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.architecture.Dream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** Towers, tiles, and how pictures are prepared for them. */
class ConverterPicturesTest extends ConverterFixture {
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
    checkpoint.set(path, value);
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
  }

  /** Tiles of another size than the tower's, under the other name that the size may have. */
  @Test
  void otherSizesOfTilesAreRefused() throws IOException {
    checkpoint = TestCheckpoint.golden("sdar-vl");
    Path directory = checkpoint.write(folder.resolve("hf"));
    Files.writeString(directory.resolve("preprocessor_config.json"), "{\"size\": {\"shortest_edge\": 15}}");
    refuses(directory, "\"size.shortest_edge\" is 15; expected 14");
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
    checkpoint.set(path, value);
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + path + "\"");
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

  /** What LaViDa's authors' code has beside what they trained with, or nothing says. */
  @ParameterizedTest
  @CsvSource(delimiter = '|', value = {"mm_spatial_pool_mode | \"average\"", "mm_spatial_pool_mode | \"max\"", "mm_spatial_pool_mode | null",
      "image_aspect_ratio | \"anyres_max_4\"", "image_aspect_ratio | \"pad\"", "mm_patch_merge_type | \"flat\"", "mm_projector_type | \"pooler\"",
      "mm_vision_select_layer | -1", "image_grid_pinpoints | null", "rope | false", "block_type | \"sequential\"", "image_token_index | 160",
      "eot_token_id | null"})
  void settingsOfPooledTilesAreRefused(String path, String value) throws IOException {
    checkpoint = TestCheckpoint.golden("lavida");
    checkpoint.set(path, value);
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
    checkpoint.set(path, value);
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
}
