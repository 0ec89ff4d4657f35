#include "model/hyperparameters.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

/* Far above every known model; small enough that no product of two overflows 64 bits. */
enum { MAX_LAYERS = 1024, MAX_WIDTH = 1 << 17, MAX_FEED_FORWARD = 1 << 20, MAX_HEADS = 1024, MAX_VOCAB = 1 << 23, MAX_CONTEXT = 1 << 24, MAX_EXPERTS = 1024 };

/* What the name of an architecture says that no key does. */
typedef struct architecture {
  const char *name;
  bool attention_bias, interleaved_rope, head_norm, experts;
  bool every_key;    /* our own format: its writers leave no key to a default, so a missing one is damage */
  bool shift_logits; /* when diffusion.shift_logits is absent: llama.cpp's converter leaves it out for dream */
  float rope_base;   /* when rope.freq_base is absent */
} architecture;

static const architecture architectures[] = {
    {.name = "dimple", .attention_bias = true, .every_key = true},
    {.name = "dream", .attention_bias = true, .shift_logits = true, .rope_base = 1e6f},
    {.name = "llada", .interleaved_rope = true, .rope_base = 1e4f},
    {.name = "llada-moe", .head_norm = true, .experts = true, .rope_base = 1e4f},
};

static const architecture *architecture_named(const char *name) {
  for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
    if (strcmp(architectures[i].name, name) == 0) return &architectures[i];
  return NULL;
}

/* "<architecture>.<suffix>" */
typedef struct key_name {
  char text[96];
} key_name;

static key_name key_of(const text_parameters *p, const char *suffix) {
  key_name key;
  snprintf(key.text, sizeof key.text, "%s.%s", p->architecture, suffix);
  return key;
}

static dimple_status require_int32(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int32_t *out) {
  int64_t value = 0;
  DIMPLE_TRY(gguf_require_int(file, key, minimum, maximum, &value));
  *out = (int32_t)value;
  return DIMPLE_OK;
}

static dimple_status optional_int32(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int32_t *out) {
  int64_t value = *out;
  DIMPLE_TRY(gguf_optional_int(file, key, minimum, maximum, &value));
  *out = (int32_t)value;
  return DIMPLE_OK;
}

static dimple_status check_epsilon(const gguf_file *file, const char *key, float epsilon) {
  if (!(epsilon > 0 && epsilon < 1))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a value between 0 and 1", gguf_path(file), key, (double)epsilon);
  return DIMPLE_OK;
}

/* The id of a token by its text, or -1. */
static int32_t token_named(const gguf_file *file, const char *text) {
  const dimple_metadata *tokens = gguf_find(file, "tokenizer.ggml.tokens");
  if (!tokens || tokens->type != DIMPLE_METADATA_ARRAY || tokens->element_type != DIMPLE_METADATA_STRING) return -1;
  size_t wanted = strlen(text);
  const uint8_t *at = tokens->data;
  for (uint64_t i = 0; i < tokens->count && i < MAX_VOCAB; i++) {
    uint64_t length;
    memcpy(&length, at, sizeof length);
    at += sizeof length;
    if (length == wanted && memcmp(at, text, wanted) == 0) return (int32_t)i;
    at += length;
  }
  return -1;
}

/* The keys that other formats leave to defaults. */
static dimple_status require_every_key(const gguf_file *file, const text_parameters *p) {
  const key_name keys[] = {key_of(p, "rope.freq_base"), key_of(p, "rope.dimension_sections"), {"diffusion.shift_logits"}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!gguf_find(file, keys[i].text)) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is missing", gguf_path(file), keys[i].text);
  return DIMPLE_OK;
}

/* dimension_sections is llama.cpp's array of up to four counts of angles (time, row, column, unused). A file without it gets the
 * released model's [16, 24, 24] in proportion: text, whose three coordinates are equal, is the same under any sections, and a
 * `dream` file that takes pictures through an mmproj is Dimple's body. */
