/*
 * DiffusionGemma: Gemma 4's body with a mixture of experts beside a plain feed-forward half in every layer, sliding and full attention with head
 * sizes and rotations of their own, norms behind what is added, and one weight matrix for embedding and head. The same weights run in two
 * ways: tokens that are settled go causally (a picture's see each other), a canvas that is denoised sees itself and what is before it. They differ in
 * the factor behind each layer, and in a canvas's input, which its last pass conditions. Keys and tensors: llama.cpp's pull requests 24423 and
 * 24427, docs/file-layout.md.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

/* Gemma's, where a file has no key for it. */
enum { MASK_TOKEN = 4, SLIDING = 0, FULL = 1 };

/* ------------------------------------------------------------------------------------------------------------------ keys */

static dimple_status fail_count(const gguf_file *file, key_name key, int64_t count, int32_t layers) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s has %lld elements, expected one for each of the %d layers", gguf_path(file), key.text,
                     (long long)count, layers);
}

/* Which layers slide; without the key all are full. */
static dimple_status read_pattern(const gguf_file *file, text_parameters *p) {
  bool sliding[MAX_LAYERS] = {false};
  int64_t count = p->layers;
  key_name key = key_of(p, "attention.sliding_window_pattern");
  DIMPLE_TRY(gguf_require_key(file, key.text));
  DIMPLE_TRY(gguf_optional_bool_array(file, key.text, sliding, MAX_LAYERS, &count));
  if (count != p->layers) return fail_count(file, key, count, p->layers);
  for (int32_t i = 0; i < p->layers; i++) {
    layer_parameters *l = &p->layer[i];
    l->windowed = sliding[i];
    l->shared_values = !sliding[i];
    l->rotary = sliding[i] ? SLIDING : FULL;
    l->score_scale = 1;
  }
  return gguf_require_int32(file, key_of(p, "attention.sliding_window").text, 1, MAX_CONTEXT, &p->window);
}

/* A number for all layers, or an array with one for each. */
static dimple_status read_kv_heads(const gguf_file *file, const text_parameters *p, int64_t heads[MAX_LAYERS]) {
  key_name key = key_of(p, "attention.head_count_kv");
  const dimple_metadata *value = gguf_find(file, key.text);
  int64_t count = p->layers;
  if (value && value->type == DIMPLE_METADATA_ARRAY) {
    DIMPLE_TRY(gguf_optional_int_array(file, key.text, heads, MAX_LAYERS, &count));
    return count == p->layers ? DIMPLE_OK : fail_count(file, key, count, p->layers);
  }
  DIMPLE_TRY(gguf_require_int(file, key.text, 1, MAX_HEADS, &heads[0]));
  for (int32_t i = 1; i < p->layers; i++) heads[i] = heads[0];
  return DIMPLE_OK;
}

/* The size of the heads of one kind of layers, which values and rotation have, too. */
static dimple_status read_head_size(const gguf_file *file, text_parameters *p, const char *kind, int32_t heads, rotary_parameters *r) {
  static const char *const others[] = {"attention.value_length", "rope.dimension_count"};
  char suffix[64];
  snprintf(suffix, sizeof suffix, "attention.key_length%s", kind);
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, suffix).text, 2, MAX_WIDTH / heads, &r->size));
  if (r->size % 2 != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %d, expected an even number", gguf_path(file), key_of(p, suffix).text, r->size);
  for (int i = 0; i < 2; i++) {
    int32_t other = r->size;
    snprintf(suffix, sizeof suffix, "%s%s", others[i], kind);
    DIMPLE_TRY(gguf_optional_int32(file, key_of(p, suffix).text, 1, MAX_WIDTH, &other));
    if (other != r->size)
      return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is %d, expected the head size, %d", gguf_path(file), key_of(p, suffix).text, other, r->size);
  }
  snprintf(suffix, sizeof suffix, "rope.freq_base%s", kind);
  DIMPLE_TRY(gguf_require_float(file, key_of(p, suffix).text, &r->base));
  if (!(r->base > 0))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a positive number", gguf_path(file), key_of(p, suffix).text, (double)r->base);
  r->sections[0] = r->size / 2;
  r->scaling = (rotary_scaling){.factor = 1, .magnitude = 1};
  return DIMPLE_OK;
}

