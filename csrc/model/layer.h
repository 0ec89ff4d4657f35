/* The steps that layers of text bodies are made of. An architecture's layer calls those of its formula, in order. */
#ifndef DIMPLE_LAYER_H
#define DIMPLE_LAYER_H

#include "model/hyperparameters.h"
#include "model/kv_cache.h"
#include "transformer/block.h"

/* A layer that is recorded, with rows at the positions first, first + 1, ... In the last layer only the rows whose states are wanted
 * go on past keys and values. */
typedef struct layer {
  block block;
  const layer_parameters *parameters;
  bool causal;
  kv_window cache;
  view cosine, sine;         /* [rows x head_size/2] angles of the layer's rotary */
  view x;                    /* [rows x width] residual stream; from layer_project on of the rows that go on */
  const int32_t *wanted;     /* null: all rows go on; otherwise [states.rows] which (host) */
  view selected;             /* [states.rows x width] room for their norms */
  view states;               /* [states.rows x width] becomes their residual stream */
  const int32_t *last_key;   /* [rows that go on] the last key each may see in a causal model (host) */
  view q;                    /* [rows that go on x heads * head_size] set by layer_project */
} layer;

/* k = k(n), v = v(n) of all rows into the cache and q = q(n) of those that go on, n = norm1 x. */
dimple_status layer_project(layer *l);

/* The norm over each head of q and of the new keys, by q_norm and k_norm. */
dimple_status layer_norm_heads(const layer *l);

/* Rotates q and the new keys by their positions' angles. */
dimple_status layer_rotate(const layer *l);

/* x += output(softmax(q k' / sqrt(head_size)) v) */
dimple_status layer_attend(const layer *l);

/* x += down(silu(gate n) * up n), n = norm2 x */
dimple_status layer_feed_forward(const layer *l);

/* x += the same of the experts that each row is routed to, by their shares */
dimple_status layer_experts(const layer *l);

#endif
