/* The steps that layers of text bodies are made of. An architecture's layer calls those of its formula, in order. */
#ifndef DIMPLE_LAYER_H
#define DIMPLE_LAYER_H

#include "model/hyperparameters.h"
#include "model/kv_cache.h"
#include "transformer/block.h"

/* A layer takes the rows of a long pass piece by piece, twice: keys and values of all of them have to be there before a query attends. */
typedef enum layer_part {
  LAYER_WHOLE,  /* the rows are all of the pass */
  LAYER_KEYS,   /* keys and values alone: x stays as it is */
  LAYER_QUERIES /* everything else */
} layer_part;

/* Rows of one sequence among those of a layer. Everything but attention and what it reads is the same for the rows of all. */
typedef struct layer_sequence {
  int64_t first, count;      /* rows of x */
  bool limited;              /* first_key and last_key count */
  int32_t kv_type;           /* of these two (quant/kv_rows.h): */
  view keys, values;         /* what the rows may attend to; not for KEYS */
  view own_keys, own_values; /* [count x KV heads * head_size] where theirs are kept; not for QUERIES */
  view cosine, sine;         /* angles of the layer's rotary: */
  const int32_t *angle_rows; /* [count] which of their rows (host); null: the first ones, in order */
  const int32_t *first_key;  /* [count] the first key each may see (host); null: 0; not for KEYS */
  const int32_t *last_key;   /* [count] the last key each may see (host); not for KEYS */
  const int32_t *skip_key;   /* [count] a key that each does not see, -1: none (host); null: they see all; not for KEYS */
  const int32_t *numbers;    /* [count] 0, 1, .. (host) */
} layer_sequence;

/* Rows of a layer that are recorded, of one sequence or of several, one after the other. */
typedef struct layer {
  block block;
  const layer_parameters *parameters;
  layer_part part;
  bool canvas;               /* the rows are of canvases that are denoised (text.h) */
  view x;                    /* [rows x width] residual stream */
  const layer_sequence *sequences;
  int32_t sequence_count;
  view new_keys, new_values; /* [rows x KV heads * head_size] what is projected, of one sequence maybe where it is kept; not for QUERIES */
  view q;                    /* [rows x heads * head_size] set by layer_project; not for KEYS */
} layer;

/* k = k(n) and v = v(n) (without such weights v is left) into the cache, and q = q(n), n = norm1 x; as the part asks. */
dimple_status layer_project(layer *l);

/* The norm over each head of q and of the new keys, by q_norm and k_norm. */
dimple_status layer_norm_heads(const layer *l);

/* Rotates q and the new keys by their positions' angles. */
dimple_status layer_rotate(const layer *l);

/* *attended [rows x heads * head_size] = softmax(scale q k') v; of KEYS nothing, they only go where they are kept. */
dimple_status layer_attention(const layer *l, view *attended);

/* x += output(attended) */
dimple_status layer_attend(const layer *l);

/* x += down(silu(gate n) * up n), n = norm2 x */
dimple_status layer_feed_forward(const layer *l);

/* x += the same of the experts that each row is routed to, by their shares, and of the one that all share */
dimple_status layer_experts(const layer *l);

#endif
