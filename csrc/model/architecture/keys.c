#include "model/architecture/keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "model/architecture/rope_scaling.h"

key_name key_of(const text_parameters *p, const char *suffix) {
  key_name key;
  snprintf(key.text, sizeof key.text, "%s.%s", p->architecture->name, suffix);
  return key;
}

dimple_status read_depth_and_width(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "block_count").text, 1, MAX_LAYERS, &p->layers));
  return gguf_require_int32(file, key_of(p, "embedding_length").text, 1, MAX_WIDTH, &p->width);
}

dimple_status read_feed_forward(const gguf_file *file, text_parameters *p) {
  int32_t width = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "feed_forward_length").text, 1, MAX_FEED_FORWARD, &width));
  for (int32_t i = 0; i < p->layers; i++) p->layer[i].feed_forward = width;
  return DIMPLE_OK;
}

static dimple_status read_expert_width(const gguf_file *file, const text_parameters *p, int32_t used, int32_t *width) {
  key_name key = key_of(p, "expert_feed_forward_length");
  if (gguf_find(file, key.text)) return gguf_require_int32(file, key.text, 1, MAX_FEED_FORWARD, width);
  int32_t total = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "feed_forward_length").text, used, MAX_FEED_FORWARD, &total));
  *width = total / used;
  return DIMPLE_OK;
}

/* llama.cpp's numbers of what makes probabilities of a router's scores. */
enum { GATING_SIGMOID = 2 };

/* The router's rule, of all layers with experts. */
static dimple_status read_route(const gguf_file *file, const text_parameters *p, int32_t experts, int32_t used, route_rule *rule) {
  int32_t gating = GATING_SIGMOID, groups = 0, kept = 0;
  *rule = (route_rule){.kind = ROUTE_SIGMOID, .among_chosen = true, .factor = 1};
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "expert_gating_func").text, 0, 4, &gating));
  if (gating != GATING_SIGMOID)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is %d, expected %d (sigmoid)", gguf_path(file), key_of(p, "expert_gating_func").text, gating,
                       GATING_SIGMOID);
  DIMPLE_TRY(gguf_optional_bool(file, key_of(p, "expert_weights_norm").text, &rule->among_chosen));
  key_name factor = key_of(p, "expert_weights_scale");
  DIMPLE_TRY(gguf_optional_float(file, factor.text, &rule->factor));
  DIMPLE_TRY(gguf_check_between(file, factor.text, rule->factor, 0, 1e6f));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_group_count").text, 0, experts, &groups));
  if (groups <= 1) return DIMPLE_OK;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_group_used_count").text, 1, groups, &kept));
  if (experts % groups != 0 || experts / groups < 2 || kept * (experts / groups) < used)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: %d of %d groups of %d experts, of which a row goes to %d: expected groups of the same size, at least 2, with "
                       "enough experts", gguf_path(file), kept, groups, experts, used);
  rule->groups = groups;
  rule->groups_used = kept;
  return DIMPLE_OK;
}

/* The width of the expert that every row goes to, which is what several shared ones come to; 0 without. */
static dimple_status read_shared_width(const gguf_file *file, const text_parameters *p, int32_t expert, int32_t *width) {
  int32_t count = 0;
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "expert_shared_count").text, 0, MAX_FEED_FORWARD / expert, &count));
  *width = count * expert;
  return count == 0 ? DIMPLE_OK : gguf_optional_int32(file, key_of(p, "expert_shared_feed_forward_length").text, 1, MAX_FEED_FORWARD, width);
}

dimple_status read_sigmoid_experts(const gguf_file *file, text_parameters *p) {
  int32_t experts = 0, used = 0, width = 0, dense = 0, shared = 0;
  route_rule rule;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_count").text, 1, MAX_EXPERTS, &experts));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_used_count").text, 1, experts, &used));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_feed_forward_length").text, 1, MAX_FEED_FORWARD, &width));
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "leading_dense_block_count").text, 0, p->layers, &dense));
  if (dense > 0) DIMPLE_TRY(read_feed_forward(file, p));
  DIMPLE_TRY(read_shared_width(file, p, width, &shared));
  DIMPLE_TRY(read_route(file, p, experts, used, &rule));
  for (int32_t i = dense; i < p->layers; i++) {
    layer_parameters *l = &p->layer[i];
    l->experts = experts;
    l->experts_used = used;
    l->feed_forward = width;
    l->shared_feed_forward = shared;
    l->route = rule;
  }
  return DIMPLE_OK;
}

