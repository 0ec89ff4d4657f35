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

dimple_status block_scratch_open(const backend_operations *ops, context *c, const block_shape *s, int64_t rows, block_scratch *scratch) {
  int64_t attention_width = (int64_t)s->heads * s->head_size;
  int64_t middle_rows = rows < FEED_FORWARD_ROWS ? rows : FEED_FORWARD_ROWS;
  memset(scratch, 0, sizeof *scratch);
  DIMPLE_TRY(ops->buffer_alloc(c, rows * s->width, &scratch->normed));
  DIMPLE_TRY(ops->buffer_alloc(c, rows * attention_width, &scratch->q));
  DIMPLE_TRY(ops->buffer_alloc(c, rows * attention_width, &scratch->attended));
  DIMPLE_TRY(ops->buffer_alloc(c, middle_rows * s->feed_forward, &scratch->middle));
  int64_t routed = 0;
  if (s->experts) {
    routed = 2 * middle_rows * (s->width > s->experts ? s->width : s->experts);
    DIMPLE_TRY(ops->buffer_alloc(c, routed, &scratch->routed));
  }
  scratch->bytes = (int64_t)sizeof(float) * (rows * s->width + 2 * rows * attention_width + middle_rows * s->feed_forward + routed);
  return DIMPLE_OK;
}

void block_scratch_close(const backend_operations *ops, context *c, block_scratch *scratch) {
  ops->buffer_free(c, scratch->normed);
  ops->buffer_free(c, scratch->q);
  ops->buffer_free(c, scratch->attended);
  ops->buffer_free(c, scratch->middle);
  ops->buffer_free(c, scratch->routed);
  memset(scratch, 0, sizeof *scratch);
}

dimple_status block_linear(const backend_operations *ops, context *c, const linear_weights *l, linear_mode mode, const float *x,
                           int64_t x_stride, int64_t rows, int64_t columns, float *y, int64_t y_stride) {
  linear_output output = {.w = l->w, .bias = l->bias, .y = y, .y_stride = y_stride, .mode = mode};
  return ops->linear(c, &(linear_call){x, x_stride, rows, columns, &output, 1});
}

dimple_status block_finish(const backend_operations *ops, context *c, const block_shape *s, const block_weights *block,
                           block_scratch *scratch, float *x, int64_t rows) {
  int64_t attention_width = (int64_t)s->heads * s->head_size;
  DIMPLE_TRY(block_linear(ops, c, &block->output, LINEAR_ADD, scratch->attended, attention_width, rows, attention_width, x, s->width));
  for (int64_t at = 0; at < rows; at += FEED_FORWARD_ROWS) {
    int64_t count = rows - at < FEED_FORWARD_ROWS ? rows - at : FEED_FORWARD_ROWS;
    float *part = x + at * s->width;
    DIMPLE_TRY(ops->rms_norm(c, scratch->normed, part, block->norm2, count, s->width, s->norm_epsilon));
    if (s->experts) {
      DIMPLE_TRY(experts_run(ops, c, s, block, scratch, part, count));
      continue;
    }
    linear_output middle = {.w = block->gate.w, .bias = block->gate.bias, .up = block->up.w, .up_bias = block->up.bias,
                            .y = scratch->middle, .y_stride = s->feed_forward, .mode = LINEAR_SWIGLU};
    DIMPLE_TRY(ops->linear(c, &(linear_call){scratch->normed, s->width, count, s->width, &middle, 1}));
    DIMPLE_TRY(block_linear(ops, c, &block->down, LINEAR_ADD, scratch->middle, s->feed_forward, count, s->feed_forward, part, s->width));
  }
  return DIMPLE_OK;
}
