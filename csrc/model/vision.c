#include "model/vision.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/rope.h"
#include "model/text.h"

/* The order in which merged tokens are processed: the merged grid is cut into squares of `window` tokens a side (smaller at the
 * right and bottom edge), squares row by row, tokens inside a square row by row. */
typedef struct window_order {
  int32_t *token;   /* [tokens] natural index of the i-th processed token */
  int32_t *borders; /* [window_count + 1] first processed patch of each window */
  int32_t window_count;
} window_order;

/* Device memory of one picture's pass, n patches. */
typedef struct vision_state {
  int64_t patches, tokens;
  window_order order;
  float *x, *k, *v;      /* [n x width] */
  float *cosine, *sine;  /* [n x head_size/2] */
  float *merged[2];      /* [tokens x 4 * width], [tokens x out_width] */
  float *pixels;         /* [n x 3*patch*patch] */
  block_scratch scratch;
} vision_state;

static dimple_status make_window_order(const vision_parameters *v, const dimple_image_grid *grid, window_order *order) {
  int32_t merge = v->image.merge_size, unit = merge * merge, side = v->window;
  int32_t rows = grid->rows / merge, columns = grid->columns / merge;
  int64_t squares = ((rows + side - 1) / (int64_t)side) * ((columns + side - 1) / side);
  order->token = malloc((size_t)(rows * (int64_t)columns) * sizeof *order->token);
  order->borders = malloc((size_t)(squares + 1) * sizeof *order->borders);
  if (!order->token || !order->borders) return dimple_fail_memory((uint64_t)rows * (uint64_t)columns * 8, "the window order");
  int32_t at = 0, window = 0;
  for (int32_t top = 0; top < rows; top += side)
    for (int32_t left = 0; left < columns; left += side) {
      order->borders[window++] = at * unit;
      for (int32_t y = top; y < rows && y < top + side; y++)
        for (int32_t x = left; x < columns && x < left + side; x++) order->token[at++] = y * columns + x;
    }
  order->borders[window] = at * unit;
  order->window_count = window;
  return DIMPLE_OK;
}

/* Normalised pixels of the patches in processing order. A still picture fills all frames of a temporal patch alike, so one
 * frame is enough. */
static dimple_status upload_pixels(const dimple_model *m, context *c, vision_state *s, const dimple_image_grid *grid, const uint8_t *rgb) {
  const image_parameters *p = &m->vision.image;
  int64_t area = (int64_t)p->patch_size * p->patch_size, kernel = 3 * area, frames = p->temporal_patch;
  int64_t unit = p->merge_size * p->merge_size, all = s->patches * kernel;
  float *natural = malloc((size_t)(all * (frames + 1)) * sizeof *natural);
  if (!natural) return dimple_fail_memory((uint64_t)(all * (frames + 1)) * sizeof *natural, "image patches");
  float *ordered = natural + all * frames;
  image_patches(p, grid, rgb, natural);
  for (int64_t i = 0; i < s->patches; i++) {
    const float *patch = natural + (s->order.token[i / unit] * unit + i % unit) * kernel * frames;
    for (int64_t channel = 0; channel < 3; channel++)
      memcpy(ordered + i * kernel + channel * area, patch + channel * frames * area, (size_t)area * sizeof *ordered);
  }
  dimple_status status = m->ops->copy_in(c, s->pixels, ordered, all);
  free(natural);
  return status;
}

static dimple_status upload_angles(const dimple_model *m, context *c, vision_state *s, const dimple_image_grid *grid) {
  const vision_parameters *v = &m->vision;
  int32_t merge = v->image.merge_size, unit = merge * merge, columns = grid->columns / merge;
  int64_t count = s->patches * (v->head_size / 2);
  int32_t *coordinates = malloc((size_t)(2 * s->patches) * sizeof *coordinates);
  float *table = malloc((size_t)(2 * count) * sizeof *table);
  dimple_status status = DIMPLE_OK;
  if (!coordinates || !table) {
    status = dimple_fail_memory((uint64_t)(2 * count) * sizeof *table, "rotation angles");
  } else {
    for (int64_t i = 0; i < s->patches; i++) {
      int32_t token = s->order.token[i / unit], inside = (int32_t)(i % unit);
      coordinates[i] = token / columns * merge + inside / merge;
      coordinates[s->patches + i] = token % columns * merge + inside % merge;
    }
    rope_vision_angles(v->head_size, coordinates, coordinates + s->patches, s->patches, table, table + count);
    status = m->ops->copy_in(c, s->cosine, table, count);
    if (status == DIMPLE_OK) status = m->ops->copy_in(c, s->sine, table + count, count);
  }
  free(coordinates);
  free(table);
  return status;
}

static dimple_status open_state(const dimple_model *m, context *c, const dimple_image_grid *grid, vision_state *s) {
  const vision_parameters *v = &m->vision;
  const backend_operations *ops = m->ops;
  block_shape shape = vision_block_shape(v);
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size, half = v->head_size / 2;
  s->patches = (int64_t)grid->rows * grid->columns;
  s->tokens = grid->tokens;
  int64_t middle = s->tokens * (v->out_width > m->text.width ? v->out_width : m->text.width);
  DIMPLE_TRY(make_window_order(v, grid, &s->order));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * v->width, &s->x));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * v->width, &s->k));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * v->width, &s->v));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * half, &s->cosine));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * half, &s->sine));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * kernel, &s->pixels));
  DIMPLE_TRY(ops->buffer_alloc(c, s->patches * v->width, &s->merged[0]));
  DIMPLE_TRY(ops->buffer_alloc(c, middle, &s->merged[1]));
  return block_scratch_open(ops, c, &shape, s->patches, &s->scratch);
}

