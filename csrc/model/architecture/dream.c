/* Dream-7B and what was trained from it: Qwen2.5's body as a masked-diffusion model. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

/* llama.cpp's converter leaves diffusion.shift_logits out and its readers take it for true; without a frequency they take 10000. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e4f));
  DIMPLE_TRY(read_diffusion(file, p, true));
  return read_tokens(file, p);
}

const architecture architecture_dream = {
    .name = "dream", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer};
