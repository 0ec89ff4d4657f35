/* SDAR-VL (arXiv 2512.14068): SDAR's body, and pictures in line with its text. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"
#include "model/architecture/qwen3.h"

/* Our own format: the block length that the model was trained with is part of what it is. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.block_length"));
  DIMPLE_TRY(read_block_causal(file, p, false));
  return read_tokens(file, p);
}

const architecture architecture_sdar_vl = {
    .name = "sdar-vl", .read_keys = read_keys, .want_tensors = qwen3_want_tensors, .record_layer = qwen3_record_layer};
