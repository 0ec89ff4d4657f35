/* SDAR (arXiv 2510.06303): Qwen3's body, whose positions see their own block and those before it. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"
#include "model/architecture/qwen3.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  return read_own_block_causal(file, p, false);
}

const architecture architecture_sdar = {
    .name = "sdar", .read_keys = read_keys, .want_tensors = qwen3_want_tensors, .record_layer = qwen3_record_layer};
