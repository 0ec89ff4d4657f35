#include "model/architecture/qwen3_moe.h"

#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

dimple_status qwen3_moe_read_shape(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_experts(file, p));
  bool among_chosen = true;
  DIMPLE_TRY(gguf_optional_bool(file, key_of(p, "expert_weights_norm").text, &among_chosen));
  for (int32_t i = 0; i < p->layers; i++) p->layer[i].route.among_chosen = among_chosen;
  DIMPLE_TRY(read_attention(file, p));
  return read_norm(file, p);
}

void qwen3_moe_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_normed_attention(list, p, i, block);
    want_mixture(list, p, i, block);
  }
}

dimple_status qwen3_moe_record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_experts(l);
}

const harmless_key qwen3_moe_harmless[] = {{"feed_forward_length", 0}, {"expert_gating_func", "1"}, {0}};
