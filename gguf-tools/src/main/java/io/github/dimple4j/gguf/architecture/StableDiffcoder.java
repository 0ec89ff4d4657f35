package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.architecture.QwenText.Projections;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Stable-DiffCoder, text only: Seed-Coder's LLaMA under block-causal attention. */
public final class StableDiffcoder implements Architecture {
  /** {@code <[MASK_TOKEN]>} in the authors' tokenizer, and the default of their function. */
  private static final int MASK = 5;
  /** The default of the authors' function; the configuration names none. */
  private static final int BLOCK = 4;
  private static final String NAME = "stable-diffcoder";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("llama");
  }

  /** Its configuration is LLaMA's; the class that it names is its own. */
  @Override
  public boolean describes(JsonSettings config) {
    return Architecture.super.describes(config) && config.node("architectures").valueStream().anyMatch(name -> name.asString("").equals("StableDiffcoderForCausalLM"));
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireFlag("attention_bias", false);
    config.requireFlag("mlp_bias", false);
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(config.size("block_size", BLOCK)));
    metadata.put("diffusion.pipeline", MetadataValue.string("stable-diffcoder"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, Projections.PLAIN), PreTokenizer.SEED_CODER,
        SpecialTokens.read(config).withMask(MASK));
  }
}
