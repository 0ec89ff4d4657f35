package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Dimple under block-causal attention, as {@code models/mini/block_causal.py} trains it, decoded by the rules of Fast-dLLM v2. */
public final class DimpleBlock implements Architecture {
  private static final String NAME = "dimple-block";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("dimple_block");
  }

  /** Each row of the logits scores the next position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    Map<String, MetadataValue> decoding = new LinkedHashMap<>();
    decoding.put("diffusion.block_length", MetadataValue.uint32(config.size("block_size")));
    decoding.put("diffusion.pipeline", MetadataValue.string("fast-dllm-v2"));
    return Dimple.layout(NAME, decoding, QwenText.read(config, tensors), QwenVision.read(config.section("vision_config"), preprocessor),
        RotaryScaling.sections(config, List.of(16, 24, 24)), Dimple.ImageTokens.read(config), SpecialTokens.read(config));
  }
}
