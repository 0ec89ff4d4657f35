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

/** Fast-dLLM v2, text only: Qwen2.5 under block-causal attention. */
public final class FastDllmV2 implements Architecture {
  /** {@code |<MASK>|} in the authors' tokenizer. */
  private static final int MASK = 151665;
  /** That the authors train with, and the default of their configuration. */
  private static final int BLOCK = 32;
  private static final String NAME = "fast-dllm-v2";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("Fast_dLLM_Qwen");
  }

  /** Each row of the logits scores the next position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.put("diffusion.block_length", MetadataValue.uint32(config.size("bd_size", BLOCK)));
    metadata.put("diffusion.pipeline", MetadataValue.string("fast-dllm-v2"));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text, Projections.BIASED), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(MASK));
  }
}
