/* What a GGUF file says about the shape of its text model, checked and with every default resolved. */
#ifndef DIMPLE_HYPERPARAMETERS_H
#define DIMPLE_HYPERPARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "dimple.h"
#include "gguf/gguf.h"
#include "transformer/limits.h"

struct architecture;

/* How a rotation is stretched to longer contexts, as llama.cpp has it; zeroed but for factor and magnitude = 1: not at all. Linear scaling
 * divides every frequency by the factor. YaRN (arXiv 2309.00071, section 3.2) does so to the slow ones only: the part kept(j) of frequency
 * j that stays as it is falls from `kept` at angle `fast` and before to 0 at angle `slow` and behind. */
typedef struct rotary_scaling {
  float factor;     /* above 0 */
  float kept;       /* 0: linear */
  float fast, slow; /* numbers of angles, not always whole */
  float magnitude;  /* of the rotation: cosines and sines are multiplied by it */
} rotary_scaling;

/* A way to rotate queries and keys. Angle j of a position is coordinate(j) * f(j), f(j) = base^(-2j/size), or scaled. */
typedef struct rotary_parameters {
  int32_t size;        /* elements of a head that turn, the first ones: even */
  float base;
  int32_t sections[3]; /* angles driven by time, row and column; they add up to size / 2 */
  rotary_scaling scaling;
} rotary_parameters;

enum { MAX_ROTARIES = 4, MAX_ENDS = 64, MAX_SUPPRESSED = 1024 };

/* How rows are routed to experts, but for what weights say (route_call). Zeroed: by softmax, shares as that has them. */
typedef struct route_rule {
  route_scores kind;
  bool among_chosen;
  int32_t groups, groups_used;
  int32_t block, admitted; /* rows that are routed together, from a multiple of so many on, and the experts they admit; 0: every row for itself */
  float factor;
} route_rule;

/* One layer. Those of a model may differ. */
typedef struct layer_parameters {
  int32_t heads;
  int32_t kv_heads;     /* each serves heads / kv_heads of them */
  int32_t head_size;    /* even */
  int32_t rotary;       /* index into text_parameters.rotary */
  int32_t experts;      /* 0: a plain feed-forward half */
  int32_t experts_used; /* per token */
  int32_t feed_forward; /* with experts: of one of them */
  int32_t shared_feed_forward; /* with experts: of the one that every row goes to; 0: there is none */
  route_rule route;     /* with experts */
  int32_t dense;        /* beside experts: a plain half of so many columns; 0: none */
  bool windowed;        /* a row sees no further back than text_parameters.window */
  bool shared_values;   /* values are made of the keys' projection */
  float score_scale;    /* of attention; 0: 1 / sqrt(head_size) */
} layer_parameters;

/* Columns of its queries, and of its keys or values. */
static inline int64_t layer_query_width(const layer_parameters *l) { return (int64_t)l->heads * l->head_size; }
static inline int64_t layer_kv_width(const layer_parameters *l) { return (int64_t)l->kv_heads * l->head_size; }

/* A text body: embedding, layers that add to a residual stream, norm, head. */
typedef struct text_parameters {
  const struct architecture *architecture;
  int32_t layers;
  layer_parameters layer[MAX_LAYERS];
  rotary_parameters rotary[MAX_ROTARIES];
  int32_t rotaries;
  int32_t width;       /* residual stream */
  int32_t vocab;       /* rows of token_embd */
  int32_t context;
  float norm_epsilon;
  bool causal;
  bool block_causal;   /* a row sees its own block of block_length rows, counted from the first one, and those before it */
  bool canvases;       /* a response is denoised canvas by canvas: a canvas sees itself and what is before it, which is causal (text.h) */
  int32_t window;      /* of layers that are windowed: positions that a row sees, its own one included */
  float embedding_scale; /* of the tokens' embeddings; 0: none */
  float softcap;       /* logits are softcap * tanh(logit / softcap); 0: none */
  bool shift_logits;   /* row i of the logits scores position i + 1 */
  int32_t mask_token, bos_token, eos_token, eot_token, pad_token, image_token; /* -1: the file names none */
  int32_t expand_token; /* the same: becomes two masks (pipeline dreamon) */
  int32_t delete_token, split_token; /* the same: a position goes out, or a mask comes in before it (pipeline llada22); both or none */
  int32_t picture_start; /* pictures stand on grids only behind this token; -1: all do */
  int32_t ends[MAX_ENDS]; /* eos_token and the others that the file lists; it is the first of these where the file does not name it */
  int32_t end_count;
  int32_t suppressed[MAX_SUPPRESSED]; /* ascending: tokens that no masked position becomes */
  int32_t suppressed_count;
  int32_t block_length; /* what decodings in blocks take by default; 0: the file names none */
  int32_t cache;        /* dimple_cache, likewise */
} text_parameters;

/* Reads the text keys of `file` into a zeroed *out; the size of the vocabulary comes from the embedding, which lies in one of its
 * parts. Errors: UNSUPPORTED (architecture), FORMAT (a key that is missing, mistyped or out of range). */
dimple_status text_parameters_read(const gguf_file *file, text_parameters *out);

#endif