static dimple_status read_attention_of_layers(const gguf_file *file, text_parameters *p) {
  int64_t kv_heads[MAX_LAYERS];
  int32_t heads = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "attention.head_count").text, 1, MAX_HEADS, &heads));
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "context_length").text, 2, MAX_CONTEXT, &p->context));
  DIMPLE_TRY(read_kv_heads(file, p, kv_heads));
  DIMPLE_TRY(read_pattern(file, p));
  p->rotaries = 2;
  DIMPLE_TRY(read_head_size(file, p, "_swa", heads, &p->rotary[SLIDING]));
  DIMPLE_TRY(read_head_size(file, p, "", heads, &p->rotary[FULL]));
  for (int32_t i = 0; i < p->layers; i++) {
    if (kv_heads[i] < 1 || kv_heads[i] > heads || heads % kv_heads[i] != 0)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: %d attention heads of layer %d cannot share %lld key heads evenly", gguf_path(file), heads, i,
                         (long long)kv_heads[i]);
    p->layer[i].heads = heads;
    p->layer[i].kv_heads = (int32_t)kv_heads[i];
    p->layer[i].head_size = p->rotary[p->layer[i].rotary].size;
  }
  return DIMPLE_OK;
}

/* What the file's one end of text leaves out: the end of a turn, and the place of a tool's answer. */
static void add_ends(const gguf_file *file, text_parameters *p) {
  static const char *const names[] = {"<turn|>", "<|tool_response>"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int32_t token = token_named(file, names[i]);
    bool known = token < 0;
    for (int32_t k = 0; k < p->end_count; k++) known |= p->ends[k] == token;
    if (!known && p->end_count < MAX_ENDS) p->ends[p->end_count++] = token;
  }
}

static dimple_status fail_sampler(const gguf_file *file, const char *key, double found, const char *expected) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected %s", gguf_path(file), key, found, expected);
}

/* How its authors decode it, which the bindings take for their defaults: of settings that cannot be so, nothing comes here either. */
static dimple_status check_sampler(const gguf_file *file) {
  enum { MOST_STEPS = 1 << 20, MOST_HISTORY = 64 };
  static const char *const keys[] = {"diffusion.eb_t_min", "diffusion.eb_t_max", "diffusion.eb_entropy_bound", "diffusion.eb_confidence_threshold"};
  static const float usual[] = {0.4f, 0.8f, 0.1f, 0.005f};
  int32_t number = 1;
  float values[4];
  DIMPLE_TRY(gguf_optional_int32(file, "diffusion.eb_max_steps", 1, MOST_STEPS, &number));
  DIMPLE_TRY(gguf_optional_int32(file, "diffusion.eb_stability_threshold", 0, MOST_HISTORY, &number));
  for (int i = 0; i < 4; i++) {
    values[i] = usual[i];
    DIMPLE_TRY(gguf_optional_float(file, keys[i], &values[i]));
    if (!(values[i] >= 0 && values[i] <= FLT_MAX)) return fail_sampler(file, keys[i], (double)values[i], "a finite number >= 0");
    if (i < 2 && values[i] > 0 && values[i] < 1e-6f) return fail_sampler(file, keys[i], (double)values[i], "0 or at least 1e-06");
  }
  if ((values[0] == 0) != (values[1] == 0)) return fail_sampler(file, keys[0], (double)values[0], "0 together with diffusion.eb_t_max alone");
  return DIMPLE_OK;
}

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(check_sampler(file));
  int32_t dense = 0;
  DIMPLE_TRY(gguf_require_int32(file, key_of(p, "feed_forward_length").text, 1, MAX_FEED_FORWARD, &dense));
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "expert_feed_forward_length").text));
  DIMPLE_TRY(read_experts(file, p));
  for (int32_t i = 0; i < p->layers; i++) p->layer[i].dense = dense;
  DIMPLE_TRY(read_attention_of_layers(file, p));
  DIMPLE_TRY(read_norm(file, p));
  DIMPLE_TRY(gguf_optional_float(file, key_of(p, "final_logit_softcapping").text, &p->softcap));
  if (p->softcap < 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected at least 0", gguf_path(file), key_of(p, "final_logit_softcapping").text,
                       (double)p->softcap);
  DIMPLE_TRY(read_diffusion(file, p, false));
  if (p->suppressed_count > 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key diffusion.suppress_tokens has %d tokens, expected none: no token of a canvas is barred",
                       gguf_path(file), p->suppressed_count);
  DIMPLE_TRY(gguf_require_int32(file, "diffusion.canvas_length", 1, MAX_CONTEXT, &p->block_length));
  if (p->causal || p->shift_logits)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: keys %s and diffusion.shift_logits, expected false", gguf_path(file), key_of(p, "attention.causal").text);
  p->canvases = true;
  p->embedding_scale = sqrtf((float)p->width);
  DIMPLE_TRY(read_tokens(file, p));
  if (p->mask_token < 0) p->mask_token = MASK_TOKEN;
  add_ends(file, p);
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------- tensors */

