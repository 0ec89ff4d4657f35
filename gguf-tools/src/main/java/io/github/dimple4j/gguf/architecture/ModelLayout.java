package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.GgufException;
import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import io.github.dimple4j.gguf.checkpoint.SpecialTokens;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * What a model's GGUF file holds: keys that describe the model, without the tokenizer's, and tensors with their places in a
 * checkpoint.
 *
 * @param vocabulary rows of the embedding matrix
 * @param preTokenizer {@code tokenizer.ggml.pre} where the tokenizer's files do not tell
 * @param special ids from the configuration
 */
public record ModelLayout(String architecture, int vocabulary, Map<String, MetadataValue> metadata, List<TensorSource> tensors,
    String preTokenizer, SpecialTokens special) {
  private static final Pattern ROTARY_TABLE = Pattern.compile("(.*\\.)?rotary_(pos_)?emb\\.inv_freq");

  /** Image placeholders of Dimple's vocabulary. */
  public record ImageTokens(int image, int video, int visionStart, int visionEnd) {
    /** The authors' defaults, which are the Qwen2.5-VL vocabulary's. */
    static final ImageTokens QWEN = new ImageTokens(151655, 151656, 151652, 151653);

    static ImageTokens read(JsonSettings config) {
      return new ImageTokens(config.token("image_token_id").orElse(QWEN.image), config.token("video_token_id").orElse(QWEN.video),
          config.token("vision_start_token_id").orElse(QWEN.visionStart), config.token("vision_end_token_id").orElse(QWEN.visionEnd));
    }
  }

  /** Mask tokens that the authors' configuration classes name. */
  private static final int DREAM_MASK = 151666;
  private static final int LLADA_MASK = 126336;

  /** The layout that a checkpoint's configuration asks for; {@code names} are those of the checkpoint's tensors. */
  public static ModelLayout read(JsonSettings config, JsonSettings preprocessor, Set<String> names) {
    boolean hasOutput = names.contains(DecoderConfig.OUTPUT);
    String type = config.text("model_type", "");
    return switch (type) {
      case "dimple" -> dimple(DecoderConfig.read(config, hasOutput), VisionConfig.read(config.section("vision_config"), preprocessor),
          config.integers("mrope_section", List.of(16, 24, 24)), ImageTokens.read(config), SpecialTokens.read(config));
      case "Dream", "dream" -> dream(DecoderConfig.read(config, hasOutput), SpecialTokens.read(config));
      case "llada" -> llada(Llada.read(config, names.contains(Llada.OUTPUT)), SpecialTokens.read(config));
      default -> throw config.wrong("model_type", "\"dimple\", \"Dream\" or \"llada\"");
    };
  }

  /** Whether a file deliberately does without a checkpoint's tensor: rotary frequencies follow from the configuration. */
  public static boolean isLeftOut(String checkpointName) {
    return ROTARY_TABLE.matcher(checkpointName).matches();
  }

  /** Dimple: Dream's text model, a Qwen2.5-VL vision tower, and a two-layer projector between them. */
  public static ModelLayout dimple(DecoderConfig decoder, VisionConfig vision, List<Integer> sections, ImageTokens images,
      SpecialTokens special) {
    if (sections.size() != 3 || sections.stream().mapToInt(Integer::intValue).sum() != decoder.headSize() / 2) {
      throw new GgufException("config.json: \"mrope_section\" " + sections + " is not three sizes that add up to half the head size, "
          + decoder.headSize() / 2);
    }
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(decoder.metadata("dimple"));
    metadata.put("dimple.rope.dimension_sections", MetadataValue.int32s(sections.get(0), sections.get(1), sections.get(2), 0));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    metadata.put("dimple.image_token_id", MetadataValue.uint32(images.image()));
    metadata.put("dimple.video_token_id", MetadataValue.uint32(images.video()));
    metadata.put("dimple.vision_start_token_id", MetadataValue.uint32(images.visionStart()));
    metadata.put("dimple.vision_end_token_id", MetadataValue.uint32(images.visionEnd()));
    metadata.putAll(vision.metadata());
    List<TensorSource> tensors = new ArrayList<>(decoder.tensors());
    tensors.addAll(vision.tensors());
    VisionConfig.addLinear(tensors, "mm.img_projector.0", "img_projector.linear_1", decoder.width(), vision.outputWidth());
    VisionConfig.addLinear(tensors, "mm.img_projector.2", "img_projector.linear_2", decoder.width(), decoder.width());
    return new ModelLayout("dimple", decoder.vocabulary(), metadata, tensors, "qwen2", special.withMask(DREAM_MASK));
  }

  /** Dream and its kin, text only. */
  public static ModelLayout dream(DecoderConfig decoder, SpecialTokens special) {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(decoder.metadata("dream"));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(true));
    return new ModelLayout("dream", decoder.vocabulary(), metadata, decoder.tensors(), "qwen2", special.withMask(DREAM_MASK));
  }

  /** LLaDA, text only; each row of its logits scores its own position. */
  public static ModelLayout llada(DecoderConfig decoder, SpecialTokens special) {
    Map<String, MetadataValue> metadata = new LinkedHashMap<>(decoder.metadata("llada"));
    metadata.put("diffusion.shift_logits", MetadataValue.bool(false));
    return new ModelLayout("llada", decoder.vocabulary(), metadata, Llada.tensors(decoder), "llada-moe", special.withMask(LLADA_MASK));
  }
}
