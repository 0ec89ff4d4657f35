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

/**
 * Qwen3 turned into a diffusion model by dLLM, text only. Its configuration does not tell which of dLLM's two samplers it was trained for: the file
 * says {@code mdlm}, and {@code --pipeline bd3lm} is the other.
 */
public final class A2dQwen3 implements Architecture {
  private static final String NAME = "a2d-qwen3";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("a2d-qwen3");
  }

  /** Each row of the logits scores its own position. The mask token is one that dLLM has added to the tokenizer. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireFlag("attention_bias", false);
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.pipeline", MetadataValue.string("mdlm"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, Projections.NORMED), PreTokenizer.QWEN2,
        SpecialTokens.read(config));
  }
}
