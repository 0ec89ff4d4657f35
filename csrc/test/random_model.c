#include "test/random_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "draws.h"
#include "test/expect.h"
#include "test/files.h"

/* What a family's files say and hold. */
static const struct {
  const char *name;
  const char *type; /* diffuse.model_type; null: no such key */
  bool attention_bias, head_norm, experts, all_experts, every_key, frequency, layer_norms, blocks, ling, gemma, tiles, plain_tiles, pooled, routed;
} families[] = {
    [FAMILY_DIMPLE] = {.name = "dimple", .attention_bias = true, .every_key = true},
    [FAMILY_DREAM] = {.name = "dream", .attention_bias = true},
    [FAMILY_LLADA] = {.name = "llada"},
    [FAMILY_LLADA_MOE] = {.name = "llada-moe", .head_norm = true, .experts = true},
    [FAMILY_A2D_QWEN2] = {.name = "a2d-qwen2", .frequency = true, .attention_bias = true},
    [FAMILY_A2D_QWEN3] = {.name = "a2d-qwen3", .frequency = true, .head_norm = true},
    [FAMILY_SDAR] = {.name = "sdar", .frequency = true, .head_norm = true, .blocks = true},
    [FAMILY_FAST_DLLM_V2] = {.name = "fast-dllm-v2", .frequency = true, .attention_bias = true, .blocks = true},
    [FAMILY_LLADA2] = {.name = "llada2", .head_norm = true, .blocks = true, .ling = true},
    [FAMILY_DIFFUSION_GEMMA] = {.name = "diffusion-gemma", .gemma = true},
    [FAMILY_SDAR_MOE] = {.name = "sdar-moe", .frequency = true, .head_norm = true, .experts = true, .blocks = true},
    [FAMILY_RND1] = {.name = "rnd1", .head_norm = true, .experts = true, .all_experts = true},
    [FAMILY_STABLE_DIFFCODER] = {.name = "stable-diffcoder", .frequency = true, .blocks = true},
    [FAMILY_DREAM_VL] = {.name = "dream-vl", .attention_bias = true, .every_key = true, .layer_norms = true},
    [FAMILY_DIFFUSE_DREAM] = {.name = "diffuse", .attention_bias = true, .type = "dream"},
    [FAMILY_DIFFUSE_LLADA] = {.name = "diffuse", .type = "llada"},
    [FAMILY_DIMPLE_BLOCK] = {.name = "dimple-block", .attention_bias = true, .every_key = true, .blocks = true},
    [FAMILY_SDAR_VL] = {.name = "sdar-vl", .frequency = true, .head_norm = true, .blocks = true, .tiles = true},
    [FAMILY_LLADA_V] = {.name = "llada-v", .frequency = true, .blocks = true, .tiles = true, .plain_tiles = true},
    [FAMILY_LAVIDA_DREAM] = {.name = "lavida-dream", .frequency = true, .attention_bias = true, .tiles = true, .plain_tiles = true, .pooled = true},
    [FAMILY_LLADA22] = {.name = "llada22", .frequency = true, .head_norm = true, .blocks = true, .ling = true, .routed = true},
};

/* "<before>.<after>" */
typedef struct dotted_name {
  char text[80];
} dotted_name;

static dotted_name dotted(const char *before, const char *after) {
  dotted_name name;
  if (snprintf(name.text, sizeof name.text, "%s.%s", before, after) >= (int)sizeof name.text) {
    fprintf(stderr, "the name %s.%s is too long\n", before, after);
    exit(1);
  }
  return name;
}

/* ------------------------------------------------------------------------------------------------------------- tensors */

/* Evenly in centre +- spread, from the name; row `silent` of the last two dimensions is 0 (-1: none). */
static void put_random(gguf_writer *w, const char *name, uint32_t dimension_count, const uint64_t *dimensions, int32_t type, float centre,
                       float spread, int64_t silent) {
  uint64_t seed = 0, count = 1;
  for (const char *c = name; *c; c++) seed = seed * 31 + (uint8_t)*c;
  for (uint32_t i = 0; i < dimension_count; i++) count *= dimensions[i];
  float *values = malloc(count * sizeof *values);
  if (!values) {
    perror(name);
    exit(1);
  }
  for (uint64_t i = 0; i < count; i++) values[i] = centre + spread * (2 * draw_uniform(seed, (uint32_t)i, 0, 0, 0) - 1);
  if (silent >= 0) memset(values + (uint64_t)silent * dimensions[0], 0, dimensions[0] * sizeof *values);
  gguf_writer_tensor(w, name, dimension_count, dimensions, type, values);
  free(values);
}

