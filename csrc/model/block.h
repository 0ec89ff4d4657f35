/* The transformer block that both towers are built of: pre-norm attention and pre-norm SwiGLU, each added to the residual
 * stream. The towers differ in what happens between projections and attention, so that part is theirs. */
#ifndef DIMPLE_BLOCK_H
#define DIMPLE_BLOCK_H

#include "backend/backend.h"
#include "model/hyperparameters.h"
#include "model/tensor_list.h"
#include "vision/tower.h"

typedef struct block_weights {
  weight *norm1, *norm2;
  linear_weights q, k, v, output;
  weight *q_norm, *k_norm; /* null: queries and keys are not normalised */
  linear_weights gate, up, down;
  weight *router; /* with experts instead of gate, up and down: [experts x width] */
  weight *expert_gate, *expert_up, *expert_down; /* banks of `experts` matrices */
} block_weights;

typedef struct block_shape {
  int64_t width, feed_forward; /* with experts: of one of them */
  int32_t heads, kv_heads, head_size;
  int32_t experts, experts_used; /* 0: a plain feed-forward half */
  float norm_epsilon;
} block_shape;

block_shape text_block_shape(const text_parameters *p);
block_shape vision_block_shape(const vision_parameters *v);

/* The feed-forward half runs over this many rows at a time, which bounds its widest intermediate. */
enum { FEED_FORWARD_ROWS = 512 };

/* Intermediates for up to `rows` rows; F = min(rows, FEED_FORWARD_ROWS). */
typedef struct block_scratch {
  view normed;   /* [rows x width] */
  view q;        /* [rows x heads * head_size] */
  view attended; /* [rows x heads * head_size] */
  view middle;   /* [F x feed_forward], without experts */
  view scores;   /* [F x experts] */
  view chosen, share; /* [F x experts_used] */
  int64_t bytes;
} block_scratch;

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_shape *shape, int64_t rows, block_scratch *scratch);
void block_scratch_close(const backend_operations *ops, context *c, block_scratch *scratch);

/* x [rows x width] += output(scratch->attended), then += the feed-forward half of norm2 x: down(silu(gate y) * up y), or the
 * share-weighted sum of that over the experts a row is routed to: its `experts_used` most probable ones. */
dimple_status block_finish(const backend_operations *ops, context *c, const block_shape *shape, const block_weights *block,
                           block_scratch *scratch, view x);

/* y = one linear layer of x. */
dimple_status block_linear(const backend_operations *ops, context *c, const linear_weights *l, linear_mode mode, view x, view y);

#endif
