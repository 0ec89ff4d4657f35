#include "vision/vision.h"

#include "error.h"

int32_t vision_projected_width(const tensor_list *list) {
  const gguf_file *file;
  const gguf_tensor *t = gguf_parts_find_tensor(list->files, "mm.img_projector.0.weight", &file);
  if (!t) return 0;
  return t->dimensions[1] < MAX_WIDTH ? (int32_t)t->dimensions[1] : MAX_WIDTH;
}

void vision_want_projector(tensor_list *list, const vision_parameters *v, int32_t text_width, vision_weights *w) {
  want_linear(list, text_width, v->out_width, BIAS_REQUIRED, &w->projector[0], "mm.img_projector.0");
  want_linear(list, text_width, text_width, BIAS_REQUIRED, &w->projector[1], "mm.img_projector.2");
}

/* features = W2 act(W1 tower + b1) + b2, act by the model */
static dimple_status record_projector(const tower_call *call, view tower, view hidden, view features) {
  const block b = {.ops = call->ops, .context = call->context};
  DIMPLE_TRY(block_linear(&b, &call->weights->projector[0], call->parameters->projector_mode, tower, hidden));
  return block_linear(&b, &call->weights->projector[1], LINEAR_STORE, hidden, features);
}

static dimple_status run(const tower_call *call, view tower, view hidden, view features) {
  DIMPLE_TRY(call->parameters->tower->forward(call, tower));
  DIMPLE_TRY(call->ops->pass_begin(call->context, call->cancelled));
  return call->ops->pass_end(call->context, record_projector(call, tower, hidden, features));
}

dimple_status vision_forward(const tower_call *call, view features) {
  const vision_parameters *v = call->parameters;
  if (!v->projector) return v->tower->forward(call, features);
  view tower = {0}, hidden = {0};
  dimple_status status = matrix_alloc(call->ops, call->context, features.rows, v->out_width, &tower);
  if (status == DIMPLE_OK) status = matrix_alloc(call->ops, call->context, features.rows, features.columns, &hidden);
  if (status == DIMPLE_OK) status = run(call, tower, hidden, features);
  call->ops->buffer_free(call->context, tower.memory);
  call->ops->buffer_free(call->context, hidden.memory);
  return status;
}
