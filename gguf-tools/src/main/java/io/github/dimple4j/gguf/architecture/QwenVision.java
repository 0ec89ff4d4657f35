package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The shape of a Qwen2.5-VL vision tower and its image preprocessing.
 *
 * @param fullAttentionLayers layers that attend to the whole image; the others attend within windows
 * @param outputWidth width of the merged image tokens
 * @param minPixels smallest area of a resized image
 * @param maxPixels largest area of a resized image
 */
public record QwenVision(int layers, int width, int heads, int feedForward, int patchSize, int temporalPatchSize, int mergeSize,
    int windowSize, List<Integer> fullAttentionLayers, int outputWidth, int minPixels, int maxPixels, List<Float> imageMean,
    List<Float> imageDeviation) {
  private static final int CHANNELS = 3;
  private static final int TEMPORAL_PATCH_SIZE = 2;
  /** Nominal size that llama.cpp's converter writes; the real one follows from the picture. */
  private static final int NOMINAL_IMAGE_SIZE = 560;
  /** The tower's RMS norms have this epsilon whatever the text model's is. */
  private static final double NORM_EPSILON = 1e-6;

  public static final List<Float> CLIP_MEAN = List.of(0.48145466f, 0.4578275f, 0.40821073f);
  public static final List<Float> CLIP_DEVIATION = List.of(0.26862954f, 0.26130258f, 0.27577711f);

  /**
   * Reads {@code vision_config}; what it leaves out has the values of the authors' configuration class.
   *
   * @param preprocessor {@code preprocessor_config.json}
   */
  static QwenVision read(JsonSettings config, JsonSettings preprocessor) {
    config.requireText("hidden_act", "silu");
    for (String key : List.of("in_channels", "in_chans")) {
      requireEqual(config, key, CHANNELS);
    }
    requireEqual(config, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int layers = config.has("depth") ? config.count("depth") : 32;
    int width = config.size("hidden_size", 1280);
    int heads = config.size("num_heads", 16);
    int patchSize = config.size("patch_size", 14);
    int mergeSize = config.size("spatial_merge_size", 2);
    int windowSize = config.size("window_size", 112);
    if (width % heads != 0 || width / heads % 4 != 0) {
      throw config.wrong("num_heads", "a divisor of hidden_size " + width + " into heads whose size is a multiple of 4");
    }
    if (windowSize % (patchSize * mergeSize) != 0) {
      throw config.wrong("window_size", "a multiple of patch_size x spatial_merge_size, " + patchSize * mergeSize);
    }
    List<Integer> full = config.integers("fullatt_block_indexes", List.of(7, 15, 23, 31)).stream().sorted().distinct().toList();
    if (!full.isEmpty() && full.getLast() >= layers) {
      throw config.wrong("fullatt_block_indexes", "indexes below the depth, " + layers);
    }
    requireEqual(config, "spatial_patch_size", patchSize);
    Preparation.requireNormalized(preprocessor);
    requireEqual(preprocessor, "patch_size", patchSize);
    requireEqual(preprocessor, "merge_size", mergeSize);
    requireEqual(preprocessor, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int minPixels = Preparation.pixels(preprocessor, "min_pixels", "shortest_edge", 3136);
    int maxPixels = Preparation.pixels(preprocessor, "max_pixels", "longest_edge", 1003520);
    if (maxPixels < minPixels) {
      throw preprocessor.wrong("max_pixels", "at least min_pixels, " + minPixels);
    }
    return new QwenVision(layers, width, heads, config.size("intermediate_size", 3420), patchSize, TEMPORAL_PATCH_SIZE, mergeSize,
        windowSize, full, config.size("out_hidden_size", 3584), minPixels, maxPixels,
        preprocessor.floats("image_mean", CHANNELS, CLIP_MEAN), preprocessor.floats("image_std", CHANNELS, CLIP_DEVIATION));
  }

  /** llama.cpp's keys of a {@code qwen2.5vl_merger} mmproj file, and those that it leaves to the program. */
  Map<String, MetadataValue> metadata() {
    Map<String, MetadataValue> keys = new LinkedHashMap<>();
    keys.put("clip.has_vision_encoder", MetadataValue.bool(true));
    keys.put("clip.projector_type", MetadataValue.string("qwen2.5vl_merger"));
    keys.put("clip.use_silu", MetadataValue.bool(true));
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
    int period = fullAttentionPeriod();
    if (period > 0) {
      keys.put("clip.vision.n_wa_pattern", MetadataValue.uint32(period));
    }
    keys.put("clip.vision.fullatt_block_indexes",
        MetadataValue.int32s(fullAttentionLayers.stream().mapToInt(Integer::intValue).toArray()));
    keys.put("clip.vision.window_size", MetadataValue.uint32(windowSize));
    keys.put("clip.vision.spatial_merge_size", MetadataValue.uint32(mergeSize));
    keys.put("clip.vision.temporal_patch_size", MetadataValue.uint32(temporalPatchSize));
    keys.put("clip.vision.image_min_pixels", MetadataValue.uint32(minPixels));
    keys.put("clip.vision.image_max_pixels", MetadataValue.uint32(maxPixels));
    return keys;
  }

  /** Attention of a block of either tower of Qwen's: query, key and value, stacked in one tensor, and the projection of their result. */
  static void addAttention(List<TensorSource> list, String to, String from, long width) {
    String[] stacked = {"attn_q", "attn_k", "attn_v"};
    for (int part = 0; part < stacked.length; part++) {
      list.add(TensorSource.rows(to + stacked[part] + ".weight", from + "attn.qkv.weight", part, stacked.length, 3L * width, width));
      list.add(TensorSource.rows(to + stacked[part] + ".bias", from + "attn.qkv.bias", part, stacked.length, 3L * width));
    }
    TensorSource.addLinear(list, to + "attn_out", from + "attn.proj", width, width);
  }

  /** llama.cpp's tensors of a {@code qwen2.5vl_merger}; the stacked query, key and value become three tensors each. */
  public List<TensorSource> tensors() {
    long merged = (long) width * mergeSize * mergeSize;
    long[] patch = {width, CHANNELS, temporalPatchSize, patchSize, patchSize};
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.slice("v.patch_embd.weight", "visual.patch_embed.proj.weight", 2, 0, patch));
    list.add(TensorSource.slice("v.patch_embd.weight.1", "visual.patch_embed.proj.weight", 2, 1, patch));
    for (int i = 0; i < layers; i++) {
      String to = "v.blk." + i + ".";
      String from = "visual.blocks." + i + ".";
      list.add(TensorSource.whole(to + "ln1.weight", from + "norm1.weight", width));
      addAttention(list, to, from, width);
      list.add(TensorSource.whole(to + "ln2.weight", from + "norm2.weight", width));
      TensorSource.addLinear(list, to + "ffn_gate", from + "mlp.gate_proj", feedForward, width);
      TensorSource.addLinear(list, to + "ffn_up", from + "mlp.up_proj", feedForward, width);
      TensorSource.addLinear(list, to + "ffn_down", from + "mlp.down_proj", width, feedForward);
    }
    list.add(TensorSource.whole("v.post_ln.weight", "visual.merger.ln_q.weight", width));
    TensorSource.addLinear(list, "mm.0", "visual.merger.mlp.0", merged, merged);
    TensorSource.addLinear(list, "mm.2", "visual.merger.mlp.2", outputWidth, merged);
    return list;
  }

  /** n if the full-attention layers are exactly n-1, 2n-1, ..., which is all that llama.cpp can say; otherwise 0. */
  private int fullAttentionPeriod() {
    int period = fullAttentionLayers.isEmpty() ? 0 : fullAttentionLayers.getFirst() + 1;
    List<Integer> periodic = new ArrayList<>();
    for (int i = period - 1; period > 0 && i < layers; i += period) {
      periodic.add(i);
    }
    return periodic.equals(fullAttentionLayers) ? period : 0;
  }

  private static void requireEqual(JsonSettings config, String key, int only) {
    if (config.size(key, only) != only) {
      throw config.wrong(key, String.valueOf(only));
    }
  }
}
