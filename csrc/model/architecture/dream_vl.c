/*
 * Dream-VL-7B (arXiv 2512.22615): Dream's body with multimodal rotary embedding, and Qwen2-VL's vision tower with a projector behind it. Pictures stand
 * on grids only behind the token of a picture's start, which the authors' own template does not write: then they are in line like text.
 */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

/* Our own format: its writers leave no key to a default, so a missing one is damage. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "rope.dimension_sections").text));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.shift_logits"));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(read_diffusion(file, p, true));
  DIMPLE_TRY(read_tokens(file, p));
  return gguf_require_int32(file, key_of(p, "vision_start_token_id").text, 0, MAX_VOCAB, &p->picture_start);
}

const architecture architecture_dream_vl = {
    .name = "dream-vl", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer,
    .vision_projector = true, .projector_gelu = true};