dimple_status read_experts(const gguf_file *file, text_parameters *p) {
  int32_t experts = 0, used = 0, width = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_count").text, 1, MAX_EXPERTS, &experts));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "expert_used_count").text, 1, experts, &used));
  DIMPLE_TRY(read_expert_width(file, p, used, &width));
  for (int32_t i = 0; i < p->layers; i++) {
    p->layer[i].experts = experts;
    p->layer[i].experts_used = used;
    p->layer[i].feed_forward = width;
  }
  return DIMPLE_OK;
}

/* How many elements of a head turn. */
static dimple_status read_rotated(const gguf_file *file, const text_parameters *p, int32_t size, int32_t *rotated) {
  key_name key = key_of(p, "rope.dimension_count");
  DIMPLE_TRY(gguf_optional_int32(file, key.text, 1, MAX_WIDTH, rotated));
  if (*rotated % 2 == 0 && *rotated <= size) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %d, expected an even number up to the head size, %d", gguf_path(file), key.text, *rotated, size);
}

/* `rotated` null: all elements of a head have to turn. */
static dimple_status read_head_size(const gguf_file *file, const text_parameters *p, int32_t heads, int32_t *size, int32_t *rotated) {
  *size = p->width / heads;
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "attention.key_length").text, 2, MAX_WIDTH / heads, size));
  if (*size % 2 != 0 || *size * heads > MAX_WIDTH || *size == 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: head size %d (width %d, %d heads), expected an even number of at least 2", gguf_path(file), *size, p->width, heads);
  int32_t turning = *size;
  if (rotated) {
    *rotated = *size;
    DIMPLE_TRY(read_rotated(file, p, *size, rotated));
  } else {
    DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "rope.dimension_count").text, 1, MAX_WIDTH, &turning));
  }
  if (turning != *size)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: rope.dimension_count is %d, expected the head size, %d", gguf_path(file), turning, *size);
  int32_t value = *size;
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "attention.value_length").text, 1, MAX_WIDTH, &value));
  if (value != *size)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: attention.value_length is %d, expected the head size, %d", gguf_path(file), value, *size);
  return DIMPLE_OK;
}

static dimple_status read_heads(const gguf_file *file, text_parameters *p, int32_t *rotated) {
  int32_t heads = 0, kv_heads = 0, size = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "attention.head_count").text, 1, MAX_HEADS, &heads));
  kv_heads = heads;
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "attention.head_count_kv").text, 1, MAX_HEADS, &kv_heads));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "context_length").text, 2, MAX_CONTEXT, &p->context));
  if (heads % kv_heads != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: %d attention heads cannot share %d key heads evenly", gguf_path(file), heads, kv_heads);
  DIMPLE_TRY(read_head_size(file, p, heads, &size, rotated));
  for (int32_t i = 0; i < p->layers; i++) {
    p->layer[i].heads = heads;
    p->layer[i].kv_heads = kv_heads;
    p->layer[i].head_size = size;
  }
  return DIMPLE_OK;
}

dimple_status read_attention(const gguf_file *file, text_parameters *p) { return read_heads(file, p, NULL); }

dimple_status read_partial_attention(const gguf_file *file, text_parameters *p) { return read_heads(file, p, &p->rotary[0].size); }

dimple_status read_norm(const gguf_file *file, text_parameters *p) {
  key_name epsilon = key_of(p, "attention.layer_norm_rms_epsilon");
  DIMPLE_TRY(gguf_require_float(file, epsilon.text, &p->norm_epsilon));
  return gguf_check_between(file, epsilon.text, p->norm_epsilon, 0, 1);
}