/* The shape's type where rows of `columns` are whole blocks of it. */
static int32_t type_of_matrix(const model_shape *s, int64_t columns) {
  dimple_tensor_type_info info;
  return dimple_tensor_type_get_info(s->type, &info) == DIMPLE_OK && columns % info.block_length == 0 ? s->type : DIMPLE_TENSOR_F32;
}

static void put_matrix(gguf_writer *w, const model_shape *s, const char *name, int64_t rows, int64_t columns, float spread, int64_t silent) {
  put_random(w, name, 2, (uint64_t[]){(uint64_t)columns, (uint64_t)rows}, type_of_matrix(s, columns), 0, spread, silent);
}

static void put_vector(gguf_writer *w, const char *name, int64_t length, float centre, float spread) {
  put_random(w, name, 1, (uint64_t[]){(uint64_t)length}, DIMPLE_TENSOR_F32, centre, spread, -1);
}

static void put_norm(gguf_writer *w, const char *prefix, const char *part, int64_t width) {
  put_vector(w, dotted(dotted(prefix, part).text, "weight").text, width, 1, 0.3f);
}

/* "<prefix>.<part>.weight" and, if wanted, its bias. The spread keeps the size of what passes through. */
static void put_linear(gguf_writer *w, const model_shape *s, const char *prefix, const char *part, int64_t rows, int64_t columns, bool bias) {
  dotted_name name = dotted(prefix, part);
  put_matrix(w, s, dotted(name.text, "weight").text, rows, columns, 2.0f / sqrtf((float)columns), -1);
  if (bias) put_vector(w, dotted(name.text, "bias").text, rows, 0, 0.5f);
}

/* One matrix [rows x columns] per expert. */
static void put_bank(gguf_writer *w, const model_shape *s, const char *prefix, const char *part, int64_t rows, int64_t columns) {
  const uint64_t dimensions[] = {(uint64_t)columns, (uint64_t)rows, EXPERTS};
  dotted_name name = dotted(dotted(prefix, part).text, "weight");
  put_random(w, name.text, 3, dimensions, type_of_matrix(s, columns), 0, 2.0f / sqrtf((float)columns), -1);
}

static void put_attention(gguf_writer *w, const model_shape *s, const char *prefix, const char *output, int64_t width, int64_t kv_width,
                          bool biases, bool output_bias) {
  put_linear(w, s, prefix, "attn_q", width, width, biases);
  put_linear(w, s, prefix, "attn_k", kv_width, width, biases);
  put_linear(w, s, prefix, "attn_v", kv_width, width, biases);
  put_linear(w, s, prefix, output, width, width, output_bias);
}

static void put_feed_forward(gguf_writer *w, const model_shape *s, const char *prefix, int64_t width, int64_t inner, bool biases) {
  put_linear(w, s, prefix, "ffn_gate", inner, width, biases);
  put_linear(w, s, prefix, "ffn_up", inner, width, biases);
  put_linear(w, s, prefix, "ffn_down", width, inner, biases);
}

static void put_experts(gguf_writer *w, const model_shape *s, const char *prefix) {
  put_linear(w, s, prefix, "ffn_gate_inp", EXPERTS, s->width, false);
  put_bank(w, s, prefix, "ffn_gate_exps", s->feed_forward, s->width);
  put_bank(w, s, prefix, "ffn_up_exps", s->feed_forward, s->width);
  put_bank(w, s, prefix, "ffn_down_exps", s->width, s->feed_forward);
}

