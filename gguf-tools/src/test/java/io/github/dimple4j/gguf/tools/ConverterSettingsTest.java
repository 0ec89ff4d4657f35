package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.dimple4j.gguf.architecture.Dream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.node.ObjectNode;

/** Settings of configurations: unknown ones, those that contradict each other, and values that a model here cannot have. */
class ConverterSettingsTest extends ConverterFixture {
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

  /** How the authors decode is the caller's to say, but the mask, which is the model's. */
  @Test
  void settingsOfADecodingAreNamed() throws IOException {
    checkpoint.makeDream();
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
    checkpoint.set(checkpoint.config.has("text_config") ? "text_config." + path : path, value);
    refuses(checkpoint.write(folder.resolve("hf")), path.endsWith("full_attention") ? "rope_type\" is missing" : path.substring(path.lastIndexOf('.') + 1));
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
    checkpoint.set(path, value);
    refuses(checkpoint.write(folder.resolve("hf")), message);
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
  void configurationsWithoutASizeAreNamed() {
    checkpoint.config.remove("intermediate_size");
    refuses("config.json: \"intermediate_size\" is missing; expected a positive integer");
  }
}