static void close_state(const dimple_model *m, context *c, vision_state *s) {
  float *buffers[] = {s->x, s->k, s->v, s->cosine, s->sine, s->pixels, s->merged[0], s->merged[1]};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) m->ops->buffer_free(c, buffers[i]);
  block_scratch_close(m->ops, c, &s->scratch);
  free(s->order.token);
  free(s->order.borders);
}

/* x = the dot product of every patch with the kernel: a convolution whose stride is its size. */
static dimple_status embed_patches(const dimple_model *m, context *c, vision_state *s) {
  const vision_parameters *v = &m->vision;
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  for (int32_t frame = 0; frame < v->image.temporal_patch; frame++) {
    linear_weights patch = {.w = m->vision_weights.patch[frame]};
    DIMPLE_TRY(block_linear(m->ops, c, &patch, frame == 0 ? LINEAR_STORE : LINEAR_ADD, s->pixels, kernel, s->patches, kernel, s->x, v->width));
  }
  return DIMPLE_OK;
}

static dimple_status run_block(const dimple_model *m, context *c, vision_state *s, int32_t index) {
  const vision_parameters *v = &m->vision;
  const backend_operations *ops = m->ops;
  const block_weights *b = &m->vision_weights.layers[index];
  block_shape shape = vision_block_shape(v);
  int64_t width = v->width;
  DIMPLE_TRY(ops->rms_norm(c, s->scratch.normed, s->x, b->norm1, s->patches, width, v->norm_epsilon));
  linear_output outputs[3] = {
      {.w = b->q.w, .bias = b->q.bias, .y = s->scratch.q, .y_stride = width, .mode = LINEAR_STORE},
      {.w = b->k.w, .bias = b->k.bias, .y = s->k, .y_stride = width, .mode = LINEAR_STORE},
      {.w = b->v.w, .bias = b->v.bias, .y = s->v, .y_stride = width, .mode = LINEAR_STORE}};
  DIMPLE_TRY(ops->linear(c, &(linear_call){s->scratch.normed, width, s->patches, width, outputs, 3}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){s->scratch.q, width, s->patches, v->heads, v->head_size, s->cosine, s->sine}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){s->k, width, s->patches, v->heads, v->head_size, s->cosine, s->sine}));
  bool windowed = !v->full[index];
  DIMPLE_TRY(ops->attention(c, &(attention_call){
      .q = s->scratch.q, .k = s->k, .v = s->v, .y = s->scratch.attended, .q_stride = width, .kv_stride = width, .y_stride = width,
      .query_rows = s->patches, .key_rows = s->patches, .heads = v->heads, .kv_heads = v->heads, .size = v->head_size,
      .spans = windowed ? s->order.borders : NULL, .span_count = windowed ? s->order.window_count : 0}));
  return block_finish(ops, c, &shape, b, &s->scratch, s->x, s->patches);
}

/* Norm, concatenation of each group of patches (they lie side by side already), two linear layers, back to natural order, and
 * Dimple's projector. */
static dimple_status merge(const dimple_model *m, context *c, vision_state *s, float *features) {
  const vision_parameters *v = &m->vision;
  const vision_weights *w = &m->vision_weights;
  const backend_operations *ops = m->ops;
  int64_t merged = (int64_t)v->width * v->image.merge_size * v->image.merge_size, out = v->out_width, width = m->text.width;
  DIMPLE_TRY(ops->rms_norm(c, s->x, s->x, w->merger_norm, s->patches, v->width, v->norm_epsilon));
  DIMPLE_TRY(block_linear(ops, c, &w->merger[0], LINEAR_GELU, s->x, merged, s->tokens, merged, s->merged[0], merged));
  if (!w->projector[0].w) {
    DIMPLE_TRY(block_linear(ops, c, &w->merger[1], LINEAR_STORE, s->merged[0], merged, s->tokens, merged, s->merged[1], out));
    return ops->scatter_rows(c, features, s->merged[1], s->order.token, s->tokens, width);
  }
  /* The projector works on each token alone, so the natural order can wait until its end. */
  float *tower = s->merged[1], *hidden = features;
  DIMPLE_TRY(block_linear(ops, c, &w->merger[1], LINEAR_STORE, s->merged[0], merged, s->tokens, merged, tower, out));
  DIMPLE_TRY(block_linear(ops, c, &w->projector[0], LINEAR_SILU, tower, out, s->tokens, out, hidden, width));
  DIMPLE_TRY(block_linear(ops, c, &w->projector[1], LINEAR_STORE, hidden, width, s->tokens, width, tower, width));
  return ops->scatter_rows(c, features, tower, s->order.token, s->tokens, width);
}

static dimple_status run(const dimple_model *m, context *c, const dimple_image_grid *grid, const uint8_t *rgb, atomic_bool *cancelled,
                         vision_state *s, float *features) {
  DIMPLE_TRY(open_state(m, c, grid, s));
  DIMPLE_TRY(upload_pixels(m, c, s, grid, rgb));
  DIMPLE_TRY(upload_angles(m, c, s, grid));
  DIMPLE_TRY(embed_patches(m, c, s));
  for (int32_t i = 0; i < m->vision.layers; i++) {
    DIMPLE_TRY(check_cancelled(cancelled));
    DIMPLE_TRY(run_block(m, c, s, i));
  }
  return merge(m, c, s, features);
}

dimple_status vision_forward(const dimple_model *m, context *c, const dimple_image_grid *grid, const uint8_t *rgb,
                             atomic_bool *cancelled, float *features) {
  vision_state s = {0};
  dimple_status status = run(m, c, grid, rgb, cancelled, &s, features);
  close_state(m, c, &s);
  return status;
}
