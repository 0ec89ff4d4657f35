package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import io.github.dimple4j.gguf.checkpoint.JsonSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/**
 * What the vision towers of Qwen2-VL and Qwen2.5-VL have in common: pictures in patches of two frames, a stack of blocks, and a merger of neighbouring patches.
 *
 * @param outputWidth width of the merged image tokens
 * @param minPixels smallest area of a resized image
 * @param maxPixels largest area of a resized image
 */
public record QwenTower(int layers, int width, int heads, int feedForward, int patchSize, int mergeSize, int outputWidth, int minPixels, int maxPixels,
    List<Float> imageMean, List<Float> imageDeviation) {
  private static final int CHANNELS = 3;
  private static final int TEMPORAL_PATCH_SIZE = 2;
  /** Nominal size that llama.cpp's converter writes; the real one follows from the picture. */
  private static final int NOMINAL_IMAGE_SIZE = 560;
  /** The towers' norms have this epsilon whatever the text model's is. */
  private static final double NORM_EPSILON = 1e-6;

  public static final List<Float> CLIP_MEAN = List.of(0.48145466f, 0.4578275f, 0.40821073f);
  public static final List<Float> CLIP_DEVIATION = List.of(0.26862954f, 0.26130258f, 0.27577711f);

  /**
   * Reads {@code vision_config}; what it leaves out has the values of the authors' configuration classes.
   *
   * @param preprocessor {@code preprocessor_config.json}
   * @param widthKey the setting of the tower's own width, 1280 without it
   * @param outputKey the setting of the image tokens' width, 3584 without it
   * @param maxPixels without a setting of its own
   */
  static QwenTower read(JsonSettings config, JsonSettings preprocessor, String widthKey, String outputKey, int feedForward, int maxPixels) {
    for (String key : List.of("in_channels", "in_chans")) {
      requireEqual(config, key, CHANNELS);
    }
    requireEqual(config, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int width = config.size(widthKey, 1280);
    int heads = config.size("num_heads", 16);
    int patchSize = config.size("patch_size", 14);
    int mergeSize = config.size("spatial_merge_size", 2);
    if (width % heads != 0 || width / heads % 4 != 0) {
      throw config.wrong("num_heads", "a divisor of " + widthKey + " " + width + " into heads whose size is a multiple of 4");
    }
    requireEqual(config, "spatial_patch_size", patchSize);
    Preparation.requireNormalized(preprocessor);
    requireEqual(preprocessor, "patch_size", patchSize);
    requireEqual(preprocessor, "merge_size", mergeSize);
    requireEqual(preprocessor, "temporal_patch_size", TEMPORAL_PATCH_SIZE);
    int least = Preparation.pixels(preprocessor, "min_pixels", "shortest_edge", 3136);
    int most = Preparation.pixels(preprocessor, "max_pixels", "longest_edge", maxPixels);
    if (most < least) {
      throw preprocessor.wrong("max_pixels", "at least min_pixels, " + least);
    }
    return new QwenTower(config.has("depth") ? config.count("depth") : 32, width, heads, feedForward, patchSize, mergeSize, config.size(outputKey, 3584),
        least, most, preprocessor.floats("image_mean", CHANNELS, CLIP_MEAN), preprocessor.floats("image_std", CHANNELS, CLIP_DEVIATION));
  }

  /** llama.cpp's keys of an mmproj file of these towers, and those that it leaves to the program; {@code windows} adds what one of them has beside. */
  Map<String, MetadataValue> metadata(String projector, boolean silu, UnaryOperator<ClipKeys> windows) {
    ClipKeys keys = new ClipKeys().projector(projector).activation(silu, false)
        .sizes(NOMINAL_IMAGE_SIZE, patchSize, width, feedForward, layers, outputWidth).colours(imageMean, imageDeviation).attention(heads, NORM_EPSILON);
    return windows.apply(keys).merge(mergeSize, TEMPORAL_PATCH_SIZE).leastPixels(minPixels).mostPixels(maxPixels).metadata();
  }

  /** Adds the tensors of a norm, or of what follows a block's attention, to a list: {@code to} them, {@code from} the checkpoint's. */
  interface Part {
    void add(List<TensorSource> list, String to, String from);
  }

  /** llama.cpp's tensors of these towers; the stacked query, key and value become three tensors each. */
  List<TensorSource> tensors(Part norm, Part feedForwards) {
    long merged = (long) width * mergeSize * mergeSize;
    long[] patch = {width, CHANNELS, TEMPORAL_PATCH_SIZE, patchSize, patchSize};
    List<TensorSource> list = new ArrayList<>();
    list.add(TensorSource.slice("v.patch_embd.weight", "visual.patch_embed.proj.weight", 2, 0, patch));
    list.add(TensorSource.slice("v.patch_embd.weight.1", "visual.patch_embed.proj.weight", 2, 1, patch));
    for (int i = 0; i < layers; i++) {
      String to = "v.blk." + i + ".";
      String from = "visual.blocks." + i + ".";
      norm.add(list, to + "ln1", from + "norm1");
      addAttention(list, to, from);
      norm.add(list, to + "ln2", from + "norm2");
      feedForwards.add(list, to, from);
    }
    norm.add(list, "v.post_ln", "visual.merger.ln_q");
    TensorSource.addLinear(list, "mm.0", "visual.merger.mlp.0", merged, merged);
    TensorSource.addLinear(list, "mm.2", "visual.merger.mlp.2", outputWidth, merged);
    return list;
  }

  private void addAttention(List<TensorSource> list, String to, String from) {
    String[] stacked = {"attn_q", "attn_k", "attn_v"};
    for (int part = 0; part < stacked.length; part++) {
      list.add(TensorSource.rows(to + stacked[part] + ".weight", from + "attn.qkv.weight", part, stacked.length, 3L * width, width));
      list.add(TensorSource.rows(to + stacked[part] + ".bias", from + "attn.qkv.bias", part, stacked.length, 3L * width));
    }
    TensorSource.addLinear(list, to + "attn_out", from + "attn.proj", width, width);
  }

  private static void requireEqual(JsonSettings config, String key, int only) {
    if (config.size(key, only) != only) {
      throw config.wrong(key, String.valueOf(only));
    }
  }
}