static void want_attention(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  want_vector(list, p->width, &block->norm1, "blk.%d.attn_norm.weight", i);
  want_linear(list, layer_query_width(l), p->width, BIAS_NONE, &block->q, "blk.%d.attn_q", i);
  want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &block->k, "blk.%d.attn_k", i);
  if (!l->shared_values) want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &block->v, "blk.%d.attn_v", i);
  want_attention_output(list, p, i, block);
  want_vector(list, l->head_size, &block->q_norm, "blk.%d.attn_q_norm.weight", i);
  want_vector(list, l->head_size, &block->k_norm, "blk.%d.attn_k_norm.weight", i);
  want_vector(list, p->width, &block->attention_norm, "blk.%d.post_attention_norm.weight", i);
}

static void want_plain_half(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  int32_t inner = p->layer[i].dense;
  want_vector(list, p->width, &block->norm2, "blk.%d.ffn_norm.weight", i);
  want_linear(list, inner, p->width, BIAS_NONE, &block->gate, "blk.%d.ffn_gate", i);
  want_linear(list, inner, p->width, BIAS_NONE, &block->up, "blk.%d.ffn_up", i);
  want_linear(list, p->width, inner, BIAS_NONE, &block->down, "blk.%d.ffn_down", i);
  want_vector(list, p->width, &block->dense_norm, "blk.%d.post_ffw_norm_1.weight", i);
}

/* Files hold gate and up of an expert in one matrix, gate first; some have them apart. */
static void want_experts(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  char apart[64];
  snprintf(apart, sizeof apart, "blk.%d.ffn_gate_exps.weight", i);
  want_vector(list, p->width, &block->expert_in_norm, "blk.%d.pre_ffw_norm_2.weight", i);
  want_vector(list, p->width, &block->router_norm, "blk.%d.ffn_gate_inp.scale", i);
  want_matrix(list, WEIGHT_LINEAR, l->experts, p->width, &block->router, "blk.%d.ffn_gate_inp.weight", i);
  if (tensor_list_has(list, apart)) {
    want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_gate, "blk.%d.ffn_gate_exps.weight", i);
    want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_up, "blk.%d.ffn_up_exps.weight", i);
  } else {
    want_bank(list, 2 * (int64_t)l->experts, l->feed_forward, p->width, &block->expert_gate, "blk.%d.ffn_gate_up_exps.weight", i);
  }
  want_bank(list, l->experts, p->width, l->feed_forward, &block->expert_down, "blk.%d.ffn_down_exps.weight", i);
  want_vector(list, l->experts, &block->expert_scale, "blk.%d.ffn_down_exps.scale", i);
  want_vector(list, p->width, &block->expert_out_norm, "blk.%d.post_ffw_norm_2.weight", i);
}

static void want_signal(tensor_list *list, const text_parameters *p, text_weights *w) {
  int32_t inner = p->layer[0].dense;
  want_vector(list, p->width, &w->signal_norm, "self_cond_pre_norm.weight");
  want_linear(list, inner, p->width, BIAS_NONE, &w->signal_gate, "self_cond_gate");
  want_linear(list, inner, p->width, BIAS_NONE, &w->signal_up, "self_cond_up");
  want_linear(list, p->width, inner, BIAS_NONE, &w->signal_down, "self_cond_down");
}

