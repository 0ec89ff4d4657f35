package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The shape of a text model. Read from Hugging Face's Qwen2 keys it is that of Dream and Dimple: grouped-query attention with
 * biases on query, key and value, SwiGLU, RMS norms.
 *
 * @param tied whether the output matrix is the embedding matrix
 */
public record DecoderConfig(int vocabulary, int context, int width, int layers, int feedForward, int heads, int keyValueHeads,
    double normEpsilon, double ropeBase, boolean causal, boolean tied) {
  /** The output matrix. */
  public static final String OUTPUT = "lm_head.weight";

  /**
   * Reads the shape.
   *
   * @param hasOutput whether the checkpoint has an output matrix, which it may although the configuration ties it
   */
  public static DecoderConfig read(JsonSettings config, boolean hasOutput) {
    config.requireText("hidden_act", "silu");
    if (config.flag("use_sliding_window", false)) {
      throw config.wrong("use_sliding_window", "false: sliding windows are not supported");
    }
    requirePlainRope(config);
    int width = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int keyValueHeads = config.size("num_key_value_heads", heads);
    if (width % heads != 0 || width / heads % 2 != 0) {
      throw config.wrong("num_attention_heads", "a divisor of hidden_size " + width + " into heads of an even size");
    }
    if (heads % keyValueHeads != 0) {
      throw config.wrong("num_key_value_heads", "a divisor of num_attention_heads " + heads);
    }
    return new DecoderConfig(config.size("vocab_size"), config.size("max_position_embeddings"), width,
        config.size("num_hidden_layers"), config.size("intermediate_size"), heads, keyValueHeads,
        config.positive("rms_norm_eps", 1e-6), ropeBase(config), !config.flag("full_attn_mask", true),
        config.flag("tie_word_embeddings", false) && !hasOutput);
  }

  public int headSize() {
    return width / heads;
  }

  /** llama.cpp's keys of a text model. */
  public Map<String, MetadataValue> metadata(String architecture) {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("context_length", MetadataValue.uint32(context));
    keys.put("embedding_length", MetadataValue.uint32(width));
    keys.put("block_count", MetadataValue.uint32(layers));
    keys.put("feed_forward_length", MetadataValue.uint32(feedForward));
    keys.put("vocab_size", MetadataValue.uint32(vocabulary));
    keys.put("attention.head_count", MetadataValue.uint32(heads));
    keys.put("attention.head_count_kv", MetadataValue.uint32(keyValueHeads));
    keys.put("attention.layer_norm_rms_epsilon", MetadataValue.float32(normEpsilon));
    keys.put("attention.causal", MetadataValue.bool(causal));
    keys.put("rope.freq_base", MetadataValue.float32(ropeBase));
    keys.put("rope.dimension_count", MetadataValue.uint32(headSize()));
    Map<String, MetadataValue> metadata = new LinkedHashMap<>();
    keys.forEach((key, value) -> metadata.put(architecture + "." + key, value));
    return metadata;
  }

  /** llama.cpp's tensors of {@code dream}, from the names of Hugging Face's Qwen2. */
  public List<TensorSource> tensors() {
    long keyValueWidth = (long) keyValueHeads * headSize();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", "model.embed_tokens.weight", vocabulary, width));
    for (int i = 0; i < layers; i++) {
      String to = "blk." + i + ".";
      String from = "model.layers." + i + ".";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "input_layernorm.weight", width));
      list.add(TensorSource.whole(to + "attn_q.weight", from + "self_attn.q_proj.weight", width, width));
      list.add(TensorSource.whole(to + "attn_q.bias", from + "self_attn.q_proj.bias", width));
      list.add(TensorSource.whole(to + "attn_k.weight", from + "self_attn.k_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_k.bias", from + "self_attn.k_proj.bias", keyValueWidth));
      list.add(TensorSource.whole(to + "attn_v.weight", from + "self_attn.v_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_v.bias", from + "self_attn.v_proj.bias", keyValueWidth));
      list.add(TensorSource.whole(to + "attn_output.weight", from + "self_attn.o_proj.weight", width, width));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "post_attention_layernorm.weight", width));
      list.add(TensorSource.whole(to + "ffn_gate.weight", from + "mlp.gate_proj.weight", feedForward, width));
      list.add(TensorSource.whole(to + "ffn_up.weight", from + "mlp.up_proj.weight", feedForward, width));
      list.add(TensorSource.whole(to + "ffn_down.weight", from + "mlp.down_proj.weight", width, feedForward));
    }
    list.add(TensorSource.whole("output_norm.weight", "model.norm.weight", width));
    if (!tied) {
      list.add(TensorSource.whole("output.weight", OUTPUT, vocabulary, width));
    }
    return list;
  }

  /** The base frequency, which newer checkpoints keep with the kind of rotary embedding. */
  private static double ropeBase(JsonSettings config) {
    JsonSettings holder = config.has("rope_parameters") ? config.section("rope_parameters") : config;
    return holder.positive("rope_theta", 1e6);
  }

  /** Refuses stretched rotary embeddings; "default" and "mrope" name the plain ones. */
  private static void requirePlainRope(JsonSettings config) {
    for (String key : List.of("rope_scaling", "rope_parameters")) {
      if (config.has(key)) {
        JsonSettings scaling = config.section(key);
        String kind = scaling.text("rope_type", scaling.text("type", "default"));
        if (!kind.equals("default") && !kind.equals("mrope")) {
          throw config.wrong(key, "plain rotary embeddings: stretched ones are not supported");
        }
      }
    }
  }
}
