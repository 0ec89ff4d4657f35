package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/** Dream and its kin, DreamOn among them, text only. */
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
    TextShape text = QwenText.read(config, tensors);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.putAll(expansion(config, text.vocabulary()));
    return new ModelLayout(NAME, text.vocabulary(), metadata, QwenText.tensors(text), PreTokenizer.QWEN2,
        SpecialTokens.read(config).withMask(MASK));
  }

  /** DreamOn is Dream with a token that becomes two masks, which its authors name where they name how it is decoded. */
  @Override
  public Map<String, MetadataValue> decoding(JsonSettings generation) {
    return expansion(generation, Integer.MAX_VALUE);
  }

  private static Map<String, MetadataValue> expansion(JsonSettings settings, int vocabulary) {
    OptionalInt token = settings.token("expand_token_id");
    if (token.isEmpty()) {
      return Map.of();
    }
    if (token.getAsInt() >= vocabulary) {
      throw settings.wrong("expand_token_id", "an id below the vocabulary's " + vocabulary);
    }
    return Map.of("tokenizer.ggml.expand_token_id", MetadataValue.uint32(token.getAsInt()), "diffusion.pipeline", MetadataValue.string("dreamon"));
  }
}
