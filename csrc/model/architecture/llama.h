/* LLaMA's body without any bias, rotary pairs half a head apart, as its checkpoints have them. Keys and layer are Qwen2.5's (qwen2.h). */
#ifndef DIMPLE_ARCHITECTURE_LLAMA_H
#define DIMPLE_ARCHITECTURE_LLAMA_H

#include "model/architecture.h"

void llama_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w);

#endif
