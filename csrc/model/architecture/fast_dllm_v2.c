/* Fast-dLLM v2 (arXiv 2509.26328): Qwen2.5's body, whose positions see their own block and those before it, each row scoring the next position. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  return read_own_block_causal(file, p, true);
}

const architecture architecture_fast_dllm_v2 = {
    .name = "fast-dllm-v2", .read_keys = read_keys, .want_tensors = qwen2_want_tensors, .record_layer = qwen2_record_layer};