static void want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_matrix(list, WEIGHT_ROWS, p->vocab, p->width, &w->embedding, "token_embd.weight");
  want_vector(list, p->width, &w->output_norm, "output_norm.weight");
  want_matrix(list, WEIGHT_LINEAR, p->vocab, p->width, &w->output, "token_embd.weight");
  want_table(list, p->rotary[FULL].size / 2, &w->rotation_divisors[FULL], "rope_freqs.weight");
  want_signal(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    block_weights *block = &w->layers[i];
    want_attention(list, p, i, block);
    want_plain_half(list, p, i, block);
    want_experts(list, p, i, block);
    want_vector(list, p->width, &block->sum_norm, "blk.%d.post_ffw_norm.weight", i);
    want_table(list, 1, &block->canvas_scale, "blk.%d.layer_output_scale.weight", i);
    want_table(list, 1, &block->token_scale, "blk.%d.enc_layer_output_scale.weight", i);
  }
}

/* ---------------------------------------------------------------------------------------------------------------- layers */

/* Values: those of the projection, or in full layers the keys' as it is, each head normed without weights. */
static dimple_status norm_values(const layer *l) {
  const block *b = &l->block;
  int64_t size = l->parameters->head_size;
  view values = l->new_values, source = l->parameters->shared_values ? l->new_keys : values;
  return b->ops->rms_norm(b->context, view_reshape(values, size), view_reshape(source, size), NULL, b->norm_epsilon);
}

/* x += norm(output(attended)) */
static dimple_status add_attention(const layer *l) {
  const block *b = &l->block;
  view attended, sum = view_of(b->scratch->normed, l->x.rows, l->x.columns);
  DIMPLE_TRY(layer_attention(l, &attended));
  if (l->part == LAYER_KEYS) return DIMPLE_OK;
  DIMPLE_TRY(block_linear(b, &b->weights->output, LINEAR_STORE, attended, sum));
  DIMPLE_TRY(b->ops->rms_norm(b->context, sum, sum, b->weights->attention_norm, b->norm_epsilon));
  return b->ops->add_rows(b->context, l->x, sum, 1);
}

/* dense = norm(down(gelu(gate n) * up n)), n = norm x */
static dimple_status record_plain_half(const layer *l, view x, view normed, view dense) {
  const block *b = &l->block;
  const block_weights *w = b->weights;
  view middle = view_of(b->scratch->middle, x.rows, l->parameters->dense);
  linear_output gated = {.w = w->gate.w, .up = w->up.w, .y = middle, .mode = LINEAR_GEGLU};
  DIMPLE_TRY(b->ops->rms_norm(b->context, normed, x, w->norm2, b->norm_epsilon));
  DIMPLE_TRY(b->ops->linear(b->context, &(linear_call){normed, &gated, 1}));
  DIMPLE_TRY(block_linear(b, &w->down, LINEAR_STORE, middle, dense));
  return b->ops->rms_norm(b->context, dense, dense, w->dense_norm, b->norm_epsilon);
}

/* mixture = norm(sum of shares of experts of norm x); the router sees x normed in its own way, and its scores divided by sqrt(width). */
static dimple_status record_experts(const layer *l, view x, view normed, view mixture) {
  const block *b = &l->block;
  const block_weights *w = b->weights;
  view scores = view_of(b->scratch->scores, x.rows, l->parameters->experts);
  view chosen = view_of(b->scratch->chosen, x.rows, l->parameters->experts_used), share = view_of(b->scratch->share, x.rows, l->parameters->experts_used);
  linear_weights router = {.w = w->router};
  DIMPLE_TRY(b->ops->rms_norm(b->context, normed, x, w->router_norm, b->norm_epsilon));
  DIMPLE_TRY(block_linear(b, &router, LINEAR_STORE, normed, scores));
  DIMPLE_TRY(b->ops->add_rows(b->context, scores, (view){0}, 1 / sqrtf((float)x.columns)));
  DIMPLE_TRY(b->ops->route(b->context, &(route_call){.scores = scores, .chosen = chosen, .share = share, .among_chosen = true, .scale = w->expert_scale}));
  DIMPLE_TRY(b->ops->rms_norm(b->context, normed, x, w->expert_in_norm, b->norm_epsilon));
  DIMPLE_TRY(b->ops->add_rows(b->context, mixture, (view){0}, 0));
  DIMPLE_TRY(b->ops->experts(b->context, &(experts_call){.x = normed, .chosen = chosen, .share = share, .gate = w->expert_gate, .up = w->expert_up,
                                                         .down = w->expert_down, .mode = LINEAR_GEGLU, .y = mixture}));
  return b->ops->rms_norm(b->context, mixture, mixture, w->expert_out_norm, b->norm_epsilon);
}

