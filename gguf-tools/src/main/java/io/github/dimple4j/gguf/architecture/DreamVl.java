package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Dream-VL: Dream's text model, a Qwen2-VL vision tower, and a two-layer projector between them. */
public final class DreamVl implements Architecture {
  private static final String NAME = "dream-vl";

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("dream-vl");
  }

  /** Each row of the logits scores the next position. */
  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    config.requireText("projector_hidden_act", "gelu");
    TextShape text = QwenText.read(config, tensors);
    Qwen2Vision vision = Qwen2Vision.read(config.section("vision_config"), preprocessor);
    List<Integer> sections = RotaryScaling.sections(config, List.of(16, 24, 24));
    Dimple.checkSections(text, sections);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(NAME));
    metadata.put(NAME + ".rope.dimension_sections", MetadataValue.int32s(sections.get(0), sections.get(1), sections.get(2), 0));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.put("diffusion.pipeline", MetadataValue.string("dream"));
    metadata.putAll(Dimple.ImageTokens.read(config).metadata(NAME));
    metadata.putAll(vision.metadata());
    List<TensorSource> list = new ArrayList<>(QwenText.tensors(text));
    list.addAll(vision.tensors());
    TensorSource.addLinear(list, "mm.img_projector.0", "projector.linear_1", text.width(), vision.tower().outputWidth());
    TensorSource.addLinear(list, "mm.img_projector.2", "projector.linear_2", text.width(), text.width());
    return new ModelLayout(NAME, text.vocabulary(), metadata, list, PreTokenizer.QWEN2, SpecialTokens.read(config).withMask(Dream.MASK));
  }
}