static dimple_status read_sections(const gguf_file *file, const text_parameters *p, rotary_parameters *rotary) {
  key_name key = key_of(p, "rope.dimension_sections");
  int64_t half = rotary->size / 2, time = half / 4, row = (half - time) / 2, count = 4;
  int64_t sections[4] = {time, row, half - time - row, 0};
  if (gguf_find(file, key.text)) {
    memset(sections, 0, sizeof sections);
    DIMPLE_TRY(gguf_optional_int_array(file, key.text, sections, 4, &count));
  }
  int64_t sum = 0;
  for (int i = 0; i < 4; i++) {
    if (sections[i] < 0 || sections[i] > rotary->size) sum = -1;
    if (sum >= 0) sum += sections[i];
  }
  if (sum != half || sections[3] != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT,
                       "%s: key %s is [%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
                       "], expected three counts that add up to half the head size, %" PRId64,
                       gguf_path(file), key.text, sections[0], sections[1], sections[2], sections[3], half);
  for (int i = 0; i < 3; i++) rotary->sections[i] = (int32_t)sections[i];
  return DIMPLE_OK;
}

dimple_status read_rotary(const gguf_file *file, text_parameters *p, float default_base) {
  rotary_parameters *rotary = &p->rotary[0]; /* every layer's */
  if (rotary->size == 0) rotary->size = p->layer[0].head_size;
  rotary->base = default_base;
  p->rotaries = 1;
  key_name base = key_of(p, "rope.freq_base");
  DIMPLE_TRY(gguf_optional_float(file, base.text, &rotary->base));
  if (!(rotary->base > 0) || !isfinite(rotary->base))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a positive number", gguf_path(file), base.text, (double)rotary->base);
  DIMPLE_TRY(read_rope_scaling(file, p, rotary));
  return read_sections(file, p, rotary);
}

dimple_status read_own_rotary(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "rope.freq_base").text));
  return read_rotary(file, p, 0);
}

/* This library's own key: what decoding in blocks keeps by default. */
static dimple_status read_cache(const gguf_file *file, int32_t *cache) {
  static const char *const names[] = {[DIMPLE_CACHE_NONE] = "none", [DIMPLE_CACHE_PREFIX] = "prefix", [DIMPLE_CACHE_DUAL] = "dual"};
  char found[32] = "";
  DIMPLE_TRY(gguf_optional_string(file, "diffusion.cache", found, sizeof found));
  if (!found[0]) return DIMPLE_OK;
  for (int32_t i = DIMPLE_CACHE_NONE; i <= DIMPLE_CACHE_DUAL; i++) {
    if (strcmp(found, names[i]) != 0) continue;
    *cache = i;
    return DIMPLE_OK;
  }
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key diffusion.cache is \"%s\", expected none, prefix or dual", gguf_path(file), found);
}

/* Likewise: what decodes the model as it was trained. The caller heeds it; here is seen to it that it is one. */
static dimple_status check_pipeline(const gguf_file *file) {
  static const char *const names[] = {"dim", "dream", "llada", "mdlm", "bd3lm", "sdar", "fast-dllm-v2", "llada2", "diffusion-gemma", "rnd1",
                                      "stable-diffcoder", "dreamon", "llada-v", "lavida", "lavida-dream", "llada22"};
  char found[32] = "";
  DIMPLE_TRY(gguf_optional_string(file, "diffusion.pipeline", found, sizeof found));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(found, names[i]) == 0) return DIMPLE_OK;
  if (!gguf_find(file, "diffusion.pipeline")) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key diffusion.pipeline is \"%s\", expected dim, dream, llada, mdlm, bd3lm, sdar, fast-dllm-v2, "
                     "llada2, diffusion-gemma, rnd1, stable-diffcoder, dreamon, llada-v, lavida, lavida-dream or llada22", gguf_path(file), found);
}

/* Likewise: how many times its end may repeat itself before a text is over, of models that pipeline sdar decodes. */
static dimple_status check_tail_repeats(const gguf_file *file) {
  int32_t times = 0;
  return gguf_optional_int32(file, "diffusion.tail_repeats", 0, INT32_MAX, &times);
}

