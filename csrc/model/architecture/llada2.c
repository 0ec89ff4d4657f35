/*
 * LLaDA2.0 and LLaDA2.1 (arXiv 2512.15745), Ling 2.0's body, whose positions see their own block and those before it: queries, keys and values
 * are one projection, heads are normed and turn in part, and all but the first layers have experts, chosen in groups by sigmoid and bias, beside one that
 * all rows go to. Keys and tensors are those of llama.cpp's bailingmoe2.
 */
#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

/* That all of them are trained with. */
enum { BLOCK_LENGTH = 32 };

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_sigmoid_experts(file, p));
  DIMPLE_TRY(read_partial_attention(file, p));
  DIMPLE_TRY(read_norm(file, p));
  DIMPLE_TRY(read_rotary(file, p, 6e5f));
  p->block_length = BLOCK_LENGTH;
  DIMPLE_TRY(read_block_causal(file, p, false));
  return read_tokens(file, p);
}

static void want_attention(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  int64_t queries = layer_query_width(l), keys = layer_kv_width(l), all = queries + 2 * keys;
  want_part(list, all, 0, queries, p->width, &block->q, "blk.%d.attn_qkv", i);
  want_part(list, all, queries, keys, p->width, &block->k, "blk.%d.attn_qkv", i);
  want_part(list, all, queries + keys, keys, p->width, &block->v, "blk.%d.attn_qkv", i);
  want_attention_output(list, p, i, block);
  want_vector(list, l->head_size, &block->q_norm, "blk.%d.attn_q_norm.weight", i);
  want_vector(list, l->head_size, &block->k_norm, "blk.%d.attn_k_norm.weight", i);
}

static void want_experts_and_shared(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  int64_t shared = p->layer[i].shared_feed_forward;
  want_mixture(list, p, i, block);
  want_vector(list, p->layer[i].experts, &block->router_bias, "blk.%d.exp_probs_b.bias", i);
  if (shared == 0) return;
  want_linear(list, shared, p->width, BIAS_NONE, &block->gate, "blk.%d.ffn_gate_shexp", i);
  want_linear(list, shared, p->width, BIAS_NONE, &block->up, "blk.%d.ffn_up_shexp", i);
  want_linear(list, p->width, shared, BIAS_NONE, &block->down, "blk.%d.ffn_down_shexp", i);
}

static void want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_attention(list, p, i, block);
    if (p->layer[i].experts > 0)
      want_experts_and_shared(list, p, i, block);
    else
      want_feed_forward(list, p, i, block);
  }
}

static dimple_status record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return l->parameters->experts > 0 ? layer_experts(l) : layer_feed_forward(l);
}

/* The width of dense layers, where there are none. */
static const harmless_key harmless[] = {{"feed_forward_length", 0}, {0}};

const architecture architecture_llada2 = {
    .name = "llada2", .read_keys = read_keys, .want_tensors = want_tensors, .record_layer = record_layer, .harmless = harmless};
