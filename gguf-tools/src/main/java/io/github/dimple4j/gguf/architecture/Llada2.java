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
import java.util.regex.Pattern;

/**
 * LLaDA2.0 and LLaDA2.1, text only: one projection for queries, keys and values, heads that are normed and turn in part, experts chosen in groups by
 * sigmoid and bias beside a shared one, in all but the first layers. Keys and tensors are those of llama.cpp's {@code bailingmoe2}, which is the same body.
 */
public final class Llada2 implements Architecture {
  private static final String NAME = "llada2";
  /** {@code <|mask|>} and {@code <|endoftext|>} in the authors' tokenizer; no configuration names the mask. */
  static final int MASK = 156895;
  /** That all of them are trained with. */
  static final int BLOCK = 32;
  /** llama.cpp's number of a router by sigmoid. */
  private static final int SIGMOID = 2;
  /** What only newer configurations have, whose type is the same: tokens that delete and insert, and experts of which a block of rows chooses a few. */
  private static final Pattern NEWER =
      Pattern.compile("(delete|insert|split)_token(_id)?|block_size|.*capacity.*|(block_rout|rout(er|ing)_block).*");
  private static final String OUTPUT = "lm_head.weight";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llada2_moe");
  }

  @Override
  public boolean describes(JsonSettings config) {
    return Architecture.super.describes(config) && !Llada22.isNewer(config);
  }

  /** Sizes of the experts. */
  record Experts(int count, int used, int inner, int shared, int groups, int groupsUsed, double factor, boolean normed, int dense) {
    static Experts read(JsonSettings config, int layers, int groups, int kept) {
      int count = config.count("num_experts");
      int used = config.size("num_experts_per_tok");
      int dense = config.several("first_k_dense_replace", 0);
      if (used > count) {
        throw config.wrong("num_experts_per_tok", "at most num_experts " + count);
      }
      if (count % groups != 0 || groups > 1 && count / groups < 2) {
        throw config.wrong("n_group", "a divisor of num_experts " + count + " into groups of at least 2");
      }
      if (kept > groups || kept * (count / groups) < used) {
        throw config.wrong("topk_group", "up to n_group " + groups + ", with enough experts for num_experts_per_tok " + used);
      }
      if (dense > layers) {
        throw config.wrong("first_k_dense_replace", "0 to num_hidden_layers " + layers);
      }
      int inner = config.size("moe_intermediate_size");
      int shared = config.several("num_shared_experts", 0);
      if ((long) inner * shared > Integer.MAX_VALUE) {
        throw config.wrong("num_shared_experts", "fewer experts of moe_intermediate_size " + inner);
      }
      return new Experts(count, used, inner, shared, groups, kept, config.positive("routed_scaling_factor", 1), config.flag("norm_topk_prob", true), dense);
    }

    int sharedInner() {
      return inner * shared;
    }

    private void addTo(Map<String, MetadataValue> keys, String name) {
      keys.put(name + ".leading_dense_block_count", MetadataValue.uint32(dense));
      keys.put(name + ".expert_count", MetadataValue.uint32(count));
      keys.put(name + ".expert_used_count", MetadataValue.uint32(used));
      keys.put(name + ".expert_shared_count", MetadataValue.uint32(shared));
      keys.put(name + ".expert_feed_forward_length", MetadataValue.uint32(inner));
      if (shared > 0) {
        keys.put(name + ".expert_shared_feed_forward_length", MetadataValue.uint32(sharedInner()));
      }
      keys.put(name + ".expert_weights_scale", MetadataValue.float32(factor));
      keys.put(name + ".expert_weights_norm", MetadataValue.bool(normed));
      keys.put(name + ".expert_gating_func", MetadataValue.uint32(SIGMOID));
      keys.put(name + ".expert_group_count", MetadataValue.uint32(groups));
      keys.put(name + ".expert_group_used_count", MetadataValue.uint32(groupsUsed));
    }
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    refuseNewer(config, Set.of());
    for (String key : List.of("n_group", "topk_group")) { // what they are otherwise, the codes of the family do not agree on
      if (!config.has(key)) {
        throw config.wrong(key, "a positive number");
      }
    }
    TextShape text = read(config, tensors);
    int groups = config.size("n_group", 1);
    Experts experts = Experts.read(config, text.layers(), groups, config.size("topk_group", groups));
    Map<String, MetadataValue> metadata = metadata(NAME, config, text, experts);
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(config.size("block_length", BLOCK)));
    metadata.put("diffusion.pipeline", MetadataValue.string("llada2"));
    SpecialTokens special = SpecialTokens.read(config);
    return new ModelLayout(NAME, text.vocabulary(), metadata, tensors(text, experts), PreTokenizer.LING,
        MASK < text.vocabulary() ? special.withMask(MASK) : special);
  }

  /** Refuses what newer models have, but for these keys. */
  static void refuseNewer(JsonSettings config, Set<String> known) {
    for (String key : config.names()) {
      if (NEWER.matcher(key).matches() && !known.contains(key)) {
        throw config.wrong(key, "none: of LLaDA2.2's keys expert_capacity, block_size, delete_token_id and split_token_id are known");
      }
    }
  }

  /** Keys of the network. */
  static Map<String, MetadataValue> metadata(String name, JsonSettings config, TextShape text, Experts experts) {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(name));
    metadata.put(name + ".rope.dimension_count", MetadataValue.uint32(rotated(config, text)));
    experts.addTo(metadata, name);
    return metadata;
  }

  /** Elements of a head that turn. */
  private static int rotated(JsonSettings config, TextShape text) {
    int rotated = (int) (text.headSize() * RotaryScaling.givenTurningPart(config));
    if (rotated < 2 || rotated > text.headSize() || rotated % 2 != 0) {
      throw config.wrong("partial_rotary_factor", "an even part of the head size " + text.headSize());
    }
    if (config.size("rotary_dim", rotated) != rotated) {
      throw config.wrong("rotary_dim", "partial_rotary_factor of the head size, " + rotated);
    }
    return rotated;
  }

  /** Refuses what the architecture has no place for. */
  static TextShape read(JsonSettings config, Set<String> tensors) {
    config.requireText("hidden_act", "silu");
    config.requireText("score_function", "sigmoid");
    for (String key : List.of("norm_head", "use_bias", "use_qkv_bias", "use_sliding_window")) {
      config.requireFlag(key, false);
    }
    for (String key : List.of("use_qk_norm", "moe_router_enable_expert_bias", "use_rmsnorm")) {
      config.requireFlag(key, true);
    }
    if (config.several("num_nextn_predict_layers", 0) != 0) {
      throw config.wrong("num_nextn_predict_layers", "0");
    }
    config.passOver(List.of("sliding_window", "max_window_layers", "moe_shared_expert_intermediate_size", "mtp_loss_scaling_factor")); // tensors tell the width
    for (String key : List.of("rms_norm_eps", "routed_scaling_factor")) { // what they are otherwise, the codes of the family do not agree on
      if (!config.has(key)) {
        throw config.wrong(key, "a positive number");
      }
    }
    int width = config.size("hidden_size");
    Heads heads = Heads.read(config);
    int context = config.size("max_position_embeddings", 32_768);
    return new TextShape(config.size("vocab_size"), context, width, config.count("num_hidden_layers"), config.size("intermediate_size"), heads.queries(),
        heads.keyValues(), heads.size(), config.positive("rms_norm_eps", 1e-6), RotaryScaling.base(config), RotaryScaling.read(config, context), false,
        config.flag("tie_word_embeddings", false) && !tensors.contains(OUTPUT));
  }

  static List<TensorSource> tensors(TextShape text, Experts experts) {
    long width = text.width();
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.whole("token_embd.weight", "model.word_embeddings.weight", text.vocabulary(), width));
    for (int i = 0; i < text.layers(); i++) {
      String to = "blk." + i + ".";
      String from = "model.layers." + i + ".";
      list.add(TensorSource.whole(to + "attn_norm.weight", from + "input_layernorm.weight", width));
      list.add(TensorSource.whole(to + "attn_qkv.weight", from + "attention.query_key_value.weight", text.queryWidth() + 2 * text.keyValueWidth(), width));
      list.add(TensorSource.whole(to + "attn_q_norm.weight", from + "attention.query_layernorm.weight", text.headSize()));
      list.add(TensorSource.whole(to + "attn_k_norm.weight", from + "attention.key_layernorm.weight", text.headSize()));
      list.add(TensorSource.whole(to + "attn_output.weight", from + "attention.dense.weight", width, text.queryWidth()));
      list.add(TensorSource.whole(to + "ffn_norm.weight", from + "post_attention_layernorm.weight", width));
      if (i < experts.dense()) {
        addGated(list, to + "ffn_%s.weight", from + "mlp.", text.feedForward(), width);
      } else {
        addExperts(list, to, from + "mlp.", experts, width);
      }
    }
    list.add(TensorSource.whole("output_norm.weight", "model.norm.weight", width));
    if (!text.tied()) {
      list.add(TensorSource.whole("output.weight", OUTPUT, text.vocabulary(), width));
    }
    return list;
  }

  private static void addGated(List<TensorSource> list, String to, String from, long inner, long width) {
    list.add(TensorSource.whole(to.formatted("gate"), from + "gate_proj.weight", inner, width));
    list.add(TensorSource.whole(to.formatted("up"), from + "up_proj.weight", inner, width));
    list.add(TensorSource.whole(to.formatted("down"), from + "down_proj.weight", width, inner));
  }

  private static void addExperts(List<TensorSource> list, String to, String from, Experts experts, long width) {
    String expert = from + "experts.%d.";
    list.add(TensorSource.whole(to + "ffn_gate_inp.weight", from + "gate.weight", experts.count(), width));
    list.add(TensorSource.whole(to + "exp_probs_b.bias", from + "gate.expert_bias", experts.count()));
    list.add(TensorSource.bank(to + "ffn_gate_exps.weight", expert + "gate_proj.weight", experts.count(), experts.inner(), width));
    list.add(TensorSource.bank(to + "ffn_up_exps.weight", expert + "up_proj.weight", experts.count(), experts.inner(), width));
    list.add(TensorSource.bank(to + "ffn_down_exps.weight", expert + "down_proj.weight", experts.count(), width, experts.inner()));
    if (experts.shared() > 0) {
      addGated(list, to + "ffn_%s_shexp.weight", from + "shared_experts.", experts.sharedInner(), width);
    }
  }
}
