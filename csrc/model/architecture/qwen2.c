#include "model/architecture/qwen2.h"

#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

dimple_status qwen2_read_shape(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_feed_forward(file, p));
  DIMPLE_TRY(read_attention(file, p));
  return read_norm(file, p);
}

void qwen2_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    const layer_parameters *l = &p->layer[i];
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_linear(list, layer_query_width(l), p->width, BIAS_REQUIRED, &block->q, "blk.%d.attn_q", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_REQUIRED, &block->k, "blk.%d.attn_k", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_REQUIRED, &block->v, "blk.%d.attn_v", i);
    want_attention_output(list, p, i, block);
    want_feed_forward(list, p, i, block);
  }
}

dimple_status qwen2_record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_feed_forward(l);
}
