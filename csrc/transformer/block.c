#include "transformer/block.h"

#include <string.h>

#include "error.h"

dimple_status matrix_alloc(const backend_operations *ops, context *c, int64_t rows, int64_t columns, view *out) {
  buffer *memory;
  DIMPLE_TRY(ops->buffer_alloc(c, rows * columns, &memory));
  *out = view_of(memory, rows, columns);
  return DIMPLE_OK;
}

/* Room for a matrix, if it has columns; counts its bytes. */
static dimple_status reserve(const backend_operations *ops, context *c, int64_t rows, int64_t columns, block_scratch *scratch, buffer **out) {
  if (columns == 0) return DIMPLE_OK;
  DIMPLE_TRY(ops->buffer_alloc(c, rows * columns, out));
  scratch->bytes += (int64_t)sizeof(float) * rows * columns;
  return DIMPLE_OK;
}

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_widths *w, int64_t rows, block_scratch *s) {
  int64_t part = rows < FEED_FORWARD_ROWS ? rows : FEED_FORWARD_ROWS;
  memset(s, 0, sizeof *s);
  DIMPLE_TRY(reserve(ops, c, rows, w->width, s, &s->normed));
  DIMPLE_TRY(reserve(ops, c, rows, w->queries, s, &s->q));
  DIMPLE_TRY(reserve(ops, c, rows, w->queries, s, &s->attended));
  DIMPLE_TRY(reserve(ops, c, part, w->feed_forward, s, &s->middle));
  DIMPLE_TRY(reserve(ops, c, part, w->experts, s, &s->scores));
  DIMPLE_TRY(reserve(ops, c, part, w->experts_used, s, &s->chosen));
  DIMPLE_TRY(reserve(ops, c, part, w->experts_used, s, &s->share));
  DIMPLE_TRY(reserve(ops, c, part, w->sums, s, &s->dense));
  return reserve(ops, c, part, w->sums, s, &s->mixture);
}

void block_scratch_close(const backend_operations *ops, context *c, block_scratch *s) {
  buffer *buffers[] = {s->normed, s->q, s->attended, s->middle, s->scores, s->chosen, s->share, s->dense, s->mixture};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) ops->buffer_free(c, buffers[i]);
  memset(s, 0, sizeof *s);
}

dimple_status block_linear(const block *b, const linear_weights *l, linear_mode mode, view x, view y) {
  linear_output output = {.w = l->w, .bias = l->bias, .y = y, .mode = mode};
  return b->ops->linear(b->context, &(linear_call){x, &output, 1});
}

dimple_status block_add_attention(const block *b, view attended, view x) { return block_linear(b, &b->weights->output, LINEAR_ADD, attended, x); }

/* Rows of x that a feed-forward half runs over at a time, from row `at` on, and their norm. */
typedef struct part {
  view x, normed;
} part;

static part part_at(const block *b, view x, int64_t at) {
  int64_t rows = x.rows - at < FEED_FORWARD_ROWS ? x.rows - at : FEED_FORWARD_ROWS;
  return (part){view_rows(x, at, rows), view_of(b->scratch->normed, rows, x.columns)};
}

static dimple_status next_part(const block *b, view x, int64_t at, part *p) {
  *p = part_at(b, x, at);
  return b->ops->rms_norm(b->context, p->normed, p->x, b->weights->norm2, b->norm_epsilon);
}

/* x += down(silu(gate n) * up n) */
static dimple_status add_gated(const block *b, int64_t inner, const part *p) {
  const block_weights *w = b->weights;
  view middle = view_of(b->scratch->middle, p->x.rows, inner);
  linear_output gated = {.w = w->gate.w, .bias = w->gate.bias, .up = w->up.w, .up_bias = w->up.bias, .y = middle, .mode = LINEAR_SWIGLU};
  DIMPLE_TRY(b->ops->linear(b->context, &(linear_call){p->normed, &gated, 1}));
  return block_linear(b, &w->down, LINEAR_ADD, middle, p->x);
}

dimple_status block_add_feed_forward(const block *b, int64_t inner, view x) {
  part p;
  for (int64_t at = 0; at < x.rows; at += p.x.rows) {
    DIMPLE_TRY(next_part(b, x, at, &p));
    DIMPLE_TRY(add_gated(b, inner, &p));
  }
  return DIMPLE_OK;
}

dimple_status block_add_ungated(const block *b, linear_mode mode, int64_t inner, view x) {
  const block_weights *w = b->weights;
  part p;
  for (int64_t at = 0; at < x.rows; at += p.x.rows) {
    p = part_at(b, x, at);
    view middle = view_of(b->scratch->middle, p.x.rows, inner);
    DIMPLE_TRY(b->ops->layer_norm(b->context, p.normed, p.x, w->norm2, w->norm2_bias, b->norm_epsilon));
    DIMPLE_TRY(block_linear(b, &w->up, mode, p.normed, middle));
    DIMPLE_TRY(block_linear(b, &w->down, LINEAR_ADD, middle, p.x));
  }
  return DIMPLE_OK;
}

dimple_status block_add_experts(const block *b, const block_experts *e, view x) {
  const block_weights *w = b->weights;
  linear_weights router = {.w = w->router};
  part p;
  for (int64_t at = 0; at < x.rows; at += p.x.rows) {
    DIMPLE_TRY(next_part(b, x, at, &p));
    route_call route = e->rule;
    route.scores = view_of(b->scratch->scores, p.x.rows, e->count);
    route.chosen = view_of(b->scratch->chosen, p.x.rows, e->used);
    route.share = view_of(b->scratch->share, p.x.rows, e->used);
    route.bias = w->router_bias;
    DIMPLE_TRY(block_linear(b, &router, LINEAR_STORE, p.normed, route.scores));
    DIMPLE_TRY(b->ops->route(b->context, &route));
    DIMPLE_TRY(b->ops->experts(b->context, &(experts_call){.x = p.normed, .chosen = route.chosen, .share = route.share, .gate = w->expert_gate,
                                                           .up = w->expert_up, .down = w->expert_down, .mode = LINEAR_SWIGLU, .y = p.x}));
    if (e->shared_inner > 0) DIMPLE_TRY(add_gated(b, e->shared_inner, &p));
  }
  return DIMPLE_OK;
}
