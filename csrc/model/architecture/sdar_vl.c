/* SDAR-VL (arXiv 2512.14068): SDAR's body, and pictures in line with its text. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/qwen2.h"
#include "model/architecture/qwen3.h"

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  return read_own_block_causal(file, p, false);
}

const architecture architecture_sdar_vl = {
    .name = "sdar-vl", .read_keys = read_keys, .want_tensors = qwen3_want_tensors, .record_layer = qwen3_record_layer};
