/* Qwen2 turned into a diffusion model (dLLM's A2D, "autoregressive to diffusion"): its body under full attention, or block-causal attention with
 * pipeline bd3lm. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(read_diffusion(file, p, false));
  return read_tokens(file, p);
}

const architecture architecture_a2d_qwen2 = {
    .name = "a2d-qwen2", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer};
