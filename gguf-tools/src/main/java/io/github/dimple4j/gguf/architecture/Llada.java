package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;

/**
 * LLaDA's configuration and tensor names, which are those of OLMo. Its shape is LLaMA's: no biases, and rotary embeddings of
 * neighbouring elements in the GGUF file.
 */
public final class Llada {
  private static final String ROOT = "model.transformer.";

  /** The output matrix. */
  public static final String OUTPUT = ROOT + "ff_out.weight";

  private Llada() {}

  public static DecoderConfig read(JsonSettings config, boolean hasOutput) {
    config.requireText("activation_type", "silu");
    config.requireText("layer_norm_type", "rms");
    config.requireText("block_type", "llama");
    requireFlag(config, "rope", true);
    for (String key : List.of("alibi", "attention_layer_norm", "include_bias", "include_qkv_bias", "input_emb_norm", "scale_logits")) {
      requireFlag(config, key, false);
    }
    int width = config.size("d_model");
    int heads = config.size("n_heads");
    int keyValueHeads = config.size("n_kv_heads", heads);
    if (width % heads != 0 || width / heads % 2 != 0) {
      throw config.wrong("n_heads", "a divisor of d_model " + width + " into heads of an even size");
    }
    if (heads % keyValueHeads != 0) {
      throw config.wrong("n_kv_heads", "a divisor of n_heads " + heads);
    }
    return new DecoderConfig(config.size("embedding_size", config.size("vocab_size")), config.size("max_sequence_length"), width,
        config.size("n_layers"), config.size("mlp_hidden_size"), heads, keyValueHeads, config.positive("rms_norm_eps", 1e-5),
        config.positive("rope_theta", 1e4), false, config.flag("weight_tying", false) && !hasOutput);
  }

  /** llama.cpp's tensors of {@code llada}. */
  public static List<TensorSource> tensors(DecoderConfig decoder) {
    long width = decoder.width();
    long keyValueWidth = (long) decoder.keyValueHeads() * decoder.headSize();
        List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", ROOT + "wte.weight", decoder.vocabulary(), width));
    for (int i = 0; i < decoder.layers(); i++) {
      String to = "blk." + i + ".";
      String from = ROOT + "blocks." + i + ".";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "attn_norm.weight", width));
      list.add(TensorSource.interleaved(to + "attn_q.weight", from + "q_proj.weight", decoder.headSize(), width, width));
      list.add(TensorSource.interleaved(to + "attn_k.weight", from + "k_proj.weight", decoder.headSize(), keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_v.weight", from + "v_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_output.weight", from + "attn_out.weight", width, width));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "ff_norm.weight", width));
      list.add(TensorSource.whole(to + "ffn_gate.weight", from + "ff_proj.weight", decoder.feedForward(), width));
      list.add(TensorSource.whole(to + "ffn_up.weight", from + "up_proj.weight", decoder.feedForward(), width));
      list.add(TensorSource.whole(to + "ffn_down.weight", from + "ff_out.weight", width, decoder.feedForward()));
    }
    list.add(TensorSource.whole("output_norm.weight", ROOT + "ln_f.weight", width));
    if (!decoder.tied()) {
      list.add(TensorSource.whole("output.weight", OUTPUT, decoder.vocabulary(), width));
    }
    return list;
  }

  private static void requireFlag(JsonSettings config, String key, boolean only) {
    if (config.flag(key, only) != only) {
      throw config.wrong(key, String.valueOf(only));
    }
  }
}
