/* The transformer block that both towers are built of: pre-norm attention and pre-norm SwiGLU, each added to the residual
 * stream. The towers differ in what happens between projections and attention, so that part is theirs. */
#ifndef DIMPLE_BLOCK_H
#define DIMPLE_BLOCK_H

#include "backend/backend.h"
#include "model/hyperparameters.h"

typedef struct linear_weights {
  weight *w;
  weight *bias; /* null: none */
} linear_weights;

typedef struct block_weights {
  weight *norm1, *norm2;
  linear_weights q, k, v, output;
  linear_weights gate, up, down;
} block_weights;

typedef struct block_shape {
  int64_t width, feed_forward;
  int32_t heads, kv_heads, head_size;
  float norm_epsilon;
} block_shape;

block_shape text_block_shape(const text_parameters *p);
block_shape vision_block_shape(const vision_parameters *v);

/* The feed-forward half runs over this many rows at a time, which bounds its widest intermediate. */
enum { FEED_FORWARD_ROWS = 512 };

/* Intermediates for up to `rows` rows. */
typedef struct block_scratch {
  float *normed;   /* [rows x width] */
  float *q;        /* [rows x heads * head_size] */
  float *attended; /* [rows x heads * head_size] */
  float *middle;   /* [min(rows, FEED_FORWARD_ROWS) x feed_forward] */
  int64_t bytes;
} block_scratch;

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_shape *shape, int64_t rows, block_scratch *scratch);
void block_scratch_close(const backend_operations *ops, context *c, block_scratch *scratch);

/* x [rows x width] += output(scratch->attended), then += down(silu(gate y) * up y) with y = norm2 x. */
dimple_status block_finish(const backend_operations *ops, context *c, const block_shape *shape, const block_weights *block,
                           block_scratch *scratch, float *x, int64_t rows);

/* y [rows x out] (tight rows) = one linear layer of x [rows x columns]. */
dimple_status block_linear(const backend_operations *ops, context *c, const linear_weights *l, linear_mode mode, const float *x,
                           int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride);

#endif