/* x = scale (x + norm(dense + mixture)) */
static dimple_status add_feed_forward(const layer *l) {
  const block *b = &l->block;
  float scale = table_at(l->canvas ? b->weights->canvas_scale : b->weights->token_scale, 0);
  for (int64_t at = 0; at < l->x.rows; at += FEED_FORWARD_ROWS) {
    int64_t rows = l->x.rows - at < FEED_FORWARD_ROWS ? l->x.rows - at : FEED_FORWARD_ROWS, width = l->x.columns;
    view x = view_rows(l->x, at, rows), normed = view_of(b->scratch->normed, rows, width);
    view dense = view_of(b->scratch->dense, rows, width), mixture = view_of(b->scratch->mixture, rows, width);
    DIMPLE_TRY(record_plain_half(l, x, normed, dense));
    DIMPLE_TRY(record_experts(l, x, normed, mixture));
    DIMPLE_TRY(b->ops->add_rows(b->context, dense, mixture, 1));
    DIMPLE_TRY(b->ops->rms_norm(b->context, dense, dense, b->weights->sum_norm, b->norm_epsilon));
    DIMPLE_TRY(b->ops->add_rows(b->context, x, dense, scale));
  }
  return DIMPLE_OK;
}

static dimple_status record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  if (l->part != LAYER_QUERIES) DIMPLE_TRY(norm_values(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(add_attention(l));
  return l->part == LAYER_KEYS ? DIMPLE_OK : add_feed_forward(l);
}

/* x = norm(x + down(gelu(gate n) * up n)), n = norm(sqrt(width) signal), which is norm(signal) with a smaller epsilon; without a signal the second
 * term is 0. */
static dimple_status record_canvas(const block *b, const text_parameters *p, const text_weights *w, view x, view signal) {
  for (int64_t at = 0; at < x.rows && signal.memory; at += FEED_FORWARD_ROWS) {
    int64_t rows = x.rows - at < FEED_FORWARD_ROWS ? x.rows - at : FEED_FORWARD_ROWS;
    view n = view_of(b->scratch->normed, rows, x.columns), middle = view_of(b->scratch->middle, rows, p->layer[0].dense);
    linear_output gated = {.w = w->signal_gate.w, .up = w->signal_up.w, .y = middle, .mode = LINEAR_GEGLU};
    DIMPLE_TRY(b->ops->rms_norm(b->context, n, view_rows(signal, at, rows), w->signal_norm, p->norm_epsilon / (float)x.columns));
    DIMPLE_TRY(b->ops->linear(b->context, &(linear_call){n, &gated, 1}));
    DIMPLE_TRY(block_linear(b, &w->signal_down, LINEAR_ADD, middle, view_rows(x, at, rows)));
  }
  return b->ops->rms_norm(b->context, x, x, NULL, p->norm_epsilon);
}

/* What other Gemmas do and this one does not; what its files say of gating, which is so. */
static const harmless_key harmless[] = {{"attention.shared_kv_layers", "0"}, {"embedding_length_per_layer_input", "0"}, {0}};

const architecture architecture_diffusion_gemma = {.name = "diffusion-gemma",
                                                   .read_keys = read_keys,
                                                   .want_tensors = want_tensors,
                                                   .record_layer = record_layer,
                                                   .record_canvas = record_canvas,
                                                   .harmless = harmless};