static dimple_status read_rope_sections(const gguf_file *file, text_parameters *p) {
  key_name key = key_of(p, "rope.dimension_sections");
  int64_t half = p->head_size / 2, time = half / 4, row = (half - time) / 2, count = 4;
  int64_t sections[4] = {time, row, half - time - row, 0};
  if (gguf_find(file, key.text)) {
    memset(sections, 0, sizeof sections);
    DIMPLE_TRY(gguf_optional_int_array(file, key.text, sections, 4, &count));
  }
  int64_t sum = 0;
  for (int i = 0; i < 4; i++) {
    if (sections[i] < 0 || sections[i] > p->head_size) sum = -1;
    if (sum >= 0) sum += sections[i];
  }
  if (sum != p->head_size / 2 || sections[3] != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT,
                       "%s: key %s is [%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                       "], expected three counts that add up to half the head size, %d",
                       gguf_path(file), key.text, sections[0], sections[1], sections[2], sections[3], p->head_size / 2);
  for (int i = 0; i < 3; i++) p->rope_sections[i] = (int32_t)sections[i];
  return DIMPLE_OK;
}

static dimple_status read_token_ids(const gguf_file *file, text_parameters *p) {
  p->mask_token = p->bos_token = p->eos_token = p->pad_token = p->image_token = -1;
  DIMPLE_TRY(optional_int32(file, "tokenizer.ggml.mask_token_id", 0, MAX_VOCAB, &p->mask_token));
  DIMPLE_TRY(optional_int32(file, "tokenizer.ggml.bos_token_id", 0, MAX_VOCAB, &p->bos_token));
  DIMPLE_TRY(optional_int32(file, "tokenizer.ggml.eos_token_id", 0, MAX_VOCAB, &p->eos_token));
  DIMPLE_TRY(optional_int32(file, "tokenizer.ggml.padding_token_id", 0, MAX_VOCAB, &p->pad_token));
  DIMPLE_TRY(optional_int32(file, key_of(p, "image_token_id").text, 0, MAX_VOCAB, &p->image_token));
  if (p->image_token < 0) p->image_token = token_named(file, "<|image_pad|>");
  return DIMPLE_OK;
}

/* The mixture of experts. Without an explicit width an expert's is an equal share of feed_forward_length. */
static dimple_status read_experts(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(require_int32(file, key_of(p, "expert_count").text, 1, MAX_EXPERTS, &p->experts));
  DIMPLE_TRY(require_int32(file, key_of(p, "expert_used_count").text, 1, p->experts, &p->experts_used));
  key_name width = key_of(p, "expert_feed_forward_length");
  if (gguf_find(file, width.text)) return require_int32(file, width.text, 1, MAX_FEED_FORWARD, &p->expert_feed_forward);
  int32_t total = 0;
  DIMPLE_TRY(require_int32(file, key_of(p, "feed_forward_length").text, p->experts_used, MAX_FEED_FORWARD, &total));
  p->expert_feed_forward = total / p->experts_used;
  return DIMPLE_OK;
}

