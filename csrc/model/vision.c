#include "model/vision.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/rope.h"

/* The order in which merged tokens are processed: the merged grid is cut into squares of `window` tokens a side (smaller at the
 * right and bottom edge), squares row by row, tokens inside a square row by row. */
typedef struct window_order {
  int32_t *token;   /* [tokens] natural index of the i-th processed token */
  int32_t *borders; /* [window_count + 1] first processed patch of each window */
  int32_t window_count;
} window_order;

/* What one picture's pass needs, n patches. */
typedef struct vision_state {
  int64_t patches, tokens;
  window_order order;
  view x, k, v;       /* [n x width] */
  view cosine, sine;  /* [n x head_size/2] */
  view merged;        /* [tokens x merge_size^2 * width] */
  buffer *narrow;     /* [tokens x out_width], then [tokens x text width] */
  view pixels;        /* [n x 3*patch*patch] */
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
static dimple_status record_pixels(const dimple_model *m, context *c, vision_state *s, const dimple_image_grid *grid, const uint8_t *rgb) {
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
  dimple_status status = m->ops->copy_in(c, s->pixels, ordered);
  free(natural);
  return status;
}

static dimple_status record_angles(const dimple_model *m, context *c, vision_state *s, const dimple_image_grid *grid) {
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
    status = m->ops->copy_in(c, s->cosine, table);
    if (status == DIMPLE_OK) status = m->ops->copy_in(c, s->sine, table + count);
  }
  free(coordinates);
  free(table);
  return status;
}

static dimple_status new_matrix(const dimple_model *m, context *c, int64_t rows, int64_t columns, view *out) {
  buffer *memory;
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * columns, &memory));
  *out = view_of(memory, rows, columns);
  return DIMPLE_OK;
}

static dimple_status open_state(const dimple_model *m, context *c, const dimple_image_grid *grid, vision_state *s) {
  const vision_parameters *v = &m->vision;
  block_shape shape = vision_block_shape(v);
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size, half = v->head_size / 2;
  int64_t patches = s->patches = (int64_t)grid->rows * grid->columns;
  s->tokens = grid->tokens;
  DIMPLE_TRY(make_window_order(v, grid, &s->order));
  DIMPLE_TRY(new_matrix(m, c, patches, v->width, &s->x));
  DIMPLE_TRY(new_matrix(m, c, patches, v->width, &s->k));
  DIMPLE_TRY(new_matrix(m, c, patches, v->width, &s->v));
  DIMPLE_TRY(new_matrix(m, c, patches, half, &s->cosine));
  DIMPLE_TRY(new_matrix(m, c, patches, half, &s->sine));
  DIMPLE_TRY(new_matrix(m, c, patches, kernel, &s->pixels));
  DIMPLE_TRY(new_matrix(m, c, s->tokens, (int64_t)v->width * v->image.merge_size * v->image.merge_size, &s->merged));
  DIMPLE_TRY(m->ops->buffer_alloc(c, s->tokens * (v->out_width > m->text.width ? v->out_width : m->text.width), &s->narrow));
  return block_scratch_open(m->ops, c, &shape, patches, &s->scratch);
}

static void close_state(const dimple_model *m, context *c, vision_state *s) {
  view matrices[] = {s->x, s->k, s->v, s->cosine, s->sine, s->pixels, s->merged};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) m->ops->buffer_free(c, matrices[i].memory);
  m->ops->buffer_free(c, s->narrow);
  block_scratch_close(m->ops, c, &s->scratch);
  free(s->order.token);
  free(s->order.borders);
}

/* x = the dot product of every patch with the kernel: a convolution whose stride is its size. */
static dimple_status embed_patches(const dimple_model *m, context *c, vision_state *s) {
  for (int32_t frame = 0; frame < m->vision.image.temporal_patch; frame++) {
    linear_weights patch = {.w = m->vision_weights.patch[frame]};
    DIMPLE_TRY(block_linear(m->ops, c, &patch, frame == 0 ? LINEAR_STORE : LINEAR_ADD, s->pixels, s->x));
  }
  return DIMPLE_OK;
}

