/* RND1 30B-A3B: Qwen3-MoE's body under full attention, whose rows score the next position. Keys and tensors are llama.cpp's. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen3_moe.h"

/* llama.cpp's converter leaves diffusion.shift_logits out and its readers take it for true. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen3_moe_read_shape(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e4f));
  DIMPLE_TRY(read_diffusion(file, p, true));
  return read_tokens(file, p);
}

const architecture architecture_rnd1 = {
    .name = "rnd1", .read_keys = read_keys, .want_tensors = qwen3_moe_want_tensors, .record_layer = qwen3_moe_record_layer,
    .harmless = qwen3_moe_harmless};
