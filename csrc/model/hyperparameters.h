/* What a GGUF file says about the shape of its model, checked and with every default resolved. */
#ifndef DIMPLE_HYPERPARAMETERS_H
#define DIMPLE_HYPERPARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "dimple.h"
#include "gguf/gguf.h"
#include "model/image.h"

enum { MAX_VISION_LAYERS = 256 };

/* The text body: a bidirectional (or causal) pre-norm transformer with grouped-query attention, rotary embedding and SwiGLU.
 * `dimple` and `dream` are Qwen2.5's shape, `llada` LLaMA's, `llada-moe` has a mixture of experts as its feed-forward half. */
typedef struct text_parameters {
  char architecture[32];
  bool attention_bias;    /* Q, K and V have biases */
  bool interleaved_rope;  /* the file's Q and K rows pair element 2j with 2j + 1, not j with j + size/2 */
  bool head_norm;         /* RMS norms on each query and key head */
  int32_t experts;        /* 0: a plain feed-forward half */
  int32_t experts_used;   /* per token */
  int32_t expert_feed_forward;
  int32_t layers;
  int32_t width;       /* residual stream */
  int32_t feed_forward;
  int32_t heads;
  int32_t kv_heads;
  int32_t head_size;   /* even */
  int32_t vocab;       /* rows of token_embd */
  int32_t context;
  float norm_epsilon;
  float rope_base;
  int32_t rope_sections[3]; /* angles driven by time, row and column; they add up to head_size / 2 */
  bool causal;
  bool shift_logits;
  int32_t mask_token, bos_token, eos_token, pad_token, image_token; /* -1: the file names none */
} text_parameters;

/* The vision tower of Qwen2.5-VL. */
typedef struct vision_parameters {
  bool present;
  int32_t layers;
  int32_t width;
  int32_t feed_forward;
  int32_t heads;
  int32_t head_size;  /* a multiple of 4: half the angles follow the row, half the column */
  int32_t out_width;  /* of the merger */
  float norm_epsilon;
  int32_t window;     /* merged tokens per window side */
  bool full[MAX_VISION_LAYERS]; /* layers that attend within the whole image */
  image_parameters image;
} vision_parameters;

/* Reads the text keys of `file`. Errors: UNSUPPORTED (architecture), FORMAT (a key that is missing, mistyped or out of range). */
dimple_status text_parameters_read(const gguf_file *file, text_parameters *out);

/* Reads the `clip.*` keys of `file`; present = false when it has no vision encoder. Errors: UNSUPPORTED (projector), FORMAT. */
dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *out);

#endif
