package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** LLaDA-MoE, text only: norms of query and key heads, experts in every layer, no biases. Its {@code model_type} is LLaDA's. */
public final class LladaMoe implements Architecture {
  private static final String NAME = "llada-moe";
  /** The mask token that llama.cpp's converter and the authors' generation script name; no configuration does. */
  private static final int MASK = 156895;
  /** The output matrix. */
  private static final String OUTPUT = "lm_head.weight";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llada");
  }

  @Override
  public boolean describes(JsonSettings config) {
    return Architecture.super.describes(config) && config.has("num_experts");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    TextShape text = read(config, tensors);
    int experts = config.count("num_experts");
    int used = config.size("num_experts_per_tok");
    if (used > experts) {
      throw config.wrong("num_experts_per_tok", "at most num_experts " + experts);
    }
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put(NAME + ".expert_count", MetadataValue.uint32(experts));
    metadata.put(NAME + ".expert_used_count", MetadataValue.uint32(used));
    metadata.put(NAME + ".expert_feed_forward_length", MetadataValue.uint32(text.feedForward()));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    return new ModelLayout(NAME, text.vocabulary(), metadata, tensors(text, experts), PreTokenizer.LING,
        SpecialTokens.read(config).withMask(MASK));
  }

  /** Refuses what the architecture has no place for; a null, as the released configuration has it, is "no". */
  private static TextShape read(JsonSettings config, Set<String> tensors) {
    config.requireText("hidden_act", "silu");
    config.requireText("moe_router_score_function", "softmax");
    config.requireFlag("qk_layernorm", true);
    for (String key : List.of("attention_bias", "norm_topk_prob", "moe_router_enable_expert_bias")) {
      config.requireFlag(key, false);
    }
    if (config.positive("routed_scaling_factor", 1) != 1) {
      throw config.wrong("routed_scaling_factor", "1");
    }
    for (String key : List.of("clip_qkv", "router_num_group", "router_topk_group", "shared_expert_intermediate_size", "num_shared_experts")) {
      if (config.has(key) && !config.node(key).toString().equals("0")) {
        throw config.wrong(key, "null");
      }
    }
    for (int layer : config.integers("moe_layer_freq", List.of())) {
      if (layer != 1) {
        throw config.wrong("moe_layer_freq", "experts in every layer");
      }
    }
    config.passOver(List.of("dense_intermediate_size", "intermediate_size"));
    RotaryScaling.requireWholeHeads(config);
    int width = config.size("hidden_size");
    Heads heads = Heads.sharing(config, "hidden_size", "num_attention_heads", "num_key_value_heads");
    if (config.size("head_dim", heads.size()) != heads.size()) {
      throw config.wrong("head_dim", "hidden_size / num_attention_heads, " + heads.size());
    }
    int context = config.size("max_position_embeddings");
    return new TextShape(config.size("vocab_size"), context, width, config.count("num_hidden_layers"), config.size("expert_intermediate_size"),
        heads.queries(), heads.keyValues(), heads.size(), config.positive("rms_norm_eps", 1e-5), RotaryScaling.base(config, 1e4),
        RotaryScaling.read(config, context), false, config.flag("tie_word_embeddings", false) && !tensors.contains(OUTPUT));
  }

  /** llama.cpp's tensors of {@code llada-moe}. */
  private static List<TensorSource> tensors(TextShape text, int experts) {
    long width = text.width();
    long keyValueWidth = text.keyValueWidth();
    long inner = text.feedForward();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", "model.embed_tokens.weight", text.vocabulary(), width));
    for (int i = 0; i < text.layers(); i++) {
      String to = "blk." + i + ".";
      String from = "model.layers." + i + ".";
      String expert = from + "mlp.experts.%d.";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "input_layernorm.weight", width));
      list.add(TensorSource.whole(to + "attn_q.weight", from + "self_attn.q_proj.weight", width, width));
      list.add(TensorSource.whole(to + "attn_k.weight", from + "self_attn.k_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_v.weight", from + "self_attn.v_proj.weight", keyValueWidth, width));
      list.add(TensorSource.whole(to + "attn_q_norm.weight", from + "self_attn.q_norm.weight", text.headSize()));
      list.add(TensorSource.whole(to + "attn_k_norm.weight", from + "self_attn.k_norm.weight", text.headSize()));
      list.add(TensorSource.whole(to + "attn_output.weight", from + "self_attn.o_proj.weight", width, width));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "post_attention_layernorm.weight", width));
      list.add(TensorSource.whole(to + "ffn_gate_inp.weight", from + "mlp.gate.weight", experts, width));
      list.add(TensorSource.bank(to + "ffn_gate_exps.weight", expert + "gate_proj.weight", experts, inner, width));
      list.add(TensorSource.bank(to + "ffn_up_exps.weight", expert + "up_proj.weight", experts, inner, width));
      list.add(TensorSource.bank(to + "ffn_down_exps.weight", expert + "down_proj.weight", experts, width, inner));
    }
    list.add(TensorSource.whole("output_norm.weight", "model.norm.weight", width));
    if (!text.tied()) {
      list.add(TensorSource.whole("output.weight", OUTPUT, text.vocabulary(), width));
    }
    return list;
  }
}