/* Likewise: tokens that its authors' decoding never takes. */
static dimple_status read_suppressed(const gguf_file *file, text_parameters *p) {
  static const char key[] = "diffusion.suppress_tokens";
  int64_t ids[MAX_SUPPRESSED], count = 0;
  if (!gguf_find(file, key)) return DIMPLE_OK;
  DIMPLE_TRY(gguf_optional_int_array(file, key, ids, MAX_SUPPRESSED, &count));
  for (int64_t i = 0; i < count; i++) {
    if (ids[i] < 0 || ids[i] >= MAX_VOCAB || (i > 0 && ids[i] <= ids[i - 1]))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s has %" PRId64 ", expected ascending ids of tokens", gguf_path(file), key, ids[i]);
    p->suppressed[i] = (int32_t)ids[i];
  }
  p->suppressed_count = (int32_t)count;
  return DIMPLE_OK;
}

dimple_status read_diffusion(const gguf_file *file, text_parameters *p, bool default_shift) {
  DIMPLE_TRY(gguf_optional_bool(file, key_of(p, "attention.causal").text, &p->causal));
  p->shift_logits = default_shift;
  DIMPLE_TRY(gguf_optional_bool(file, "diffusion.shift_logits", &p->shift_logits));
  DIMPLE_TRY(gguf_optional_int32(file, "diffusion.block_length", 1, MAX_CONTEXT, &p->block_length));
  DIMPLE_TRY(check_pipeline(file));
  DIMPLE_TRY(check_tail_repeats(file));
  DIMPLE_TRY(read_suppressed(file, p));
  return read_cache(file, &p->cache);
}

dimple_status read_block_causal(const gguf_file *file, text_parameters *p, bool default_shift) {
  DIMPLE_TRY(read_diffusion(file, p, default_shift));
  p->block_causal = true;
  if (!p->causal) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is true, expected false: positions see all of their block", gguf_path(file),
                     key_of(p, "attention.causal").text);
}

/* The ends of text that the file lists (Ollama's key), and its one. */
static dimple_status read_ends(const gguf_file *file, text_parameters *p) {
  int64_t ids[MAX_ENDS], count = 0;
  if (gguf_find(file, "tokenizer.ggml.eos_token_ids")) {
    count = MAX_ENDS;
    DIMPLE_TRY(gguf_optional_int_array(file, "tokenizer.ggml.eos_token_ids", ids, MAX_ENDS, &count));
  }
  if (p->eos_token >= 0) p->ends[p->end_count++] = p->eos_token;
  for (int64_t i = 0; i < count && p->end_count < MAX_ENDS; i++)
    if (ids[i] >= 0 && ids[i] < MAX_VOCAB && ids[i] != p->eos_token) p->ends[p->end_count++] = (int32_t)ids[i];
  return DIMPLE_OK;
}

int32_t token_named(const gguf_file *file, const char *text) {
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

dimple_status read_tokens(const gguf_file *file, text_parameters *p) {
  p->mask_token = p->bos_token = p->eos_token = p->eot_token = p->pad_token = p->image_token = p->picture_start = p->expand_token = p->delete_token =
      p->split_token = -1;
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.mask_token_id", 0, MAX_VOCAB, &p->mask_token));
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.bos_token_id", 0, MAX_VOCAB, &p->bos_token));
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.eos_token_id", 0, MAX_VOCAB, &p->eos_token));
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.eot_token_id", 0, MAX_VOCAB, &p->eot_token));
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.padding_token_id", 0, MAX_VOCAB, &p->pad_token));
  DIMPLE_TRY(gguf_optional_int32(file, "tokenizer.ggml.expand_token_id", 0, MAX_VOCAB, &p->expand_token));
  DIMPLE_TRY(gguf_optional_int32(file, key_of(p, "image_token_id").text, 0, MAX_VOCAB, &p->image_token));
  if (p->image_token < 0) p->image_token = token_named(file, "<|image_pad|>");
  if (p->image_token < 0) p->image_token = token_named(file, "<|image|>");
  if (p->eot_token < 0) p->eot_token = token_named(file, "<|eot_id|>");
  return read_ends(file, p);
}

dimple_status read_own_block_causal(const gguf_file *file, text_parameters *p, bool default_shift) {
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.block_length"));
  DIMPLE_TRY(read_block_causal(file, p, default_shift));
  return read_tokens(file, p);
}
