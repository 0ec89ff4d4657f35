package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A text model in Hugging Face's Qwen2 and Qwen3 keys and names, as Dream and Dimple have it: grouped-query attention with biases on query, key
 * and value, SwiGLU, RMS norms.
 */
final class QwenText {
  /** The output matrix. */
  private static final String OUTPUT = "lm_head.weight";

  private QwenText() {}

  /**
   * Reads the shape.
   *
   * @param tensors names in the checkpoint, which may have an output matrix although the configuration ties it
   */
  static TextShape read(JsonSettings config, Set<String> tensors) {
    config.requireText("hidden_act", "silu");
    if (config.flag("use_sliding_window", false)) {
      throw config.wrong("use_sliding_window", "false: sliding windows are not supported");
    }
    config.passOver(List.of("sliding_window", "max_window_layers"));
    RotaryScaling.requireWholeHeads(config);
    int width = config.size("hidden_size");
    Heads heads = Heads.read(config);
    int context = config.size("max_position_embeddings");
    return new TextShape(config.size("vocab_size"), context, width,
        config.count("num_hidden_layers"), config.size("intermediate_size"), heads.queries(), heads.keyValues(), heads.size(),
        config.positive("rms_norm_eps", 1e-6), RotaryScaling.base(config), RotaryScaling.read(config, context),
        !config.flag("full_attn_mask", true),
        config.flag("tie_word_embeddings", false) && !tensors.contains(OUTPUT));
  }

  /** llama.cpp's tensors of {@code dream}, from the names of Hugging Face's Qwen2. */
  static List<TensorSource> tensors(TextShape text) {
    return tensors(text, Projections.BIASED);
  }

  /** What stands beside the matrices of queries, keys and values. */
  enum Projections {
    /** Biases (Qwen2). */
    BIASED,
    /** A norm of each query and each key head (Qwen3). */
    NORMED,
    /** Nothing (LLaMA). */
    PLAIN
  }

  /** The same for either kind of projections. */
  static List<TensorSource> tensors(TextShape text, Projections projections) {
    long width = text.width();
    long feedForward = text.feedForward();
    return tensors(text, projections, (list, to, from) -> {
      list.add(TensorSource.whole(to + "ffn_gate.weight", from + "gate_proj.weight", feedForward, width));
      list.add(TensorSource.whole(to + "ffn_up.weight", from + "up_proj.weight", feedForward, width));
      list.add(TensorSource.whole(to + "ffn_down.weight", from + "down_proj.weight", width, feedForward));
    });
  }

  /** llama.cpp's tensors of a Qwen3 with experts. */
  static List<TensorSource> tensors(TextShape text, QwenExperts experts) {
    return tensors(text, Projections.NORMED, (list, to, from) -> experts.addTo(list, to, from, text.width()));
  }

  /** The feed-forward half of a layer. */
  @FunctionalInterface
  private interface Half {
    void addTo(List<TensorSource> list, String to, String from);
  }

  private static List<TensorSource> tensors(TextShape text, Projections projections, Half half) {
    long width = text.width();
    long queryWidth = text.queryWidth();
    long keyValueWidth = text.keyValueWidth();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", "model.embed_tokens.weight", text.vocabulary(), width));
    for (int i = 0; i < text.layers(); i++) {
      String to = "blk." + i + ".";
      String from = "model.layers." + i + ".";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "input_layernorm.weight", width));
      addProjection(list, to + "attn_q", from + "self_attn.q_proj", queryWidth, width, projections);
      addProjection(list, to + "attn_k", from + "self_attn.k_proj", keyValueWidth, width, projections);
      addProjection(list, to + "attn_v", from + "self_attn.v_proj", keyValueWidth, width, projections);
      if (projections == Projections.NORMED) {
        list.add(TensorSource.whole(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight", text.headSize()));
        list.add(TensorSource.whole(to + "attn_k_norm.weight", from + "self_attn.k_norm.weight", text.headSize()));
      }
      list.add(TensorSource.whole(to + "attn_output.weight", from + "self_attn.o_proj.weight", width, queryWidth));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "post_attention_layernorm.weight", width));
      half.addTo(list, to, from + "mlp.");
    }
    list.add(TensorSource.whole("output_norm.weight", "model.norm.weight", width));
    if (!text.tied()) {
      list.add(TensorSource.whole("output.weight", OUTPUT, text.vocabulary(), width));
    }
    return list;
  }

  private static void addProjection(List<TensorSource> list, String to, String from, long rows, long columns, Projections projections) {
    list.add(TensorSource.whole(to + ".weight", from + ".weight", rows, columns));
    if (projections == Projections.BIASED) {
      list.add(TensorSource.whole(to + ".bias", from + ".bias", rows));
    }
  }
}
