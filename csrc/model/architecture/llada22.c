/*
 * LLaDA2.2 (technical report of July 2026): LLaDA2.1's network, whose rows are routed by blocks: the experts that are worth most to any row of a block are
 * admitted, and each row chooses among these. Two tokens of its vocabulary are none of the text's: one takes its position out, the other has a mask come in before
 * it. Keys are those of llada2, without groups, and our own.
 */
#include "error.h"
#include "model/architecture/keys.h"
#include "model/architecture/ling2.h"

/* Pieces of long passes are whole blocks of these lengths. */
enum { MOST_ROUTED_ROWS = 256 };

/* expert_block_size, of which a block of the diffusion holds a whole number, and expert_capacity. */
static dimple_status read_block_routing(const gguf_file *file, text_parameters *p) {
  key_name block_key = key_of(p, "expert_block_size"), capacity_key = key_of(p, "expert_capacity");
  int32_t block = 0, admitted = 0, used = 0, experts = 0;
  for (int32_t i = 0; i < p->layers; i++) {
    if (p->layer[i].experts == 0) continue;
    used = p->layer[i].experts_used;
    experts = p->layer[i].experts;
    if (p->layer[i].route.groups > 1)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %d, expected 1: experts are admitted by blocks of rows", gguf_path(file),
                         key_of(p, "expert_group_count").text, p->layer[i].route.groups);
  }
  if (experts == 0) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: no layer has experts, expected some", gguf_path(file));
  DIMPLE_TRY(gguf_require_int32(file, block_key.text, 1, MOST_ROUTED_ROWS, &block));
  DIMPLE_TRY(gguf_require_int32(file, capacity_key.text, used, experts, &admitted));
  if ((block & (block - 1)) != 0 || p->block_length % block != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %d, expected a power of two that divides diffusion.block_length, %d", gguf_path(file), block_key.text,
                       block, p->block_length);
  for (int32_t i = 0; i < p->layers; i++) {
    if (p->layer[i].experts == 0) continue;
    p->layer[i].route.block = block;
    p->layer[i].route.admitted = admitted;
  }
  return DIMPLE_OK;
}

static dimple_status read_edit_tokens(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(gguf_require_int32(file, "tokenizer.ggml.delete_token_id", 0, MAX_VOCAB, &p->delete_token));
  DIMPLE_TRY(gguf_require_int32(file, "tokenizer.ggml.split_token_id", 0, MAX_VOCAB, &p->split_token));
  DIMPLE_TRY(gguf_require_key(file, "tokenizer.ggml.mask_token_id"));
  if (p->delete_token != p->split_token && p->delete_token != p->mask_token && p->split_token != p->mask_token) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: keys tokenizer.ggml.delete_token_id, split_token_id and mask_token_id are %d, %d and %d, expected three tokens",
                     gguf_path(file), p->delete_token, p->split_token, p->mask_token);
}

static dimple_status read_keys(const gguf_file *file, text_parameters *p) {
  DIMPLE_TRY(read_depth_and_width(file, p));
  DIMPLE_TRY(read_sigmoid_experts(file, p));
  DIMPLE_TRY(gguf_require_key(file, key_of(p, "rope.freq_base").text));
  DIMPLE_TRY(ling2_read_shape(file, p, 0));
  DIMPLE_TRY(gguf_require_key(file, "diffusion.block_length"));
  DIMPLE_TRY(read_block_causal(file, p, false));
  if (p->shift_logits)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key diffusion.shift_logits is true, expected false: rows score themselves", gguf_path(file));
  DIMPLE_TRY(read_block_routing(file, p));
  DIMPLE_TRY(read_tokens(file, p));
  return read_edit_tokens(file, p);
}

const architecture architecture_llada22 = {
    .name = "llada22", .read_keys = read_keys, .want_tensors = ling2_want_tensors, .record_layer = ling2_record_layer, .harmless = ling2_harmless};
