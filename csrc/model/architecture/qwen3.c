#include "model/architecture/qwen3.h"

#include "error.h"
#include "model/architecture/decoder.h"

void qwen3_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_normed_attention(list, p, i, block);
    want_feed_forward(list, p, i, block);
  }
}

dimple_status qwen3_record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_norm_heads(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_feed_forward(l);
}
