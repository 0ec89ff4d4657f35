/* LLaDA2.0 and LLaDA2.1 (arXiv 2512.15745): Ling 2.0's body, whose positions see their own block and those before it, and whose experts are chosen in groups. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/ling2.h"

/* That all of them are trained with. */
enum { BLOCK_LENGTH = 32 };

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_sigmoid_experts(file, p));
  DIMPLE_TRY(ling2_read_shape(file, p, 6e5f));
  p->block_length = BLOCK_LENGTH;
  DIMPLE_TRY(read_block_causal(file, p, false));
  return read_tokens(file, p);
}

const architecture architecture_llada2 = {
    .name = "llada2", .read_keys = read_keys, .want_tensors = ling2_want_tensors, .record_layer = ling2_record_layer, .harmless = ling2_harmless};