/* What Ling's body has in the place of projections and feed-forward half. */
static void put_ling_layer(gguf_writer *w, const model_shape *s, const char *prefix, int64_t kv_width, bool dense) {
  put_linear(w, s, prefix, "attn_qkv", s->width + 2 * kv_width, s->width, false);
  put_linear(w, s, prefix, "attn_output", s->width, s->width, false);
  if (dense) {
    put_feed_forward(w, s, prefix, s->width, s->feed_forward, false);
    return;
  }
  put_experts(w, s, prefix);
  put_vector(w, dotted(prefix, "exp_probs_b.bias").text, EXPERTS, 0, 0.5f);
  put_linear(w, s, prefix, "ffn_gate_shexp", s->feed_forward, s->width, false);
  put_linear(w, s, prefix, "ffn_up_shexp", s->feed_forward, s->width, false);
  put_linear(w, s, prefix, "ffn_down_shexp", s->width, s->feed_forward, false);
}

static void put_ling_keys(gguf_writer *w, const model_shape *s, const char *name) {
  gguf_writer_u32(w, dotted(name, "rope.dimension_count").text, (uint32_t)(s->width / s->heads / 2));
  gguf_writer_u32(w, dotted(name, "leading_dense_block_count").text, 1);
  gguf_writer_u32(w, dotted(name, "expert_count").text, EXPERTS);
  gguf_writer_u32(w, dotted(name, "expert_used_count").text, EXPERTS_USED);
  gguf_writer_u32(w, dotted(name, "expert_shared_count").text, 1);
  gguf_writer_u32(w, dotted(name, "expert_feed_forward_length").text, (uint32_t)s->feed_forward);
  gguf_writer_u32(w, dotted(name, "expert_group_count").text, families[s->family].routed ? 1 : 2);
  gguf_writer_u32(w, dotted(name, "expert_group_used_count").text, 1);
  if (families[s->family].routed) {
    gguf_writer_u32(w, dotted(name, "expert_block_size").text, ROUTED);
    gguf_writer_u32(w, dotted(name, "expert_capacity").text, ADMITTED);
    gguf_writer_u32(w, "tokenizer.ggml.delete_token_id", (uint32_t)(s->vocab - VOCAB + DELETE));
    gguf_writer_u32(w, "tokenizer.ggml.split_token_id", (uint32_t)(s->vocab - VOCAB + SPLIT));
  }
  gguf_writer_f32(w, dotted(name, "expert_weights_scale").text, 2.5f);
  gguf_writer_bool(w, dotted(name, "expert_weights_norm").text, true);
  gguf_writer_u32(w, dotted(name, "expert_gating_func").text, 2);
}

/* Gemma's layers slide but for every second one, whose heads are twice as long, fewer, and have their keys as values. */
static bool is_sliding(int32_t layer) { return layer % 2 == 0; }

static int32_t gemma_head_size(const model_shape *s, int32_t layer) { return s->width / s->heads * (is_sliding(layer) ? 1 : 2); }

static int32_t gemma_kv_heads(const model_shape *s, int32_t layer) { return is_sliding(layer) ? s->kv_heads : 1; }

static void put_gemma_experts(gguf_writer *w, const model_shape *s, const char *prefix) {
  put_linear(w, s, prefix, "ffn_gate_inp", EXPERTS, s->width, false);
  put_vector(w, dotted(prefix, "ffn_gate_inp.scale").text, s->width, 1, 0.3f);
  put_bank(w, s, prefix, "ffn_gate_up_exps", 2 * s->feed_forward, s->width);
  put_bank(w, s, prefix, "ffn_down_exps", s->width, s->feed_forward);
  put_vector(w, dotted(prefix, "ffn_down_exps.scale").text, EXPERTS, 1, 0.3f);
}

