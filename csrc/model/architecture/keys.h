/* The keys that text architectures share, in groups. A reading function checks what it reads and fills in its part of the parameters;
 * an architecture calls those it needs, in the order in which its files are judged. Names are llama.cpp's, docs/file-layout.md. */
#ifndef DIMPLE_ARCHITECTURE_KEYS_H
#define DIMPLE_ARCHITECTURE_KEYS_H

#include "model/architecture.h"

/* "<architecture>.<suffix>" */
typedef struct key_name {
  char text[96];
} key_name;

key_name key_of(const text_parameters *p, const char *suffix);

/* block_count, embedding_length. */
dimple_status read_depth_and_width(const gguf_file *file, text_parameters *p);

/* feed_forward_length, the same in every layer. */
dimple_status read_feed_forward(const gguf_file *file, text_parameters *p);

/* expert_count, expert_used_count, expert_feed_forward_length, the same in every layer. Without an explicit width an expert's is an
 * equal share of feed_forward_length. */
dimple_status read_experts(const gguf_file *file, text_parameters *p);

/* expert_count, expert_used_count, expert_feed_forward_length, expert_shared_count, expert_shared_feed_forward_length (as wide as those),
 * expert_gating_func (2: sigmoid), expert_weights_norm (true), expert_weights_scale (1), expert_group_count and expert_group_used_count of the
 * layers from leading_dense_block_count (0) on; those before have feed_forward_length. */
dimple_status read_sigmoid_experts(const gguf_file *file, text_parameters *p);

/* attention.head_count, attention.head_count_kv (as many), context_length, attention.key_length (an equal share of the width),
 * attention.value_length and rope.dimension_count (the head size, and nothing else). The same in every layer. */
dimple_status read_attention(const gguf_file *file, text_parameters *p);

/* The same, but that rope.dimension_count, the elements of a head that turn, may be less than its size. */
dimple_status read_partial_attention(const gguf_file *file, text_parameters *p);

/* attention.layer_norm_rms_epsilon. */
dimple_status read_norm(const gguf_file *file, text_parameters *p);

/* rope.freq_base, with its default, rope.scaling.*, and rope.dimension_sections: llama.cpp's array of up to four counts of angles (time, row, column,
 * unused). A file without it gets the released Dimple-7B's [16, 24, 24] in proportion: text, whose three coordinates are equal, is
 * the same under any sections, and a `dream` file that takes pictures through an mmproj is Dimple's body. */
dimple_status read_rotary(const gguf_file *file, text_parameters *p, float default_base);

/* The same of formats of our own, whose writers leave no frequency to a default: without it the file is damaged. */
dimple_status read_own_rotary(const gguf_file *file, text_parameters *p);

/* attention.causal (false), diffusion.shift_logits, with its default, diffusion.block_length, diffusion.cache and diffusion.pipeline. */
dimple_status read_diffusion(const gguf_file *file, text_parameters *p, bool default_shift);

/* The same of models whose positions see their own block and those before it. */
dimple_status read_block_causal(const gguf_file *file, text_parameters *p, bool default_shift);

/* The id of a token by its text, or -1. */
int32_t token_named(const gguf_file *file, const char *text);

/* tokenizer.ggml.*_token_id and image_token_id; <|image_pad|> or <|image|> and <|eot_id|> by their text, where no key names them. */
dimple_status read_tokens(const gguf_file *file, text_parameters *p);

/* What follows the sizes in such formats of our own: the rotary embedding, what read_block_causal reads, and tokens. The block length that a model was trained
 * with is part of what it is: it has no default. */
dimple_status read_own_block_causal(const gguf_file *file, text_parameters *p, bool default_shift);

#endif
