/* The tensors that text architectures share: what stands before and behind the layers, and the parts of a pre-norm layer. `i` is the
 * layer's number, from 0. Names are llama.cpp's, docs/file-layout.md. */
#ifndef DIMPLE_ARCHITECTURE_DECODER_H
#define DIMPLE_ARCHITECTURE_DECODER_H

#include "model/architecture.h"

/* token_embd, output_norm and output; a file without output.weight ties the head to the embedding. */
void want_ends(tensor_list *list, const text_parameters *p, text_weights *w);

/* attn_norm and ffn_norm. */
void want_norms(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block);

/* attn_output, without a bias. */
void want_attention_output(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block);

/* attn_q, attn_k and attn_v, with biases or without, and attn_output without. */
void want_plain_attention(tensor_list *list, const text_parameters *p, int32_t i, bias_rule bias, block_weights *block);

/* attn_q, attn_k, attn_v and attn_output without biases, and the norms of query and key heads. */
void want_normed_attention(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block);

/* ffn_gate_inp, ffn_gate_exps, ffn_up_exps and ffn_down_exps. */
void want_mixture(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block);

/* ffn_gate, ffn_up and ffn_down, without biases. */
void want_feed_forward(tensor_list *list, const text_parameters *p, int32_t i, block_weights *block);

/* All of a model whose layers are want_norms, want_plain_attention and want_feed_forward. */
void want_dense_model(tensor_list *list, const text_parameters *p, bias_rule bias, text_weights *w);

#endif
