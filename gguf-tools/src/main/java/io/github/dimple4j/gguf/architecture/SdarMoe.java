package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** SDAR with a mixture of experts (30B-A3B), text only: Qwen3-MoE under block-causal attention. */
public final class SdarMoe implements Architecture {
  private static final String NAME = "sdar-moe";
  /** That the 30B-A3B models are trained with, where the configuration names none. */
  private static final int BLOCK = 4;

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("sdar_moe");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireFlag("attention_bias", false);
    TextShape text = QwenText.read(config, tensors);
    QwenExperts experts = QwenExperts.read(config);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.putAll(experts.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(config.size("block_size", BLOCK)));
    metadata.put("diffusion.pipeline", MetadataValue.string("sdar"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, experts), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(Sdar.MASK));
  }
}
