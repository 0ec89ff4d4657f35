#include "model/architecture/decoder.h"

void want_ends(tensor_list *list, const text_parameters *p, text_weights *w) {
  const char *head = tensor_list_has(list, "output.weight") ? "output.weight" : "token_embd.weight";
  want_matrix(list, WEIGHT_ROWS, p->vocab, p->width, &w->embedding, "token_embd.weight");
  want_vector(list, p->width, &w->output_norm, "output_norm.weight");
  want_matrix(list, WEIGHT_LINEAR, p->vocab, p->width, &w->output, "%s", head);
}

void want_norms(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  want_vector(list, p->width, &block->norm1, "blk.%d.attn_norm.weight", i);
  want_vector(list, p->width, &block->norm2, "blk.%d.ffn_norm.weight", i);
}

void want_attention_output(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  want_linear(list, p->width, layer_query_width(&p->layer[i]), BIAS_NONE, &block->output, "blk.%d.attn_output", i);
}

void want_plain_attention(tensor_list *list, const text_parameters *p, int32_t i, bias_rule bias, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  want_linear(list, layer_query_width(l), p->width, bias, &block->q, "blk.%d.attn_q", i);
  want_linear(list, layer_kv_width(l), p->width, bias, &block->k, "blk.%d.attn_k", i);
  want_linear(list, layer_kv_width(l), p->width, bias, &block->v, "blk.%d.attn_v", i);
  want_attention_output(list, p, i, block);
}

void want_normed_attention(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  want_plain_attention(list, p, i, BIAS_NONE, block);
  want_vector(list, p->layer[i].head_size, &block->q_norm, "blk.%d.attn_q_norm.weight", i);
  want_vector(list, p->layer[i].head_size, &block->k_norm, "blk.%d.attn_k_norm.weight", i);
}

void want_mixture(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  const layer_parameters *l = &p->layer[i];
  want_matrix(list, WEIGHT_LINEAR, l->experts, p->width, &block->router, "blk.%d.ffn_gate_inp.weight", i);
  want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_gate, "blk.%d.ffn_gate_exps.weight", i);
  want_bank(list, l->experts, l->feed_forward, p->width, &block->expert_up, "blk.%d.ffn_up_exps.weight", i);
  want_bank(list, l->experts, p->width, l->feed_forward, &block->expert_down, "blk.%d.ffn_down_exps.weight", i);
}

void want_feed_forward(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block) {
  int32_t inner = p->layer[i].feed_forward;
  want_linear(list, inner, p->width, BIAS_NONE, &block->gate, "blk.%d.ffn_gate", i);
  want_linear(list, inner, p->width, BIAS_NONE, &block->up, "blk.%d.ffn_up", i);
  want_linear(list, p->width, inner, BIAS_NONE, &block->down, "blk.%d.ffn_down", i);
}

void want_dense_model(tensor_list *list, const text_parameters *p, bias_rule bias, text_weights *w) {
  want_ends(list, p, w);
  for (int32_t i = 0; i < p->layers; i++) {
    want_norms(list, p, i, &w->layers[i]);
    want_plain_attention(list, p, i, bias, &w->layers[i]);
    want_feed_forward(list, p, i, &w->layers[i]);
  }
}
