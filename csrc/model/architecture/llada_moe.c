/* LLaDA-MoE: norms on each query and key head, a mixture of experts as the feed-forward half, no biases. */
#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_experts(file, p));
  DIMPLE_TRY(read_attention(file, p));
  DIMPLE_TRY(read_norm(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e4f));
  DIMPLE_TRY(read_diffusion(file, p, false));
  return read_tokens(file, p);
}

static void want_experts(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  want_matrix(list, WEIGHT_LINEAR, l->experts, p->width, &block->router, "blk.%d.ffn_gate_inp.weight", i);
  want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_gate, "blk.%d.ffn_gate_exps.weight", i);
  want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_up, "blk.%d.ffn_up_exps.weight", i);
  want_bank(list, l->experts, p->width, l->feed_forward, &block->expert_down, "blk.%d.ffn_down_exps.weight", i);
}

static void want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_normed_attention(list, p, i, block);
    want_experts(list, p, i, block);
  }
}

static dimple_status record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_experts(l);
}

/* With experts its writers give the width of a dense half too, and that the router ends in a softmax. */
static const harmless_key harmless[] = {{"feed_forward_length", 0}, {"expert_gating_func", "1"}, {0}};

const architecture architecture_llada_moe = {
    .name = "llada-moe", .read_keys = read_keys, .want_tensors = want_tensors, .record_layer = record_layer, .harmless = harmless};
