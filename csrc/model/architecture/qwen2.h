/* The body of Qwen2.5, which Dream and Dimple are initialised from: biases on Q, K and V, none elsewhere. */
#ifndef DIMPLE_ARCHITECTURE_QWEN2_H
#define DIMPLE_ARCHITECTURE_QWEN2_H

#include "model/architecture.h"

/* Sizes, heads and norm, up to what the architectures differ in. */
dimple_status qwen2_read_shape(const gguf_file *file, text_parameters *p);

void qwen2_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w);

/* The pre-norm layer: x += attention of norm x; x += SwiGLU of norm x. */
dimple_status qwen2_record_layer(layer *l);

#endif