static void put_gemma_layer(gguf_writer *w, const model_shape *s, const char *prefix, int32_t layer) {
  static const char *const norms[] = {"post_attention_norm", "post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2", "post_ffw_norm"};
  int64_t size = gemma_head_size(s, layer), kv_width = size * gemma_kv_heads(s, layer);
  put_linear(w, s, prefix, "attn_q", size * s->heads, s->width, false);
  put_linear(w, s, prefix, "attn_k", kv_width, s->width, false);
  if (is_sliding(layer)) put_linear(w, s, prefix, "attn_v", kv_width, s->width, false);
  put_linear(w, s, prefix, "attn_output", s->width, size * s->heads, false);
  put_norm(w, prefix, "attn_q_norm", size);
  put_norm(w, prefix, "attn_k_norm", size);
  for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) put_norm(w, prefix, norms[i], s->width);
  put_feed_forward(w, s, prefix, s->width, s->feed_forward, false);
  put_gemma_experts(w, s, prefix);
  put_vector(w, dotted(prefix, "layer_output_scale.weight").text, 1, 0.8f, 0.1f);
  put_vector(w, dotted(prefix, "enc_layer_output_scale.weight").text, 1, 0.8f, 0.1f);
}

/* Beside the layers: how full layers turn, and what conditions a canvas on the pass before. */
static void put_gemma_body(gguf_writer *w, const model_shape *s) {
  put_vector(w, "rope_freqs.weight", gemma_head_size(s, 1) / 2, 1, 0.3f);
  put_vector(w, "self_cond_pre_norm.weight", s->width, 1, 0.3f);
  put_matrix(w, s, "self_cond_gate.weight", s->feed_forward, s->width, 2.0f / sqrtf((float)s->width), -1);
  put_matrix(w, s, "self_cond_up.weight", s->feed_forward, s->width, 2.0f / sqrtf((float)s->width), -1);
  put_matrix(w, s, "self_cond_down.weight", s->width, s->feed_forward, 2.0f / sqrtf((float)s->feed_forward), -1);
}

static void put_gemma_keys(gguf_writer *w, const model_shape *s, const char *name) {
  int32_t *kv_heads = calloc((size_t)s->layers, sizeof *kv_heads);
  bool *sliding = calloc((size_t)s->layers, sizeof *sliding);
  if (!kv_heads || !sliding) {
    perror(name);
    exit(1);
  }
  for (int32_t i = 0; i < s->layers; i++) {
    kv_heads[i] = gemma_kv_heads(s, i);
    sliding[i] = is_sliding(i);
  }
  gguf_writer_ints(w, dotted(name, "attention.head_count_kv").text, kv_heads, s->layers);
  gguf_writer_bools(w, dotted(name, "attention.sliding_window_pattern").text, sliding, s->layers);
  gguf_writer_u32(w, dotted(name, "attention.sliding_window").text, WINDOW);
  gguf_writer_u32(w, dotted(name, "attention.key_length").text, (uint32_t)gemma_head_size(s, 1));
  gguf_writer_u32(w, dotted(name, "attention.key_length_swa").text, (uint32_t)gemma_head_size(s, 0));
  gguf_writer_f32(w, dotted(name, "rope.freq_base").text, 1e6f);
  gguf_writer_f32(w, dotted(name, "rope.freq_base_swa").text, 1e4f);
  gguf_writer_u32(w, dotted(name, "expert_count").text, EXPERTS);
  gguf_writer_u32(w, dotted(name, "expert_used_count").text, EXPERTS_USED);
  gguf_writer_u32(w, dotted(name, "expert_feed_forward_length").text, (uint32_t)s->feed_forward);
  gguf_writer_f32(w, dotted(name, "final_logit_softcapping").text, 30);
  gguf_writer_u32(w, "diffusion.canvas_length", CANVAS);
  free(sliding);
  free(kv_heads);
}

/* ---------------------------------------------------------------------------------------------------------------- text */

/* Pooled features come with shifted logits; otherwise a row scores its own position and a turn ends. Some tokens are never taken. */
static void put_turn_keys(gguf_writer *w, const model_shape *s) {
  int32_t barred[2] = {s->vocab - VOCAB + FIRST_BARRED, s->vocab - VOCAB + FIRST_BARRED + 1};
  bool pooled = families[s->family].pooled;
  if (!s->unshifted) gguf_writer_bool(w, "diffusion.shift_logits", pooled);
  gguf_writer_ints(w, "diffusion.suppress_tokens", barred, 2);
  if (!pooled) gguf_writer_u32(w, "tokenizer.ggml.eot_token_id", (uint32_t)(s->vocab - VOCAB + EOT));
}

