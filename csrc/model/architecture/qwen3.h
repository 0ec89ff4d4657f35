/* Qwen3's body: Qwen2.5's without biases, with a norm on each query and key head. */
#ifndef DIMPLE_QWEN3_H
#define DIMPLE_QWEN3_H

#include "model/architecture.h"

void qwen3_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w);
dimple_status qwen3_record_layer(layer *l);

#endif
