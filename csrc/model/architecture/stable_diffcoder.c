/* Stable-DiffCoder: LLaMA's body as Seed-Coder has it, whose positions see their own block and those before it. Rotary pairs are half a head apart,
 * as in its checkpoints. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/llama.h"
#include "model/architecture/qwen2.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  return read_own_block_causal(file, p, false);
}

const architecture architecture_stable_diffcoder = {
    .name = "stable-diffcoder", .read_keys = read_keys, .want_tensors = llama_want_tensors, .record_layer = qwen2_record_layer};
