/* What the blocks of text bodies and vision towers are made of. A pre-norm block is
 *     x += output(attention(q(n), k(n), v(n))), n = norm1 x;  x += the feed-forward half of norm2 x
 * and what happens between projections and attention is the body's or the tower's own. */
#ifndef DIMPLE_BLOCK_H
#define DIMPLE_BLOCK_H

#include "backend/backend.h"
#include "transformer/tensor_list.h"

typedef struct block_weights {
  weight *norm1, *norm2;
  weight *norm1_bias, *norm2_bias; /* of norms that take the mean off (layer_norm); null: there is none, and they do not */
  linear_weights q, k, v, output;
  weight *q_norm, *k_norm; /* null: queries and keys are not normalised */
  linear_weights gate, up, down; /* with experts: of the shared one, if there is one */
  weight *router; /* with experts: [experts x width] */
  weight *router_bias; /* [experts] for the choice alone; null: none */
  weight *expert_gate, *expert_up, *expert_down; /* banks of `experts` matrices; expert_up null: expert_gate holds both (backend.h) */
  /* Of Gemma's blocks, which norm what they add, too. */
  weight *attention_norm;                     /* of what attention adds */
  weight *dense_norm;                         /* of what the plain half gives */
  weight *expert_in_norm, *expert_out_norm;   /* of what goes into experts, and comes out */
  weight *sum_norm;                           /* of what both add */
  weight *router_norm, *expert_scale;         /* of what is routed; [experts] of their shares */
  const uint8_t *token_scale, *canvas_scale;  /* one number each: of the residual stream behind the layer (tensor_list.h) */
} block_weights;

/* Columns of the widest intermediates of the blocks of a pass. */
typedef struct block_widths {
  int64_t width;        /* of the residual stream */
  int64_t queries;      /* heads * head size */
  int64_t feed_forward; /* between gate, up and down; 0: none but experts */
  int64_t experts, experts_used; /* 0: none */
  int64_t sums;         /* of a plain half and experts before they are added up; 0: none */
} block_widths;

/* The feed-forward half runs over this many rows at a time, which bounds its widest intermediate. */
enum { FEED_FORWARD_ROWS = 512 };

/* Intermediates for up to `rows` rows; F = min(rows, FEED_FORWARD_ROWS). */
typedef struct block_scratch {
  buffer *normed;         /* [rows x width] */
  buffer *q, *attended;   /* [rows x queries] */
  buffer *middle;         /* [F x feed_forward] */
  buffer *scores;         /* [F x experts] */
  buffer *chosen, *share; /* [F x experts_used] */
  buffer *dense, *mixture; /* [F x sums] */
  int64_t bytes;
} block_scratch;

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_widths *widths, int64_t rows, block_scratch *scratch);
void block_scratch_close(const backend_operations *ops, context *c, block_scratch *scratch);

/* A block that is recorded. */
typedef struct block {
  const backend_operations *ops;
  context *context;
  const block_weights *weights;
  const block_scratch *scratch;
  float norm_epsilon;
} block;

/* y = one linear layer of x. */
dimple_status block_linear(const block *b, const linear_weights *l, linear_mode mode, view x, view y);

/* x += output(attended), attended [rows of x x queries] */
dimple_status block_add_attention(const block *b, view attended, view x);

/* x += down(silu(gate n) * up n), n = norm2 x; `inner` columns lie between. */
dimple_status block_add_feed_forward(const block *b, int64_t inner, view x);

/* x += down(act(up n)), n = layer norm of x by norm2 and its bias, act that of `mode`; `inner` columns lie between. */
dimple_status block_add_ungated(const block *b, linear_mode mode, int64_t inner, view x);

/* Experts of a block: how many there are, and how many each row is routed to. */
typedef struct block_experts {
  int32_t count, used;
  int64_t shared_inner;  /* columns between the shared one's matrices; 0: there is none */
  route_call rule;       /* how rows are routed; its views and weights do not count */
} block_experts;

/* x += the share-weighted sum of the same over the experts each row is routed to, and the shared one's. */
dimple_status block_add_experts(const block *b, const block_experts *e, view x);

/* A new buffer as a matrix. Outside a pass. Errors: MEMORY. */
dimple_status matrix_alloc(const backend_operations *ops, context *c, int64_t rows, int64_t columns, view *out);

#endif
