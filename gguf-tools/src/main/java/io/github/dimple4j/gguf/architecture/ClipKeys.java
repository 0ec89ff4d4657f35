package io.github.dimple4j.gguf.architecture;

import io.github.dimple4j.gguf.MetadataValue;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** llama.cpp's keys of a vision tower, and our own beside them. Their names stand here alone; a file has them in the order in which a tower says them. */
final class ClipKeys {
  private final Map<String, MetadataValue> keys = new LinkedHashMap<>();

  ClipKeys() {
    keys.put("clip.has_vision_encoder", MetadataValue.bool(true));
  }

  Map<String, MetadataValue> metadata() {
    return keys;
  }

  private ClipKeys vision(String key, MetadataValue value) {
    keys.put("clip.vision." + key, value);
    return this;
  }

  ClipKeys projector(String kind) {
    keys.put("clip.projector_type", MetadataValue.string(kind));
    return this;
  }

  /** The same in files that might have encoders of other kinds beside this one. */
  ClipKeys projectorOfVision(String kind) {
    return vision("projector_type", MetadataValue.string(kind));
  }

  ClipKeys llavaProjector() {
    keys.put("clip.has_llava_projector", MetadataValue.bool(true));
    return projector("mlp");
  }

  /** None of both is the quick GELU. */
  ClipKeys activation(boolean silu, boolean gelu) {
    keys.put("clip.use_silu", MetadataValue.bool(silu));
    keys.put("clip.use_gelu", MetadataValue.bool(gelu));
    return this;
  }

  /**
   * Sizes of the tower.
   *
   * @param imageSize pixels of a picture's side, a nominal one where pictures have any size
   * @param outputWidth width of the projected tokens
   */
  ClipKeys sizes(int imageSize, int patchSize, int width, int feedForward, int layers, int outputWidth) {
    vision("image_size", MetadataValue.uint32(imageSize));
    vision("patch_size", MetadataValue.uint32(patchSize));
    vision("embedding_length", MetadataValue.uint32(width));
    vision("feed_forward_length", MetadataValue.uint32(feedForward));
    vision("block_count", MetadataValue.uint32(layers));
    return vision("projection_dim", MetadataValue.uint32(outputWidth));
  }

  ClipKeys colours(List<Float> means, List<Float> deviations) {
    return vision("image_mean", MetadataValue.float32s(means)).vision("image_std", MetadataValue.float32s(deviations));
  }

  ClipKeys attention(int heads, double normEpsilon) {
    return vision("attention.head_count", MetadataValue.uint32(heads)).vision("attention.layer_norm_epsilon", MetadataValue.float32(normEpsilon));
  }

  /**
   * Layers that attend within windows.
   *
   * @param period n if the others are exactly n-1, 2n-1, ...; otherwise 0
   * @param full the others
   * @param size pixels of a window's side
   */
  ClipKeys windows(int period, List<Integer> full, int size) {
    if (period > 0) {
      vision("n_wa_pattern", MetadataValue.uint32(period));
    }
    return vision("fullatt_block_indexes", integers(full)).vision("window_size", MetadataValue.uint32(size));
  }

  /** Patches, of which neighbours become one token: so many frames each, so many patches a side. */
  ClipKeys merge(int side, int frames) {
    return vision("spatial_merge_size", MetadataValue.uint32(side)).vision("temporal_patch_size", MetadataValue.uint32(frames));
  }

  /** Patches per side of a square that becomes a token by their mean. */
  ClipKeys pool(int side) {
    return vision("projector.scale_factor", MetadataValue.uint32(side));
  }

  /** The smallest area of a resized picture. */
  ClipKeys leastPixels(int area) {
    return vision("image_min_pixels", MetadataValue.uint32(area));
  }

  /** The largest area of a resized picture. */
  ClipKeys mostPixels(int area) {
    return vision("image_max_pixels", MetadataValue.uint32(area));
  }

  /**
   * Tiles of a picture, whose features are packed without what was padded.
   *
   * @param aspectRatio {@code anyres_max_N} or {@code anyres}
   * @param rules whose code cuts and packs, a key of our own
   * @param pooled whether a tile's features are pooled by two
   * @param pinpoints heights and widths in pixels, a pair for each way to lay tiles
   */
  ClipKeys tiles(String aspectRatio, String rules, boolean pooled, List<Integer> pinpoints) {
    vision("mm_patch_merge_type", MetadataValue.string("spatial_unpad"));
    vision("image_aspect_ratio", MetadataValue.string(aspectRatio));
    vision("anyres_rules", MetadataValue.string(rules));
    if (pooled) {
      vision("mm_spatial_pool_mode", MetadataValue.string("bilinear"));
    }
    return vision("image_grid_pinpoints", integers(pinpoints));
  }

  private static MetadataValue integers(List<Integer> values) {
    return MetadataValue.int32s(values.stream().mapToInt(Integer::intValue).toArray());
  }
}
