/* LLaDA: LLaMA's body without any bias. Its files pair neighbouring rows of Q and K, as llama.cpp's converter permutes them. */
#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_feed_forward(file, p));
  DIMPLE_TRY(read_attention(file, p));
  DIMPLE_TRY(read_norm(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e4f));
  DIMPLE_TRY(read_diffusion(file, p, false));
  return read_tokens(file, p);
}

static void want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    const layer_parameters *l = &p->layer[i];
    block_weights *block = &w->layers[i];
    want_norms(list, p, i, block);
    want_paired(list, layer_query_width(l), p->width, l->head_size, &block->q, "blk.%d.attn_q", i);
    want_paired(list, layer_kv_width(l), p->width, l->head_size, &block->k, "blk.%d.attn_k", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &block->v, "blk.%d.attn_v", i);
    want_attention_output(list, p, i, block);
    want_feed_forward(list, p, i, block);
  }
}

static dimple_status record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_feed_forward(l);
}

const architecture architecture_llada = {
    .name = "llada", .read_keys = read_keys, .want_tensors = want_tensors, .record_layer = record_layer};
