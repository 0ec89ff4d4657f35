/* The vision tower of Qwen2.5-VL: windowed attention but for some layers, RMS norms, SwiGLU, and a merger that makes one token of
 * neighbouring patches. */
#include <inttypes.h>
#include <math.h>

#include "error.h"
#include "model/model.h"

/* ------------------------------------------------------------------------------------------------------------------------- keys */

/* Which layers attend within the whole image: an explicit list, or every n-th as llama.cpp's n_wa_pattern says. */
static dimple_status read_full_layers(const gguf_file *file, vision_parameters *v) {
  int64_t list[MAX_VISION_LAYERS], count = -1;
  DIMPLE_TRY(gguf_optional_int_array(file, "clip.vision.fullatt_block_indexes", list, MAX_VISION_LAYERS, &count));
  for (int64_t i = 0; i < count; i++) {
    if (list[i] < 0 || list[i] >= v->layers)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key clip.vision.fullatt_block_indexes names layer %" PRId64 " of %d", gguf_path(file), list[i], v->layers);
    v->full[list[i]] = true;
  }
  if (count >= 0) return DIMPLE_OK;
  int32_t pattern = 8;
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.n_wa_pattern", 0, MAX_VISION_LAYERS, &pattern));
  for (int32_t i = 0; i < v->layers; i++) v->full[i] = pattern == 0 || (i + 1) % pattern == 0;
  return DIMPLE_OK;
}

static dimple_status read_rgb(const gguf_file *file, const char *key, float *out) {
  int64_t count = 3;
  DIMPLE_TRY(gguf_optional_float_array(file, key, out, 3, &count));
  bool good = count == 3;
  for (int i = 0; i < 3; i++) good &= isfinite(out[i]) != 0;
  if (!good) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is not an array of three finite numbers", gguf_path(file), key);
  return DIMPLE_OK;
}

static dimple_status read_image_parameters(const gguf_file *file, image_parameters *image) {
  *image = (image_parameters){
      .merge_size = 2, .temporal_patch = 2, .min_pixels = 56 * 56, .max_pixels = 28 * 28 * 1280,
      .mean = {0.48145466f, 0.4578275f, 0.40821073f}, .std = {0.26862954f, 0.26130258f, 0.27577711f}};
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.patch_size", 1, 256, &image->patch_size));
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.spatial_merge_size", 1, 16, &image->merge_size));
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.temporal_patch_size", 1, MAX_TEMPORAL_PATCH, &image->temporal_patch));
  DIMPLE_TRY(gguf_optional_int(file, "clip.vision.image_min_pixels", 1, INT32_MAX, &image->min_pixels));
  DIMPLE_TRY(gguf_optional_int(file, "clip.vision.image_max_pixels", 1, INT32_MAX, &image->max_pixels));
  DIMPLE_TRY(read_rgb(file, "clip.vision.image_mean", image->mean));
  DIMPLE_TRY(read_rgb(file, "clip.vision.image_std", image->std));
  int64_t token_area = (int64_t)image->patch_size * image->merge_size * image->patch_size * image->merge_size;
  if (image->min_pixels > image->max_pixels || image->max_pixels < token_area)
    return dimple_fail(DIMPLE_ERROR_FORMAT,
                       "%s: image_min_pixels %" PRId64 " and image_max_pixels %" PRId64
                       " leave no size, expected min <= max and room for one token of %" PRId64 " pixels",
                       gguf_path(file), image->min_pixels, image->max_pixels, token_area);
  for (int i = 0; i < 3; i++)
    if (!(image->std[i] > 0)) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key clip.vision.image_std has %g, expected positive numbers", gguf_path(file), (double)image->std[i]);
  return DIMPLE_OK;
}

static dimple_status read_keys(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.block_count", 1, MAX_VISION_LAYERS, &v->layers));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.embedding_length", 1, MAX_WIDTH, &v->width));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.feed_forward_length", 1, MAX_FEED_FORWARD, &v->feed_forward));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.attention.head_count", 1, MAX_HEADS, &v->heads));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.projection_dim", 1, MAX_WIDTH, &v->out_width));
  v->head_size = v->width / v->heads;
  if (v->head_size * v->heads != v->width || v->head_size % 4 != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: vision width %d over %d heads, expected a head size that is a multiple of 4", gguf_path(file), v->width, v->heads);
  v->norm_epsilon = 1e-6f;
  DIMPLE_TRY(gguf_optional_float(file, "clip.vision.attention.layer_norm_epsilon", &v->norm_epsilon));
  DIMPLE_TRY(gguf_check_between(file, "clip.vision.attention.layer_norm_epsilon", v->norm_epsilon, 0, 1));
  DIMPLE_TRY(read_image_parameters(file, &v->image));
  int32_t window_pixels = 112; /* Qwen's converter does not write it, llama.cpp's reader takes 112 */
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.window_size", 1, 1 << 20, &window_pixels));
  v->window = window_pixels / (v->image.patch_size * v->image.merge_size);
  if (v->window < 1)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: clip.vision.window_size is %d pixels, expected at least one merged token of %d", gguf_path(file), window_pixels, v->image.patch_size * v->image.merge_size);
  return read_full_layers(file, v);
}

/* What its writers say beside that: the size a picture would have if all had one, and the activation, which is this one. */
static const harmless_key harmless[] = {{"vision.image_size", 0}, {"use_silu", "true"}, {"use_gelu", "false"}, {0}};

/* ---------------------------------------------------------------------------------------------------------------------- tensors */

static void want_block(tensor_list *list, const vision_parameters *v, int32_t i, block_weights *block) {
  want_vector(list, v->width, &block->norm1, "v.blk.%d.ln1.weight", i);
  want_vector(list, v->width, &block->norm2, "v.blk.%d.ln2.weight", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->q, "v.blk.%d.attn_q", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->k, "v.blk.%d.attn_k", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->v, "v.blk.%d.attn_v", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->output, "v.blk.%d.attn_out", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->gate, "v.blk.%d.ffn_gate", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->up, "v.blk.%d.ffn_up", i);
  want_linear(list, v->width, v->feed_forward, BIAS_REQUIRED, &block->down, "v.blk.%d.ffn_down", i);
}

static void want_tensors(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  int64_t merged = (int64_t)v->width * v->image.merge_size * v->image.merge_size;
  want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[0], "v.patch_embd.weight");
  for (int32_t frame = 1; frame < v->image.temporal_patch; frame++)
    want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[frame], "v.patch_embd.weight.%d", frame);
  for (int32_t i = 0; i < v->layers; i++) want_block(list, v, i, &w->layers[i]);
  want_vector(list, v->width, &w->merger_norm, "v.post_ln.weight");
  want_linear(list, merged, merged, BIAS_REQUIRED, &w->merger[0], "mm.0");
  want_linear(list, v->out_width, merged, BIAS_REQUIRED, &w->merger[1], "mm.2");
}

const tower tower_qwen2_5_vl = {
    .projector = "qwen2.5vl_merger", .read_keys = read_keys, .want_tensors = want_tensors, .harmless = harmless};
