/* LLaDA-V (arXiv 2505.16933): LLaDA's body with the rotary pairs of its checkpoints, half a head apart, and pictures in line with its text. */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/llama.h"
#include "model/architecture/qwen2.h"

/* Our own format: its writers leave no key to a default, so a missing one is damage. */
static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(qwen2_read_shape(file, p));
  DIMPLE_TRY(read_own_rotary(file, p));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.shift_logits"));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.block_length"));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.suppress_tokens"));
  DIMPLE_TRY(read_diffusion(file, p, false));
  DIMPLE_TRY(read_tokens(file, p));
  if (p->eot_token < 0) DIMPLE_TRY(gguf_require_key(file, "tokenizer.ggml.eot_token_id")); /* nor is there a token of that spelling */
  return gguf_require_key(file, key_of(p, "image_token_id").text);
}

const architecture architecture_llada_v = {
    .name = "llada-v", .read_keys = read_keys, .want_tensors = llama_want_tensors, .record_layer = qwen2_record_layer};