dimple_status text_parameters_read(const gguf_file *file, text_parameters *p) {
  memset(p, 0, sizeof *p);
  DIMPLE_TRY(gguf_require_string(file, "general.architecture", p->architecture, sizeof p->architecture));
  const architecture *kind = architecture_named(p->architecture);
  if (!kind)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: general.architecture is \"%s\", expected dimple, dream, llada or llada-moe", gguf_path(file), p->architecture);
  p->attention_bias = kind->attention_bias;
  p->interleaved_rope = kind->interleaved_rope;
  p->head_norm = kind->head_norm;

  DIMPLE_TRY(require_int32(file, key_of(p, "block_count").text, 1, MAX_LAYERS, &p->layers));
  DIMPLE_TRY(require_int32(file, key_of(p, "embedding_length").text, 1, MAX_WIDTH, &p->width));
  if (kind->experts)
    DIMPLE_TRY(read_experts(file, p));
  else
    DIMPLE_TRY(require_int32(file, key_of(p, "feed_forward_length").text, 1, MAX_FEED_FORWARD, &p->feed_forward));
  DIMPLE_TRY(require_int32(file, key_of(p, "attention.head_count").text, 1, MAX_HEADS, &p->heads));
  p->kv_heads = p->heads;
  DIMPLE_TRY(optional_int32(file, key_of(p, "attention.head_count_kv").text, 1, MAX_HEADS, &p->kv_heads));
  DIMPLE_TRY(require_int32(file, key_of(p, "context_length").text, 2, MAX_CONTEXT, &p->context));
  if (p->heads % p->kv_heads != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: %d attention heads cannot share %d key heads evenly", gguf_path(file), p->heads, p->kv_heads);
  p->head_size = p->width / p->heads;
  DIMPLE_TRY(optional_int32(file, key_of(p, "attention.key_length").text, 2, MAX_WIDTH / p->heads, &p->head_size));
  if (p->head_size % 2 != 0 || p->head_size * p->heads > MAX_WIDTH || p->head_size == 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: head size %d (width %d, %d heads), expected an even number of at least 2", gguf_path(file), p->head_size, p->width, p->heads);
  int32_t rotated = p->head_size;
  DIMPLE_TRY(optional_int32(file, key_of(p, "rope.dimension_count").text, 1, MAX_WIDTH, &rotated));
  if (rotated != p->head_size)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: rope.dimension_count is %d, expected the head size, %d", gguf_path(file), rotated, p->head_size);

  key_name epsilon = key_of(p, "attention.layer_norm_rms_epsilon");
  DIMPLE_TRY(gguf_require_float(file, epsilon.text, &p->norm_epsilon));
  DIMPLE_TRY(check_epsilon(file, epsilon.text, p->norm_epsilon));
  if (kind->every_key) DIMPLE_TRY(require_every_key(file, p));
  key_name base = key_of(p, "rope.freq_base");
  p->rope_base = kind->rope_base;
  DIMPLE_TRY(gguf_optional_float(file, base.text, &p->rope_base));
  if (!(p->rope_base > 0) || !isfinite(p->rope_base))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a positive number", gguf_path(file), base.text, (double)p->rope_base);
  DIMPLE_TRY(read_rope_sections(file, p));

  p->causal = false;
  DIMPLE_TRY(gguf_optional_bool(file, key_of(p, "attention.causal").text, &p->causal));
  p->shift_logits = kind->shift_logits;
  DIMPLE_TRY(gguf_optional_bool(file, "diffusion.shift_logits", &p->shift_logits));
  return read_token_ids(file, p);
}

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
  DIMPLE_TRY(optional_int32(file, "clip.vision.n_wa_pattern", 0, MAX_VISION_LAYERS, &pattern));
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
  DIMPLE_TRY(require_int32(file, "clip.vision.patch_size", 1, 256, &image->patch_size));
  DIMPLE_TRY(optional_int32(file, "clip.vision.spatial_merge_size", 1, 16, &image->merge_size));
  DIMPLE_TRY(optional_int32(file, "clip.vision.temporal_patch_size", 1, 8, &image->temporal_patch));
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

dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *v) {
  memset(v, 0, sizeof *v);
  DIMPLE_TRY(gguf_optional_bool(file, "clip.has_vision_encoder", &v->present));
  if (!v->present) return DIMPLE_OK;
  char projector[32] = "";
  DIMPLE_TRY(gguf_require_string(file, "clip.projector_type", projector, sizeof projector));
  if (strcmp(projector, "qwen2.5vl_merger") != 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: clip.projector_type is \"%s\", expected qwen2.5vl_merger", gguf_path(file), projector);

  DIMPLE_TRY(require_int32(file, "clip.vision.block_count", 1, MAX_VISION_LAYERS, &v->layers));
  DIMPLE_TRY(require_int32(file, "clip.vision.embedding_length", 1, MAX_WIDTH, &v->width));
  DIMPLE_TRY(require_int32(file, "clip.vision.feed_forward_length", 1, MAX_FEED_FORWARD, &v->feed_forward));
  DIMPLE_TRY(require_int32(file, "clip.vision.attention.head_count", 1, MAX_HEADS, &v->heads));
  DIMPLE_TRY(require_int32(file, "clip.vision.projection_dim", 1, MAX_WIDTH, &v->out_width));
  v->head_size = v->width / v->heads;
  if (v->head_size * v->heads != v->width || v->head_size % 4 != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: vision width %d over %d heads, expected a head size that is a multiple of 4", gguf_path(file), v->width, v->heads);
  v->norm_epsilon = 1e-6f;
  DIMPLE_TRY(gguf_optional_float(file, "clip.vision.attention.layer_norm_epsilon", &v->norm_epsilon));
  DIMPLE_TRY(check_epsilon(file, "clip.vision.attention.layer_norm_epsilon", v->norm_epsilon));
  DIMPLE_TRY(read_image_parameters(file, &v->image));
  int32_t window_pixels = 112; /* Qwen's converter does not write it, llama.cpp's reader takes 112 */
  DIMPLE_TRY(optional_int32(file, "clip.vision.window_size", 1, 1 << 20, &window_pixels));
  v->window = window_pixels / (v->image.patch_size * v->image.merge_size);
  if (v->window < 1)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: clip.vision.window_size is %d pixels, expected at least one merged token of %d", gguf_path(file), window_pixels, v->image.patch_size * v->image.merge_size);
  return read_full_layers(file, v);
}
