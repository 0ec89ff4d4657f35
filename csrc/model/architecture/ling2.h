/*
 * Ling 2.0's body: queries, keys and values are one projection, heads are normed and turn in part, and all but the first layers have experts, chosen by sigmoid
 * and bias, beside one that all rows go to. Keys and tensors are those of llama.cpp's bailingmoe2.
 */
#ifndef DIMPLE_ARCHITECTURE_LING2_H
#define DIMPLE_ARCHITECTURE_LING2_H

#include "model/architecture.h"

/* All but the experts' keys and what positions see. */
dimple_status ling2_read_shape(const gguf_file *file, text_parameters *p, float default_base);

void ling2_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w);
dimple_status ling2_record_layer(layer *l);

/* The width of dense layers, where there are none. */
extern const harmless_key ling2_harmless[];

#endif
