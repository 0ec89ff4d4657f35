/* SDAR 30B-A3B (arXiv 2510.06303): Qwen3-MoE's body, whose positions see their own block and those before it. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen3_moe.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen3_moe_read_shape(file, p));
  return read_own_block_causal(file, p, false);
}

const architecture architecture_sdar_moe = {
    .name = "sdar-moe", .read_keys = read_keys, .want_tensors = qwen3_moe_want_tensors, .record_layer = qwen3_moe_record_layer,
    .harmless = qwen3_moe_harmless};
