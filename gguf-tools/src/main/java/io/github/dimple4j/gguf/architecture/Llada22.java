package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.architecture.Llada2.Experts;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * LLaDA2.2: LLaDA2.1's network, whose rows are routed by blocks instead of experts in groups (the configuration still has groups, which nothing reads), and two
 * tokens that edit.
 */
public final class Llada22 implements Architecture {
  private static final String NAME = "llada22";
  private static final Set<String> KEYS = Set.of("expert_capacity", "block_size", "delete_token_id", "split_token_id");
  /** Rows that the core routes together at most. */
  private static final int MOST_ROWS = 256;

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
    return Architecture.super.describes(config) && isNewer(config);
  }

  /** Whether a configuration has what LLaDA2.1's have not. */
  static boolean isNewer(JsonSettings config) {
    return KEYS.stream().anyMatch(config::has);
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    Llada2.refuseNewer(config, KEYS);
    config.requireFlag("using_split_qkv_in_self_attention", false);
    config.passOver(List.of("n_group", "topk_group"));
    if (!config.has("max_position_embeddings")) { // LLaDA2.1's are a quarter of these
      throw config.wrong("max_position_embeddings", "a positive number");
    }
    if (!config.has("rope_theta") && !config.has("rope_parameters")) {
      throw config.wrong("rope_theta", "a positive number");
    }
    TextShape text = Llada2.read(config, tensors);
    Experts experts = Experts.read(config, text.layers(), 1, 1);
    int rows = config.size("block_size");
    int block = config.size("block_length", Math.max(rows, Llada2.BLOCK));
    if (rows > MOST_ROWS || Integer.bitCount(rows) != 1 || block % rows != 0) {
      throw config.wrong("block_size", "a power of two up to " + MOST_ROWS + " that divides the block's length " + block);
    }
    int admitted = config.size("expert_capacity");
    if (admitted < experts.used() || admitted > experts.count()) {
      throw config.wrong("expert_capacity", "num_experts_per_tok " + experts.used() + " to num_experts " + experts.count());
    }
    Map<String, MetadataValue> metadata = Llada2.metadata(NAME, config, text, experts);
    metadata.put(NAME + ".expert_block_size", MetadataValue.uint32(rows));
    metadata.put(NAME + ".expert_capacity", MetadataValue.uint32(admitted));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(block));
    metadata.put("diffusion.pipeline", MetadataValue.string("llada22"));
    SpecialTokens special = special(config, text.vocabulary());
    int delete = token(config, "delete_token_id", text.vocabulary());
    int split = token(config, "split_token_id", text.vocabulary());
    if (delete == split || special.mask().getAsInt() == delete || special.mask().getAsInt() == split) {
      throw config.wrong("split_token_id", "another token than the mask " + special.mask().getAsInt() + " and delete_token_id " + delete);
    }
    metadata.put("tokenizer.ggml.delete_token_id", MetadataValue.uint32(delete));
    metadata.put("tokenizer.ggml.split_token_id", MetadataValue.uint32(split));
    return new ModelLayout(NAME, text.vocabulary(), metadata, Llada2.tensors(text, experts), PreTokenizer.LING, special);
  }

  private static SpecialTokens special(JsonSettings config, int vocabulary) {
    SpecialTokens special = SpecialTokens.read(config);
    if (special.mask().isEmpty() && Llada2.MASK >= vocabulary) {
      throw config.wrong("mask_token_id", "an id below the vocabulary's " + vocabulary + ": it has no token " + Llada2.MASK);
    }
    return special.withMask(Llada2.MASK);
  }

  private static int token(JsonSettings config, String key, int vocabulary) {
    return config.token(key).stream().filter(id -> id < vocabulary).findFirst().orElseThrow(() -> config.wrong(key, "an id below the vocabulary's " + vocabulary));
  }
}
