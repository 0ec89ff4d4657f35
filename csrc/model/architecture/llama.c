#include "model/architecture/llama.h"

#include "model/architecture/decoder.h"

void llama_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) { want_dense_model(list, p, BIAS_NONE, w); }
