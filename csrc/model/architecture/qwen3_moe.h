/* Qwen3-MoE's body: Qwen3's with a mixture of experts as the feed-forward half of every layer. */
#ifndef DIMPLE_ARCHITECTURE_QWEN3_MOE_H
#define DIMPLE_ARCHITECTURE_QWEN3_MOE_H

#include "gguf/harmless.h"
#include "model/architecture.h"

/* Sizes, heads, norm and experts, whose shares are divided by their sum unless expert_weights_norm is false. */
dimple_status qwen3_moe_read_shape(const gguf_file *file, text_parameters *p);

void qwen3_moe_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w);
dimple_status qwen3_moe_record_layer(layer *l);

/* Keys that its writers give beside: the width of the dense half that no layer has, and that the router ends in a softmax. */
extern const harmless_key qwen3_moe_harmless[];

#endif
