package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.architecture.QwenText.Projections;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** SDAR-VL: SDAR's text model under the names of LLaVA-OneVision, whose tower it has. */
public final class SdarVl implements Architecture {
  private static final String NAME = "sdar-vl";
  /** {@code <|image_pad|>} in the authors' tokenizer. */
  private static final int IMAGE = 151655;
  /** Of the authors' generate.py: an answer whose end repeats itself so often is over. */
  private static final int TAIL_REPEATS = 20;

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("sdar_v");
  }

  /** Each row of the logits scores its own position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    JsonSettings text = config.section("text_config");
    text.requireText("model_type", "sdar");
    text.requireFlag("attention_bias", false);
    config.requireFlag("tie_word_embeddings", false);
    TextShape shape = QwenText.read(text, tensors);
    if (config.size("hidden_size", shape.width()) != shape.width()) {
      throw config.wrong("hidden_size", "that of text_config, " + shape.width());
    }
    SiglipVision vision = SiglipVision.read(config, preprocessor);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(shape.metadata(NAME));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    metadata.put("diffusion.block_length", MetadataValue.uint32(text.size("block_size")));
    metadata.put("diffusion.pipeline", MetadataValue.string("sdar"));
    metadata.put("diffusion.tail_repeats", MetadataValue.uint32(TAIL_REPEATS));
    metadata.put(NAME + ".image_token_id", MetadataValue.uint32(config.token("image_token_index").orElse(IMAGE)));
    metadata.putAll(vision.metadata());
    List<TensorSource> list = new ArrayList<>();
    QwenText.tensors(shape, Projections.NORMED).forEach(source -> list.add(source.named(name -> "language_model." + name)));
    list.addAll(vision.tensors());
    return new ModelLayout(NAME, shape.vocabulary(), metadata, list, PreTokenizer.QWEN2, SpecialTokens.read(text).withMask(Sdar.MASK),
        vision.unread());
  }
}
