/* Dimple-7B: Dream's body with multimodal rotary embedding, and a vision tower with a projector of its own behind it. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

/* Our own format: its writers leave no key to a default, so a missing one is damage. */
static dimple_status require_keys(const gguf_file *file, const text_parameters *p) {
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "rope.dimension_sections").text));
  return gguf_require_key(file, "diffusion.shift_logits");
}

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(require_keys(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(read_diffusion(file, p, false));
  return read_tokens(file, p);
}

const architecture architecture_dimple = {
    .name = "dimple", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer,
    .vision_projector = true};
