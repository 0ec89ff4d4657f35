#include "model/block.h"

#include <string.h>

#include "error.h"

block_shape text_block_shape(const text_parameters *p) {
  return (block_shape){.width = p->width, .feed_forward = p->experts ? p->expert_feed_forward : p->feed_forward,
                       .heads = p->heads, .kv_heads = p->kv_heads, .head_size = p->head_size,
                       .experts = p->experts, .experts_used = p->experts_used, .norm_epsilon = p->norm_epsilon};
}

block_shape vision_block_shape(const vision_parameters *v) {
  return (block_shape){.width = v->width, .feed_forward = v->feed_forward, .heads = v->heads, .kv_heads = v->heads,
                       .head_size = v->head_size, .norm_epsilon = v->norm_epsilon};
}

/* A new buffer as a matrix; counts its bytes. */
static dimple_status new_matrix(const backend_operations *ops, context *c, int64_t rows, int64_t columns, block_scratch *scratch, view *out) {
  buffer *memory;
  DIMPLE_TRY(ops->buffer_alloc(c, rows * columns, &memory));
  *out = view_of(memory, rows, columns);
  scratch->bytes += (int64_t)sizeof(float) * rows * columns;
  return DIMPLE_OK;
}

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_shape *s, int64_t rows, block_scratch *scratch) {
  int64_t attention_width = (int64_t)s->heads * s->head_size;
  int64_t middle_rows = rows < FEED_FORWARD_ROWS ? rows : FEED_FORWARD_ROWS;
  memset(scratch, 0, sizeof *scratch);
  DIMPLE_TRY(new_matrix(ops, c, rows, s->width, scratch, &scratch->normed));
  DIMPLE_TRY(new_matrix(ops, c, rows, attention_width, scratch, &scratch->q));
  DIMPLE_TRY(new_matrix(ops, c, rows, attention_width, scratch, &scratch->attended));
  if (!s->experts) return new_matrix(ops, c, middle_rows, s->feed_forward, scratch, &scratch->middle);
  DIMPLE_TRY(new_matrix(ops, c, middle_rows, s->experts, scratch, &scratch->scores));
  DIMPLE_TRY(new_matrix(ops, c, middle_rows, s->experts_used, scratch, &scratch->chosen));
  return new_matrix(ops, c, middle_rows, s->experts_used, scratch, &scratch->share);
}

void block_scratch_close(const backend_operations *ops, context *c, block_scratch *s) {
  view matrices[] = {s->normed, s->q, s->attended, s->middle, s->scores, s->chosen, s->share};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) ops->buffer_free(c, matrices[i].memory);
  memset(s, 0, sizeof *s);
}

dimple_status block_linear(const backend_operations *ops, context *c, const linear_weights *l, linear_mode mode, view x, view y) {
  linear_output output = {.w = l->w, .bias = l->bias, .y = y, .mode = mode};
  return ops->linear(c, &(linear_call){x, &output, 1});
}

/* x += down(silu(gate normed) * up normed) */
static dimple_status feed_forward(const backend_operations *ops, context *c, const block_weights *b, const block_scratch *s, view normed, view x) {
  view middle = view_rows(s->middle, 0, x.rows);
  linear_output gated = {.w = b->gate.w, .bias = b->gate.bias, .up = b->up.w, .up_bias = b->up.bias, .y = middle, .mode = LINEAR_SWIGLU};
  DIMPLE_TRY(ops->linear(c, &(linear_call){normed, &gated, 1}));
  return block_linear(ops, c, &b->down, LINEAR_ADD, middle, x);
}

/* x += the same of the experts that each row is routed to, by their shares. */
static dimple_status mixture(const backend_operations *ops, context *c, const block_weights *b, const block_scratch *s, view normed, view x) {
  view scores = view_rows(s->scores, 0, x.rows), chosen = view_rows(s->chosen, 0, x.rows), share = view_rows(s->share, 0, x.rows);
  linear_weights router = {.w = b->router};
  DIMPLE_TRY(block_linear(ops, c, &router, LINEAR_STORE, normed, scores));
  DIMPLE_TRY(ops->route(c, &(route_call){scores, chosen, share}));
  return ops->experts(c, &(experts_call){.x = normed, .chosen = chosen, .share = share, .gate = b->expert_gate, .up = b->expert_up,
                                         .down = b->expert_down, .y = x});
}

dimple_status block_finish(const backend_operations *ops, context *c, const block_shape *s, const block_weights *block,
                           block_scratch *scratch, view x) {
  DIMPLE_TRY(block_linear(ops, c, &block->output, LINEAR_ADD, view_rows(scratch->attended, 0, x.rows), x));
  for (int64_t at = 0; at < x.rows; at += FEED_FORWARD_ROWS) {
    view part = view_rows(x, at, x.rows - at < FEED_FORWARD_ROWS ? x.rows - at : FEED_FORWARD_ROWS);
    view normed = view_rows(scratch->normed, 0, part.rows);
    DIMPLE_TRY(ops->rms_norm(c, normed, part, block->norm2, s->norm_epsilon));
    DIMPLE_TRY((s->experts ? mixture : feed_forward)(ops, c, block, scratch, normed, part));
  }
  return DIMPLE_OK;
}