static dimple_status run_block(const dimple_model *m, context *c, vision_state *s, int32_t index) {
  const vision_parameters *v = &m->vision;
  const backend_operations *ops = m->ops;
  const block_weights *b = &m->vision_weights.layers[index];
  block_shape shape = vision_block_shape(v);
  view q = s->scratch.q;
  DIMPLE_TRY(ops->rms_norm(c, s->scratch.normed, s->x, b->norm1, v->norm_epsilon));
  linear_output outputs[3] = {{.w = b->q.w, .bias = b->q.bias, .y = q, .mode = LINEAR_STORE},
                              {.w = b->k.w, .bias = b->k.bias, .y = s->k, .mode = LINEAR_STORE},
                              {.w = b->v.w, .bias = b->v.bias, .y = s->v, .mode = LINEAR_STORE}};
  DIMPLE_TRY(ops->linear(c, &(linear_call){s->scratch.normed, outputs, 3}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){q, v->heads, v->head_size, s->cosine, s->sine, NULL}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){s->k, v->heads, v->head_size, s->cosine, s->sine, NULL}));
  bool windowed = !v->full[index];
  DIMPLE_TRY(ops->attention(c, &(attention_call){
      .q = q, .k = s->k, .v = s->v, .y = s->scratch.attended, .heads = v->heads, .kv_heads = v->heads, .size = v->head_size,
      .spans = windowed ? s->order.borders : NULL, .span_count = windowed ? s->order.window_count : 0}));
  return block_finish(ops, c, &shape, b, &s->scratch, s->x);
}

/* Norm, concatenation of each group of patches (they lie side by side already), two linear layers, back to natural order, and
 * Dimple's projector. */
static dimple_status merge(const dimple_model *m, context *c, vision_state *s, view features) {
  const vision_parameters *v = &m->vision;
  const vision_weights *w = &m->vision_weights;
  const backend_operations *ops = m->ops;
  view tower = view_of(s->narrow, s->tokens, v->out_width), projected = view_of(s->narrow, s->tokens, m->text.width);
  DIMPLE_TRY(ops->rms_norm(c, s->x, s->x, w->merger_norm, v->norm_epsilon));
  DIMPLE_TRY(block_linear(ops, c, &w->merger[0], LINEAR_GELU, view_reshape(s->x, s->merged.columns), s->merged));
  DIMPLE_TRY(block_linear(ops, c, &w->merger[1], LINEAR_STORE, s->merged, tower));
  if (!w->projector[0].w) return ops->scatter_rows(c, features, tower, s->order.token);
  /* The projector works on each token alone, so the natural order can wait until its end. */
  DIMPLE_TRY(block_linear(ops, c, &w->projector[0], LINEAR_SILU, tower, features));
  DIMPLE_TRY(block_linear(ops, c, &w->projector[1], LINEAR_STORE, features, projected));
  return ops->scatter_rows(c, features, projected, s->order.token);
}

static dimple_status record(const dimple_model *m, context *c, const dimple_image_grid *grid, const uint8_t *rgb, vision_state *s, view features) {
  DIMPLE_TRY(record_pixels(m, c, s, grid, rgb));
  DIMPLE_TRY(record_angles(m, c, s, grid));
  DIMPLE_TRY(embed_patches(m, c, s));
  for (int32_t i = 0; i < m->vision.layers; i++) {
    DIMPLE_TRY(m->ops->checkpoint(c));
    DIMPLE_TRY(run_block(m, c, s, i));
  }
  return merge(m, c, s, features);
}

dimple_status vision_forward(const dimple_model *m, context *c, const dimple_image_grid *grid, const uint8_t *rgb,
                             atomic_bool *cancelled, view features) {
  vision_state s = {0};
  dimple_status status = open_state(m, c, grid, &s);
  if (status == DIMPLE_OK) status = m->ops->pass_begin(c, cancelled);
  if (status == DIMPLE_OK) status = m->ops->pass_end(c, record(m, c, grid, rgb, &s, features));
  close_state(m, c, &s);
  return status;
}
