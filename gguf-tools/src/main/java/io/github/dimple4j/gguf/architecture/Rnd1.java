package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** RND1, text only: Qwen3-MoE under full attention. */
public final class Rnd1 implements Architecture {
  private static final String NAME = "rnd1";
  /** That the authors' configuration class names. */
  private static final int MASK = 151669;

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("rnd1");
  }

  /** Each row of the logits scores the next position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireFlag("attention_bias", false);
    config.requireFlag("is_causal", false);
    config.passOver(List.of("num_diffusion_steps"));
    TextShape text = QwenText.read(config, tensors);
    QwenExperts experts = QwenExperts.read(config);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.putAll(experts.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.put("diffusion.pipeline", MetadataValue.string("rnd1"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, experts), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(MASK));
  }
}
