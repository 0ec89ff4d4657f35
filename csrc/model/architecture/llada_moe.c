/* LLaDA-MoE: norms on each query and key head, a mixture of experts as the feed-forward half, no biases. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen3_moe.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_experts(file, p));
  DIMPLE_TRY(read_attention(file, p));
  DIMPLE_TRY(read_norm(file, p));
  DIMPLE_TRY(read_rotary(file, p, 1e4f));
  DIMPLE_TRY(read_diffusion(file, p, false));
  return read_tokens(file, p);
}

const architecture architecture_llada_moe = {
    .name = "llada-moe", .read_keys = read_keys, .want_tensors = qwen3_moe_want_tensors, .record_layer = qwen3_moe_record_layer,
    .harmless = qwen3_moe_harmless};
