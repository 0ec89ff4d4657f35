/* LaViDa on Dream (arXiv 2505.16839): Dream's body, and pictures in line with its text. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

/* Our own format: its writers leave no key to a default, so a missing one is damage. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.shift_logits"));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.suppress_tokens"));
  DIMPLE_TRY(read_diffusion(file, p, true));
  DIMPLE_TRY(read_tokens(file, p));
  if (gguf_find(file, "clip.has_vision_encoder")) DIMPLE_TRY(gguf_require_key(file, "clip.vision.mm_spatial_pool_mode"));
  return gguf_require_key(file, key_of(p, "image_token_id").text);
}

const architecture architecture_lavida_dream = {
    .name = "lavida-dream", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer};
