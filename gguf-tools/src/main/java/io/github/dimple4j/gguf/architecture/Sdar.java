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

/** SDAR, text only: Qwen3 under block-causal attention. */
public final class Sdar implements Architecture {
  /** {@code <|MASK|>} in the authors' tokenizer. */
  static final int MASK = 151669;
  private static final String NAME = "sdar";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("sdar");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireFlag("attention_bias", false);
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(config.size("block_size")));
    metadata.put("diffusion.pipeline", MetadataValue.string("sdar"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, Projections.NORMED), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(MASK));
  }
}