static void put_text_keys(gguf_writer *w, const model_shape *s) {
  const char *name = families[s->family].name;
  int32_t half = s->width / s->heads / 2, time = half / 4, row = (half - time) / 2;
  const int32_t sections[4] = {time, row, half - time - row, 0};
  gguf_writer_u32(w, dotted(name, "context_length").text, (uint32_t)s->context);
  gguf_writer_u32(w, dotted(name, "embedding_length").text, (uint32_t)s->width);
  gguf_writer_u32(w, dotted(name, "block_count").text, (uint32_t)s->layers);
  gguf_writer_u32(w, dotted(name, "feed_forward_length").text, (uint32_t)s->feed_forward);
  gguf_writer_u32(w, dotted(name, "attention.head_count").text, (uint32_t)s->heads);
  if (families[s->family].gemma)
    put_gemma_keys(w, s, name);
  else
    gguf_writer_u32(w, dotted(name, "attention.head_count_kv").text, (uint32_t)s->kv_heads);
  gguf_writer_f32(w, dotted(name, "attention.layer_norm_rms_epsilon").text, 1e-6f);
  gguf_writer_bool(w, dotted(name, "attention.causal").text, s->causal);
  if (families[s->family].every_key || families[s->family].frequency) gguf_writer_f32(w, dotted(name, "rope.freq_base").text, 1e4f);
  if (families[s->family].every_key) gguf_writer_ints(w, dotted(name, "rope.dimension_sections").text, sections, 4);
  if (families[s->family].every_key || s->unshifted) gguf_writer_bool(w, "diffusion.shift_logits", !s->unshifted);
  if (families[s->family].plain_tiles) put_turn_keys(w, s);
  if (families[s->family].blocks) gguf_writer_u32(w, "diffusion.block_length", BLOCK);
  if (families[s->family].experts) {
    gguf_writer_u32(w, dotted(name, "expert_count").text, EXPERTS);
    gguf_writer_u32(w, dotted(name, "expert_used_count").text, families[s->family].all_experts ? EXPERTS : EXPERTS_USED);
    gguf_writer_u32(w, dotted(name, "expert_feed_forward_length").text, (uint32_t)s->feed_forward);
  }
  if (families[s->family].layer_norms) gguf_writer_u32(w, dotted(name, "vision_start_token_id").text, 1);
  if (families[s->family].ling) put_ling_keys(w, s, name);
  gguf_writer_u32(w, dotted(name, "image_token_id").text, (uint32_t)(s->vocab - VOCAB + IMAGE));
  const char *type = families[s->family].type;
  if (type) gguf_writer_string(w, "diffuse.model_type", type);
  gguf_writer_u32(w, type ? "diffuse.mask_token_id" : "tokenizer.ggml.mask_token_id", (uint32_t)(s->vocab - VOCAB + MASK));
  gguf_writer_u32(w, "tokenizer.ggml.eos_token_id", (uint32_t)(s->vocab - VOCAB + EOS));
  gguf_writer_u32(w, "tokenizer.ggml.padding_token_id", (uint32_t)(s->vocab - VOCAB + PAD));
  if (s->expands) gguf_writer_u32(w, "tokenizer.ggml.expand_token_id", (uint32_t)(s->vocab - VOCAB + EXPAND));
}

static void put_text(gguf_writer *w, const model_shape *s) {
  int64_t size = s->width / s->heads, silent = s->vocab - VOCAB + MASK;
  bool bias = families[s->family].attention_bias, gemma = families[s->family].gemma, tied = s->tied || gemma;
  put_matrix(w, s, "token_embd.weight", s->vocab, s->width, 1, tied ? silent : -1);
  put_vector(w, "output_norm.weight", s->width, 1, 0.3f);
  if (gemma) put_gemma_body(w, s);
  if (!tied) put_matrix(w, s, "output.weight", s->vocab, s->width, 1, silent);
  for (int32_t i = 0; i < s->layers; i++) {
    char prefix[16];
    snprintf(prefix, sizeof prefix, "blk.%d", i);
    put_norm(w, prefix, "attn_norm", s->width);
    put_norm(w, prefix, "ffn_norm", s->width);
    if (gemma) {
      put_gemma_layer(w, s, prefix, i);
      continue;
    }
    bool ling = families[s->family].ling;
    if (ling) put_ling_layer(w, s, prefix, size * s->kv_heads, i == 0);
    else put_attention(w, s, prefix, "attn_output", s->width, size * s->kv_heads, bias, false);
    if (families[s->family].head_norm) {
      put_norm(w, prefix, "attn_q_norm", size);
      put_norm(w, prefix, "attn_k_norm", size);
    }
    if (families[s->family].experts)
      put_experts(w, s, prefix);
    else if (!ling)
      put_feed_forward(w, s, prefix, s->width, s->feed_forward, false);
  }
}

