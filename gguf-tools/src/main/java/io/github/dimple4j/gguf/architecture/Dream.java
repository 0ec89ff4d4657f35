package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Dream and its kin, text only. */
public final class Dream implements Architecture {
  /** The mask token that the authors' configuration classes name. */
  static final int MASK = 151666;

  private static final String NAME = "dream";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("Dream", "dream");
  }

  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    if (config.has("expand_token_id")) {
      throw config.wrong("expand_token_id", "none: canvases that grow and shrink (DreamOn) are not done");
    }
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(MASK));
  }
}
