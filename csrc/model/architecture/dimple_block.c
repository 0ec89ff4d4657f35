/*
 * Dimple under block diffusion (models/mini/block_causal.py): its body, tower and projector, whose positions, those of pictures too, see their own
 * block and those before it, each row scoring the next position.
 */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

/* Our own format: its writers leave no key to a default, so a missing one is damage. */
static dimple_status require_keys(const gguf_file *file, const text_parameters *p) {
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "rope.dimension_sections").text));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.shift_logits"));
  return gguf_require_key(file, "diffusion.block_length");
}

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(require_keys(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(read_block_causal(file, p, true));
  return read_tokens(file, p);
}

const architecture architecture_dimple_block = {
    .name = "dimple-block", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer,
    .vision_projector = true};
