#include "model/architecture/ling2.h"

#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

dimple_status ling2_read_shape(const gguf_file *file, text_parameters *p, float default_base) {
  DIMPLE_TRY(read_partial_attention(file, p));
  DIMPLE_TRY(read_norm(file, p));
  return read_rotary(file, p, default_base);
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

void ling2_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
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

dimple_status ling2_record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return l->parameters->experts > 0 ? layer_experts(l) : layer_feed_forward(l);
}

const harmless_key ling2_harmless[] = {{"feed_forward_length", 0}, {0}};