/* -------------------------------------------------------------------------------------------------------------- vision */

/* Up to 2 x 2 tiles, of which shrinks what is more than two. */
static void put_tile_keys(gguf_writer *w, const model_shape *s) {
  static const int32_t pinpoints[] = {TILE, TILE, TILE, 2 * TILE, 2 * TILE, TILE, 2 * TILE, 2 * TILE};
  gguf_writer_bool(w, "clip.use_gelu", true);
  gguf_writer_u32(w, "clip.vision.image_size", TILE);
  gguf_writer_string(w, "clip.vision.mm_patch_merge_type", "spatial_unpad");
  gguf_writer_string(w, "clip.vision.image_aspect_ratio", families[s->family].pooled ? "anyres" : "anyres_max_2");
  if (families[s->family].pooled) gguf_writer_string(w, "clip.vision.mm_spatial_pool_mode", "bilinear");
  gguf_writer_string(w, "clip.vision.anyres_rules", families[s->family].plain_tiles ? "llava" : "transformers");
  gguf_writer_ints(w, "clip.vision.image_grid_pinpoints", pinpoints, sizeof pinpoints / sizeof *pinpoints);
}

static void put_vision_keys(gguf_writer *w, const model_shape *s) {
  static const int32_t full[1] = {1};
  gguf_writer_bool(w, "clip.has_vision_encoder", true);
  bool plain = families[s->family].layer_norms, tiles = families[s->family].tiles;
  gguf_writer_string(w, "clip.projector_type", tiles ? "mlp" : plain ? "qwen2vl_merger" : "qwen2.5vl_merger");
  gguf_writer_u32(w, "clip.vision.patch_size", PATCH);
  gguf_writer_u32(w, "clip.vision.embedding_length", VISION_WIDTH);
  gguf_writer_u32(w, "clip.vision.feed_forward_length", VISION_FEED_FORWARD);
  gguf_writer_u32(w, "clip.vision.block_count", VISION_LAYERS);
  gguf_writer_u32(w, "clip.vision.attention.head_count", VISION_HEADS);
  gguf_writer_u32(w, "clip.vision.projection_dim", (uint32_t)s->width);
  if (tiles) {
    put_tile_keys(w, s);
    return;
  }
  if (!plain) gguf_writer_ints(w, "clip.vision.fullatt_block_indexes", full, 1);
  if (!plain) gguf_writer_u32(w, "clip.vision.window_size", 2 * PATCH * MERGE);
  gguf_writer_u32(w, "clip.vision.spatial_merge_size", MERGE);
  gguf_writer_u32(w, "clip.vision.temporal_patch_size", 2);
  gguf_writer_u32(w, "clip.vision.image_min_pixels", 32);
  gguf_writer_u32(w, "clip.vision.image_max_pixels", 256);
}

/* A tower's norm, of families whose norms have biases with one. */
static void put_tower_norm(gguf_writer *w, const model_shape *s, const char *prefix, const char *part) {
  put_norm(w, prefix, part, VISION_WIDTH);
  bool biases = families[s->family].layer_norms || families[s->family].tiles;
  if (biases) put_vector(w, dotted(dotted(prefix, part).text, "bias").text, VISION_WIDTH, 0, 0.3f);
}

