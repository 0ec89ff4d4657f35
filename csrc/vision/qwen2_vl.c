/* The vision tower of Qwen2-VL: Qwen2.5-VL's without windows, with layer norms, and quick GELU in the place of SwiGLU. */
#include "error.h"
#include "vision/qwen.h"

static dimple_status read_keys(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(qwen_read_keys(file, v));
  v->window = 1; /* which no layer has */
  v->image.enlarges = true; /* as Dream-VL, whose tower it is here */
  for (int32_t i = 0; i < v->layers; i++) v->full[i] = true;
  return DIMPLE_OK;
}

static void want_block(tensor_list *list, const vision_parameters *v, int32_t i, block_weights *block) {
  want_vector(list, v->width, &block->norm1, "v.blk.%d.ln1.weight", i);
  want_vector(list, v->width, &block->norm1_bias, "v.blk.%d.ln1.bias", i);
  want_vector(list, v->width, &block->norm2, "v.blk.%d.ln2.weight", i);
  want_vector(list, v->width, &block->norm2_bias, "v.blk.%d.ln2.bias", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->q, "v.blk.%d.attn_q", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->k, "v.blk.%d.attn_k", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->v, "v.blk.%d.attn_v", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->output, "v.blk.%d.attn_out", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->up, "v.blk.%d.ffn_up", i);
  want_linear(list, v->width, v->feed_forward, BIAS_REQUIRED, &block->down, "v.blk.%d.ffn_down", i);
}

static void want_tensors(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  qwen_want_ends(list, v, w);
  want_vector(list, v->width, &w->merger_norm_bias, "v.post_ln.bias");
  for (int32_t i = 0; i < v->layers; i++) want_block(list, v, i, &w->layers[i]);
}

/* As of Qwen2.5-VL's tower; quick GELU is what llama.cpp takes where neither activation is said. */
static const harmless_key harmless[] = {
    {"vision.image_size", 0}, {"use_silu", "false"}, {"use_gelu", "false"}, {"vision.projector_type", "qwen2vl_merger"},
    {"has_audio_encoder", "false"}, {"has_text_encoder", "false"}, {"has_llava_projector", "false"}, {0}};

const tower tower_qwen2_vl = {.projector = "qwen2vl_merger", .read_keys = read_keys, .want_tensors = want_tensors, .grid = qwen_grid,
                              .place = qwen_place, .forward = qwen_forward, .harmless = harmless};
