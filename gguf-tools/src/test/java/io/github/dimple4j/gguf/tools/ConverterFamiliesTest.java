package io.github.dimple4j.gguf.tools;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.GgufFile;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.TensorInfo;
import io.github.dimple4j.gguf.architecture.Architectures;
import io.github.dimple4j.gguf.architecture.Dream;
import io.github.dimple4j.gguf.architecture.Llada;
import io.github.dimple4j.gguf.architecture.LladaMoe;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.core.ModelCheck;
import io.github.dimple4j.gguf.core.TensorRows;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.node.ObjectNode;

/** What families of models have that others have not: names, experts, tokens, shared weights. */
class ConverterFamiliesTest extends ConverterFixture {
  private static final int EXPERTS = 4;

  @Test
  void textModelsOfDreamConvert() throws IOException {
    checkpoint.makeDream();
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
    checkpoint.makeDream();
    checkpoint.config.remove(List.of("full_attn_mask", "mrope_section", "image_token_id", "video_token_id"));
    checkpoint.config.put("max_window_layers", 28).put("use_cache", true).put("use_mrope", false).put("attention_dropout", 0.0)
        .putNull("sliding_window").putNull("rope_scaling").putArray("architectures").add("DreamModel");
    assertThat(convert().architecture()).isEqualTo(new Dream().name());
    try (GgufFile file = GgufFile.open(target)) {
      assertThat(file.metadata()).containsEntry("dream.attention.causal", MetadataValue.bool(false))
          .containsEntry("diffusion.shift_logits", MetadataValue.bool(true)).doesNotContainKey("dream.rope.dimension_sections");
    }
  }

  /** DreamOn is Dream by its type; its expand token says what it is, wherever it stands. */
  @ParameterizedTest
  @ValueSource(strings = {"config.json", "generation_config.json"})
  void expandTokenMakesDreamOn(String file) throws IOException {
    checkpoint.makeDream();
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
    checkpoint.makeDream();
    checkpoint.config.put("expand_token_id", 1 << 20);
    refuses(checkpoint.write(folder.resolve("hf")), "\"expand_token_id\" is 1048576; expected an id below the vocabulary's");
  }

  /** LLaDA's names, no biases, and rotary pairs next to each other: row 2i + j of a head is the checkpoint's row j * size / 2 + i. */
  @Test
  void textModelsOfLladaConvert() throws IOException {
    checkpoint.makeLlada();
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
    checkpoint.makeMixture(EXPERTS);
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
    checkpoint.makeMixture(EXPERTS);
    checkpoint.config.set(key, TestCheckpoint.JSON.readTree(value));
    refuses(checkpoint.write(folder.resolve("hf")), "\"" + key + "\" is " + value.replace(" ", ""));
  }

  /** Of rows that change places, and of an expert's matrix in its bank. */
  @ParameterizedTest
  @ValueSource(strings = {"model.transformer.blocks.1.q_proj", "model.layers.0.mlp.experts.2.up_proj"})
  void adaptersFollowTheirMatrices(String module) throws IOException {
    if (module.contains("experts")) {
      checkpoint.makeMixture(EXPERTS);
    } else {
      checkpoint.makeLlada();
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
}
