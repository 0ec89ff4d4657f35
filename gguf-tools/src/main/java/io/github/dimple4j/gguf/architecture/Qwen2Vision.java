package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The shape of a Qwen2-VL vision tower and its image preprocessing: no windows, layer norms, quick GELU.
 *
 * @param outputWidth width of the merged image tokens
 * @param minPixels smallest area of a resized image
 * @param maxPixels largest area of a resized image
 */
record Qwen2Vision(int layers, int width, int heads, int feedForward, int patchSize, int mergeSize, int outputWidth, int minPixels, int maxPixels,
    List<Float> imageMean, List<Float> imageDeviation) {
  private static final int CHANNELS = 3;
  private static final int TEMPORAL_PATCH_SIZE = 2;
  /** Nominal size that llama.cpp's converter writes; the real one follows from the picture. */
  private static final int NOMINAL_IMAGE_SIZE = 560;
  /** The tower's norms have this epsilon whatever the text model's is. */
  private static final double NORM_EPSILON = 1e-6;

  /**
   * Reads {@code vision_config}; what it leaves out has the values of the authors' configuration class.
   *
   * @param preprocessor {@code preprocessor_config.json}
   */
  static Qwen2Vision read(JsonSettings config, JsonSettings preprocessor) {
    if (!config.text("hidden_act", "quick_gelu").equals("quick_gelu")) {
      throw config.wrong("hidden_act", "\"quick_gelu\"");
    }
    for (String key : List.of("in_channels", "in_chans")) {
      requireEqual(config, key, CHANNELS);
    }
    requireEqual(config, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int width = config.size("embed_dim", 1280);
    int heads = config.size("num_heads", 16);
    int patchSize = config.size("patch_size", 14);
    int mergeSize = config.size("spatial_merge_size", 2);
    if (width % heads != 0 || width / heads % 4 != 0) {
      throw config.wrong("num_heads", "a divisor of embed_dim " + width + " into heads whose size is a multiple of 4");
    }
    requireEqual(config, "spatial_patch_size", patchSize);
    Preparation.requireNormalized(preprocessor);
    requireEqual(preprocessor, "patch_size", patchSize);
    requireEqual(preprocessor, "merge_size", mergeSize);
    requireEqual(preprocessor, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int minPixels = Preparation.pixels(preprocessor, "min_pixels", "shortest_edge", 3136);
    int maxPixels = Preparation.pixels(preprocessor, "max_pixels", "longest_edge", 3211264);
    if (maxPixels < minPixels) {
      throw preprocessor.wrong("max_pixels", "at least min_pixels, " + minPixels);
    }
    return new Qwen2Vision(config.has("depth") ? config.count("depth") : 32, width, heads, (int) (width * config.positive("mlp_ratio", 4)), patchSize,
        mergeSize, config.size("hidden_size", 3584), minPixels, maxPixels, preprocessor.floats("image_mean", CHANNELS, QwenVision.CLIP_MEAN),
        preprocessor.floats("image_std", CHANNELS, QwenVision.CLIP_DEVIATION));
  }

  /** llama.cpp's keys of a {@code qwen2vl_merger} mmproj file, and those that it leaves to the program. */
  Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("clip.has_vision_encoder", MetadataValue.bool(true));
    keys.put("clip.projector_type", MetadataValue.string("qwen2vl_merger"));
    keys.put("clip.use_silu", MetadataValue.bool(false));
    keys.put("clip.use_gelu", MetadataValue.bool(false));
    keys.put("clip.vision.image_size", MetadataValue.uint32(NOMINAL_IMAGE_SIZE));
    keys.put("clip.vision.patch_size", MetadataValue.uint32(patchSize));
    keys.put("clip.vision.embedding_length", MetadataValue.uint32(width));
    keys.put("clip.vision.feed_forward_length", MetadataValue.uint32(feedForward));
    keys.put("clip.vision.block_count", MetadataValue.uint32(layers));
    keys.put("clip.vision.projection_dim", MetadataValue.uint32(outputWidth));
    keys.put("clip.vision.image_mean", MetadataValue.float32s(imageMean));
    keys.put("clip.vision.image_std", MetadataValue.float32s(imageDeviation));
    keys.put("clip.vision.attention.head_count", MetadataValue.uint32(heads));
    keys.put("clip.vision.attention.layer_norm_epsilon", MetadataValue.float32(NORM_EPSILON));
    keys.put("clip.vision.spatial_merge_size", MetadataValue.uint32(mergeSize));
    keys.put("clip.vision.temporal_patch_size", MetadataValue.uint32(TEMPORAL_PATCH_SIZE));
    keys.put("clip.vision.image_min_pixels", MetadataValue.uint32(minPixels));
    keys.put("clip.vision.image_max_pixels", MetadataValue.uint32(maxPixels));
    return keys;
  }

  /** llama.cpp's tensors of a {@code qwen2vl_merger}; the stacked query, key and value become three tensors each. */
  List<TensorSource> tensors() {
    long merged = (long) width * mergeSize * mergeSize;
    long[] patch = {width, CHANNELS, TEMPORAL_PATCH_SIZE, patchSize, patchSize};
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.slice("v.patch_embd.weight", "visual.patch_embed.proj.weight", 2, 0, patch));
    list.add(TensorSource.slice("v.patch_embd.weight.1", "visual.patch_embed.proj.weight", 2, 1, patch));
    for (int i = 0; i < layers; i++) {
      String to = "v.blk." + i + ".";
      String from = "visual.blocks." + i + ".";
      addNorm(list, to + "ln1", from + "norm1");
      QwenVision.addAttention(list, to, from, width);
      addNorm(list, to + "ln2", from + "norm2");
      TensorSource.addLinear(list, to + "ffn_up", from + "mlp.fc1", feedForward, width);
      TensorSource.addLinear(list, to + "ffn_down", from + "mlp.fc2", width, feedForward);
    }
    addNorm(list, "v.post_ln", "visual.merger.ln_q");
    TensorSource.addLinear(list, "mm.0", "visual.merger.mlp.0", merged, merged);
    TensorSource.addLinear(list, "mm.2", "visual.merger.mlp.2", outputWidth, merged);
    return list;
  }

  private void addNorm(List<TensorSource> list, String to, String from) {
    list.add(TensorSource.whole(to + ".weight", from + ".weight", width));
    list.add(TensorSource.whole(to + ".bias", from + ".bias", width));
  }

  private static void requireEqual(JsonSettings config, String key, int only) {
    if (config.size(key, only) != only) {
      throw config.wrong(key, String.valueOf(only));
    }
  }
}
