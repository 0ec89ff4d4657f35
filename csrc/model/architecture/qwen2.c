#include "model/architecture/qwen2.h"

#include "error.h"
#include "model/architecture/decoder.h"
#include "model/architecture/keys.h"

dimple_status qwen2_read_shape(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_feed_forward(file, p));
  DIMPLE_TRY(read_attention(file, p));
  return read_norm(file, p);
}

void qwen2_want_tensors(tensor_list *list, const text_parameters *p, text_weights *w) { want_dense_model(list, p, BIAS_REQUIRED, w); }

dimple_status qwen2_record_layer(layer *l) {
  DIMPLE_TRY(layer_project(l));
  DIMPLE_TRY(layer_rotate(l));
  DIMPLE_TRY(layer_attend(l));
  return layer_feed_forward(l);
}
