package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.PreTokenizer;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Dimple: Dream's text model, a Qwen2.5-VL vision tower, and a two-layer projector between them. */
public final class Dimple implements Architecture {
  private static final String NAME = "dimple";

  /** Image placeholders of the vocabulary. */
  public record ImageTokens(int image, int video, int visionStart, int visionEnd) {
    /** The authors' defaults, which are the Qwen2.5-VL vocabulary's. */
    private static final ImageTokens QWEN = new ImageTokens(151655, 151656, 151652, 151653);

    static ImageTokens read(JsonSettings config) {
      return new ImageTokens(config.token("image_token_id").orElse(QWEN.image), config.token("video_token_id").orElse(QWEN.video),
          config.token("vision_start_token_id").orElse(QWEN.visionStart), config.token("vision_end_token_id").orElse(QWEN.visionEnd));
    }

    Map<String, MetadataValue> metadata(String architecture) {
      Map<String, MetadataValue> keys = new LinkedHashMap<>();
      keys.put(architecture + ".image_token_id", MetadataValue.uint32(image));
      keys.put(architecture + ".video_token_id", MetadataValue.uint32(video));
      keys.put(architecture + ".vision_start_token_id", MetadataValue.uint32(visionStart));
      keys.put(architecture + ".vision_end_token_id", MetadataValue.uint32(visionEnd));
      return keys;
    }
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public List<String> modelTypes() {
    return List.of("dimple");
  }

  @Override
  public ModelLayout layout(JsonSettings config, JsonSettings preprocessor, Set<String> tensors) {
    return layout(QwenText.read(config, tensors), QwenVision.read(config.section("vision_config"), preprocessor),
        RotaryScaling.sections(config, List.of(16, 24, 24)), ImageTokens.read(config), SpecialTokens.read(config));
  }

  /**
   * What the file of a model of a shape holds.
   *
   * @param sections angles that follow time, row and column of a position; together half the head size
   */
  public static ModelLayout layout(TextShape text, QwenVision vision, List<Integer> sections, ImageTokens images, SpecialTokens special) {
    return layout(NAME, Map.of(), text, vision, sections, images, special);
  }

  /** The same of an architecture with Dimple's tensors, and keys of its own on how it is decoded. */
  static ModelLayout layout(String architecture, Map<String, MetadataValue> decoding, TextShape text, QwenVision vision, List<Integer> sections,
      ImageTokens images, SpecialTokens special) {
    checkSections(text, sections);
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(text.metadata(architecture));
    metadata.put(architecture + ".rope.dimension_sections", MetadataValue.int32s(sections.get(0), sections.get(1), sections.get(2), 0));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.putAll(decoding);
    metadata.putAll(images.metadata(architecture));
    metadata.putAll(vision.metadata());
    List<TensorSource> tensors = new ArrayList<>(QwenText.tensors(text));
    tensors.addAll(vision.tensors());
    TensorSource.addLinear(tensors, "mm.img_projector.0", "img_projector.linear_1", text.width(), vision.tower().outputWidth());
    TensorSource.addLinear(tensors, "mm.img_projector.2", "img_projector.linear_2", text.width(), text.width());
    return new ModelLayout(architecture, text.vocabulary(), metadata, tensors, PreTokenizer.QWEN2, special.withMask(Dream.MASK));
  }

  static void checkSections(TextShape text, List<Integer> sections) {
    if (sections.size() != 3 || sections.stream().mapToInt(Integer::intValue).sum() != text.headSize() / 2) {
      throw new GgufException("config.json: \"mrope_section\" " + sections + " is not three sizes that add up to half the head size, "
          + text.headSize() / 2);
    }
  }
}
