#include "model/architecture/llama.h"

#include "model/architecture/decoder.h"

void llama_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    const layer_parameters *l = &p->layer[i];
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_linear(list, layer_query_width(l), p->width, BIAS_NONE, &block->q, "blk.%d.attn_q", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &block->k, "blk.%d.attn_k", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &block->v, "blk.%d.attn_v", i);
    want_attention_output(list, p, i, block);
    want_feed_forward(list, p, i, block);
  }
}