static void put_vision(gguf_writer *w, const model_shape *s) {
  int64_t merged = VISION_WIDTH * MERGE * MERGE;
  bool tiles = families[s->family].tiles, gated = !families[s->family].layer_norms && !tiles;
  put_matrix(w, s, "v.patch_embd.weight", VISION_WIDTH, 3 * PATCH * PATCH, 0.4f, -1);
  if (!tiles) put_matrix(w, s, "v.patch_embd.weight.1", VISION_WIDTH, 3 * PATCH * PATCH, 0.4f, -1);
  if (tiles) put_vector(w, "v.patch_embd.bias", VISION_WIDTH, 0, 0.3f);
  if (tiles) put_matrix(w, s, "v.position_embd.weight", (TILE / PATCH) * (TILE / PATCH), VISION_WIDTH, 0.5f, -1);
  for (int i = 0; i < VISION_LAYERS; i++) {
    char prefix[24];
    snprintf(prefix, sizeof prefix, "v.blk.%d", i);
    put_tower_norm(w, s, prefix, "ln1");
    put_tower_norm(w, s, prefix, "ln2");
    put_attention(w, s, prefix, "attn_out", VISION_WIDTH, VISION_WIDTH, true, true);
    if (gated) put_linear(w, s, prefix, "ffn_gate", VISION_FEED_FORWARD, VISION_WIDTH, true);
    put_linear(w, s, prefix, "ffn_up", VISION_FEED_FORWARD, VISION_WIDTH, true);
    put_linear(w, s, prefix, "ffn_down", VISION_WIDTH, VISION_FEED_FORWARD, true);
  }
  if (tiles) {
    put_linear(w, s, "mm", "0", s->width, VISION_WIDTH, true);
    put_linear(w, s, "mm", "2", s->width, s->width, true);
    put_vector(w, "model.image_newline", s->width, 0, 0.5f);
    return;
  }
  put_tower_norm(w, s, "v", "post_ln");
  put_linear(w, s, "mm", "0", merged, merged, true);
  put_linear(w, s, "mm", "2", s->width, merged, true);
  if (s->without_projector) return;
  put_linear(w, s, "mm", "img_projector.0", s->width, s->width, true);
  put_linear(w, s, "mm", "img_projector.2", s->width, s->width, true);
}

/* -------------------------------------------------------------------------------------------------------------- models */

static void set_default(int32_t *number, int32_t value) {
  if (*number == 0) *number = value;
}

void random_model_write(gguf_writer *w, const model_shape *shape) {
  model_shape s = *shape;
  set_default(&s.layers, LAYERS);
  set_default(&s.width, WIDTH);
  set_default(&s.heads, HEADS);
  set_default(&s.kv_heads, KV_HEADS);
  set_default(&s.feed_forward, FEED_FORWARD);
  set_default(&s.vocab, VOCAB);
  set_default(&s.context, CONTEXT);
  if (s.missing) gguf_writer_leave_out(w, s.missing);
  gguf_writer_string(w, "general.architecture", s.mmproj ? "clip" : families[s.family].name);
  gguf_writer_u32(w, "general.alignment", GGUF_ALIGNMENT);
  if (!s.mmproj) put_text_keys(w, &s);
  if (!s.mmproj) put_text(w, &s);
  if (s.vision || s.mmproj) put_vision_keys(w, &s);
  if (s.vision || s.mmproj) put_vision(w, &s);
}

void temporary_file(gguf_writer *w, char path[64]) {
  new_file(path);
  gguf_writer_save(w, path);
  gguf_writer_free(w);
}

void random_model_save(const model_shape *shape, char path[64]) {
  gguf_writer w = {0};
  random_model_write(&w, shape);
  temporary_file(&w, path);
}

const char *backend_under_test(void) { return getenv("DIMPLE_TEST_BACKEND"); }

dimple_status load_model(const char *path, const char *mmproj, dimple_model **model) {
  dimple_model_options options = {.backend = backend_under_test(), .mmproj_path = mmproj, .threads = 2};
  return dimple_model_load(path, &options, model);
}

dimple_model *random_model(model_shape shape) {
  char path[64];
  dimple_model *m = NULL;
  random_model_save(&shape, path);
  EXPECT_OK(load_model(path, NULL, &m));
  remove(path);
  return m;
}
