/* The vision tower of Qwen2.5-VL: windowed attention but for some layers, RMS norms, SwiGLU, and a merger that makes one token of
 * neighbouring patches. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "vision/qwen.h"

/* ------------------------------------------------------------------------------------------------------------------------- keys */

/* Which layers attend within the whole image: an explicit list, or every n-th as llama.cpp's n_wa_pattern says. */
static dimple_status read_full_layers(const gguf_file *file, vision_parameters *v) {
  int64_t list[MAX_VISION_LAYERS], count = -1;
  DIMPLE_TRY(gguf_optional_int_array(file, "clip.vision.fullatt_block_indexes", list, MAX_VISION_LAYERS, &count));
  for (int64_t i = 0; i < count; i++) {
    if (list[i] < 0 || list[i] >= v->layers)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key clip.vision.fullatt_block_indexes names layer %" PRId64 " of %d", gguf_path(file), list[i], v->layers);
    v->full[list[i]] = true;
  }
  if (count >= 0) return DIMPLE_OK;
  int32_t pattern = 8;
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.n_wa_pattern", 0, MAX_VISION_LAYERS, &pattern));
  for (int32_t i = 0; i < v->layers; i++) v->full[i] = pattern == 0 || (i + 1) % pattern == 0;
  return DIMPLE_OK;
}

static dimple_status read_image_parameters(const gguf_file *file, image_parameters *image) {
  *image = (image_parameters){
      .merge_size = 2, .temporal_patch = 2, .min_pixels = 56 * 56, .max_pixels = 28 * 28 * 1280,
      .mean = {0.48145466f, 0.4578275f, 0.40821073f}, .std = {0.26862954f, 0.26130258f, 0.27577711f}};
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.patch_size", 1, 256, &image->patch_size));
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.spatial_merge_size", 1, 16, &image->merge_size));
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.temporal_patch_size", 1, MAX_TEMPORAL_PATCH, &image->temporal_patch));
  DIMPLE_TRY(gguf_optional_int(file, "clip.vision.image_min_pixels", 1, INT32_MAX, &image->min_pixels));
  DIMPLE_TRY(gguf_optional_int(file, "clip.vision.image_max_pixels", 1, INT32_MAX, &image->max_pixels));
  int64_t token_area = (int64_t)image->patch_size * image->merge_size * image->patch_size * image->merge_size;
  if (image->min_pixels > image->max_pixels || image->max_pixels < token_area)
    return dimple_fail(DIMPLE_ERROR_FORMAT,
                       "%s: image_min_pixels %" PRId64 " and image_max_pixels %" PRId64
                       " leave no size, expected min <= max and room for one token of %" PRId64 " pixels",
                       gguf_path(file), image->min_pixels, image->max_pixels, token_area);
  return tower_read_colours(file, image);
}

dimple_status qwen_read_keys(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(tower_read_shape(file, v));
  return read_image_parameters(file, &v->image);
}

static dimple_status read_keys(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(qwen_read_keys(file, v));
  int32_t window_pixels = 112; /* Qwen's converter does not write it, llama.cpp's reader takes 112 */
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.window_size", 1, 1 << 20, &window_pixels));
  v->window = window_pixels / (v->image.patch_size * v->image.merge_size);
  if (v->window < 1)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: clip.vision.window_size is %d pixels, expected at least one merged token of %d", gguf_path(file), window_pixels, v->image.patch_size * v->image.merge_size);
  return read_full_layers(file, v);
}

/* What its writers say beside that: the size a picture would have if all had one, the activation, which is this one, the pattern of layers
 * where a list of them goes before it, the projector of a tower beside others, and towers that are not there. */
static const harmless_key harmless[] = {
    {"vision.image_size", 0}, {"vision.n_wa_pattern", 0}, {"use_silu", "true"}, {"use_gelu", "false"},
    {"vision.projector_type", "qwen2.5vl_merger"}, {"has_audio_encoder", "false"}, {"has_text_encoder", "false"},
    {"has_llava_projector", "false"}, {0}};

/* ---------------------------------------------------------------------------------------------------------------------- tensors */

static void want_block(tensor_list *list, const vision_parameters *v, int32_t i, block_weights *block) {
  want_vector(list, v->width, &block->norm1, "v.blk.%d.ln1.weight", i);
  want_vector(list, v->width, &block->norm2, "v.blk.%d.ln2.weight", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->q, "v.blk.%d.attn_q", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->k, "v.blk.%d.attn_k", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->v, "v.blk.%d.attn_v", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->output, "v.blk.%d.attn_out", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->gate, "v.blk.%d.ffn_gate", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->up, "v.blk.%d.ffn_up", i);
  want_linear(list, v->width, v->feed_forward, BIAS_REQUIRED, &block->down, "v.blk.%d.ffn_down", i);
}

void qwen_want_ends(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  int64_t merged = (int64_t)v->width * v->image.merge_size * v->image.merge_size;
  want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[0], "v.patch_embd.weight");
  for (int32_t frame = 1; frame < v->image.temporal_patch; frame++)
    want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[frame], "v.patch_embd.weight.%d", frame);
  want_vector(list, v->width, &w->merger_norm, "v.post_ln.weight");
  want_linear(list, merged, merged, BIAS_REQUIRED, &w->merger[0], "mm.0");
  want_linear(list, v->out_width, merged, BIAS_REQUIRED, &w->merger[1], "mm.2");
}

static void want_tensors(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  qwen_want_ends(list, v, w);
  for (int32_t i = 0; i < v->layers; i++) want_block(list, v, i, &w->layers[i]);
}

/* ------------------------------------------------------------------------------------------------------------- grid and positions */

dimple_status qwen_grid(const vision_parameters *v, int32_t width, int32_t height, dimple_image_grid *grid) {
  return image_grid(&v->image, width, height, grid);
}

int32_t qwen_place(const vision_parameters *v, const dimple_image_grid *grid, int32_t next, int32_t *time, int32_t *row, int32_t *column) {
  int32_t rows = grid->rows / v->image.merge_size, columns = grid->columns / v->image.merge_size, i = 0;
  for (int32_t r = 0; r < rows; r++)
    for (int32_t c = 0; c < columns; c++, i++) {
      time[i] = next;
      row[i] = next + r;
      column[i] = next + c;
    }
  int32_t extent = rows > columns ? rows : columns;
  return next + (extent > 1 ? extent : 1);
}

/* ------------------------------------------------------------------------------------------------------------------------ forward */

/* The order in which merged tokens are processed: the merged grid is cut into squares of `window` tokens a side (smaller at the
 * right and bottom edge), squares row by row, tokens inside a square row by row. */
typedef struct window_order {
  int32_t *token;   /* [tokens] natural index of the i-th processed token */
  int32_t *borders; /* [window_count + 1] first processed patch of each window */
  int32_t window_count;
} window_order;

/* What the pass of one picture needs, n patches. */
typedef struct picture_state {
  int64_t patches;
  window_order order;
  view x, k, v;       /* [n x width] */
  view cosine, sine;  /* [n x head_size/2] */
  view merged;        /* [tokens x merge_size^2 * width] */
  view ordered;       /* [tokens x out_width] features in processing order */
  view pixels;        /* [n x 3*patch*patch] */
  block_scratch scratch;
} picture_state;

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
static dimple_status record_pixels(const tower_call *call, const picture_state *s) {
  const image_parameters *p = &call->parameters->image;
  int64_t area = (int64_t)p->patch_size * p->patch_size, kernel = 3 * area, frames = p->temporal_patch;
  int64_t unit = p->merge_size * p->merge_size, all = s->patches * kernel;
  float *natural = malloc((size_t)(all * (frames + 1)) * sizeof *natural);
  if (!natural) return dimple_fail_memory((uint64_t)(all * (frames + 1)) * sizeof *natural, "image patches");
  float *ordered = natural + all * frames;
  image_patches(p, call->grid, call->rgb, natural);
  for (int64_t i = 0; i < s->patches; i++) {
    const float *patch = natural + (s->order.token[i / unit] * unit + i % unit) * kernel * frames;
    for (int64_t channel = 0; channel < 3; channel++)
      memcpy(ordered + i * kernel + channel * area, patch + channel * frames * area, (size_t)area * sizeof *ordered);
  }
  dimple_status status = call->ops->copy_in(call->context, s->pixels, ordered);
  free(natural);
  return status;
}

/* Cosines and sines [count x head_size/2] for patches at (row, column): the first half of the angles follows the row, the second the
 * column, each with frequencies 10000^(-2j/(head_size/2)). */
static void compute_angles(int32_t head_size, const int32_t *rows, const int32_t *columns, int64_t count, float *cosine, float *sine) {
  int32_t half = head_size / 2, quarter = head_size / 4;
  for (int32_t j = 0; j < half; j++) {
    const int32_t *at = j < quarter ? rows : columns;
    float frequency = 1.0f / (float)pow(10000.0, (double)(2 * (j % quarter)) / half);
    for (int64_t i = 0; i < count; i++) {
      float angle = (float)at[i] * frequency;
      cosine[i * half + j] = cosf(angle);
      sine[i * half + j] = sinf(angle);
    }
  }
}

static dimple_status record_angles(const tower_call *call, const picture_state *s) {
  const vision_parameters *v = call->parameters;
  int32_t merge = v->image.merge_size, unit = merge * merge, columns = call->grid->columns / merge;
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
    compute_angles(v->head_size, coordinates, coordinates + s->patches, s->patches, table, table + count);
    status = call->ops->copy_in(call->context, s->cosine, table);
    if (status == DIMPLE_OK) status = call->ops->copy_in(call->context, s->sine, table + count);
  }
  free(coordinates);
  free(table);
  return status;
}

static dimple_status open_state(const tower_call *call, picture_state *s) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size, half = v->head_size / 2;
  int64_t patches = s->patches = (int64_t)call->grid->rows * call->grid->columns, tokens = call->grid->tokens;
  DIMPLE_TRY(make_window_order(v, call->grid, &s->order));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, v->width, &s->x));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, v->width, &s->k));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, v->width, &s->v));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, half, &s->cosine));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, half, &s->sine));
  DIMPLE_TRY(matrix_alloc(ops, c, patches, kernel, &s->pixels));
  DIMPLE_TRY(matrix_alloc(ops, c, tokens, (int64_t)v->width * v->image.merge_size * v->image.merge_size, &s->merged));
  DIMPLE_TRY(matrix_alloc(ops, c, tokens, v->out_width, &s->ordered));
  return block_scratch_open(ops, c, &(block_widths){.width = v->width, .queries = v->width, .feed_forward = v->feed_forward}, patches, &s->scratch);
}

static void close_state(const tower_call *call, picture_state *s) {
  view matrices[] = {s->x, s->k, s->v, s->cosine, s->sine, s->pixels, s->merged, s->ordered};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) call->ops->buffer_free(call->context, matrices[i].memory);
  block_scratch_close(call->ops, call->context, &s->scratch);
  free(s->order.token);
  free(s->order.borders);
}

static block block_of(const tower_call *call, const picture_state *s, const block_weights *weights) {
  return (block){call->ops, call->context, weights, &s->scratch, call->parameters->norm_epsilon};
}

/* x = the dot product of every patch with the kernel: a convolution whose stride is its size. */
static dimple_status embed_patches(const tower_call *call, const picture_state *s) {
  block b = block_of(call, s, NULL);
  for (int32_t frame = 0; frame < call->parameters->image.temporal_patch; frame++) {
    linear_weights patch = {.w = call->weights->patch[frame]};
    DIMPLE_TRY(block_linear(&b, &patch, frame == 0 ? LINEAR_STORE : LINEAR_ADD, s->pixels, s->x));
  }
  return DIMPLE_OK;
}

static dimple_status norm_rows(const tower_call *call, view y, view x, const weight *w, const weight *bias) {
  float epsilon = call->parameters->norm_epsilon;
  return bias ? call->ops->layer_norm(call->context, y, x, w, bias, epsilon) : call->ops->rms_norm(call->context, y, x, w, epsilon);
}

/* x += output(attention(rotated q(n), rotated k(n), v(n))), n = norm1 x, within windows or the whole picture; x += SwiGLU of norm2 x, or where norms
 * have biases quick GELU. */
static dimple_status record_block(const tower_call *call, const picture_state *s, int32_t index) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  const block_weights *w = &call->weights->layers[index];
  block b = block_of(call, s, w);
  view normed = view_of(s->scratch.normed, s->patches, v->width), q = view_of(s->scratch.q, s->patches, v->width);
  view attended = view_of(s->scratch.attended, s->patches, v->width);
  DIMPLE_TRY(norm_rows(call, normed, s->x, w->norm1, w->norm1_bias));
  linear_output outputs[3] = {{.w = w->q.w, .bias = w->q.bias, .y = q, .mode = LINEAR_STORE},
                              {.w = w->k.w, .bias = w->k.bias, .y = s->k, .mode = LINEAR_STORE},
                              {.w = w->v.w, .bias = w->v.bias, .y = s->v, .mode = LINEAR_STORE}};
  DIMPLE_TRY(ops->linear(c, &(linear_call){normed, outputs, 3}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){.x = q, .heads = v->heads, .size = v->head_size, .cosine = s->cosine, .sine = s->sine}));
  DIMPLE_TRY(ops->rotary(c, &(rotary_call){.x = s->k, .heads = v->heads, .size = v->head_size, .cosine = s->cosine, .sine = s->sine}));
  bool windowed = !v->full[index];
  DIMPLE_TRY(ops->attention(c, &(attention_call){
      .q = q, .k = s->k, .v = s->v, .y = attended, .heads = v->heads, .kv_heads = v->heads, .size = v->head_size,
      .spans = windowed ? s->order.borders : NULL, .span_count = windowed ? s->order.window_count : 0}));
  DIMPLE_TRY(block_add_attention(&b, attended, s->x));
  return w->norm2_bias ? block_add_ungated(&b, LINEAR_QUICK_GELU, v->feed_forward, s->x) : block_add_feed_forward(&b, v->feed_forward, s->x);
}

/* Norm, concatenation of each group of patches (they lie side by side already), two linear layers, back to natural order. */
static dimple_status merge(const tower_call *call, const picture_state *s, view features) {
  const vision_weights *w = call->weights;
  block b = block_of(call, s, NULL);
  DIMPLE_TRY(norm_rows(call, s->x, s->x, w->merger_norm, w->merger_norm_bias));
  DIMPLE_TRY(block_linear(&b, &w->merger[0], LINEAR_GELU, view_reshape(s->x, s->merged.columns), s->merged));
  DIMPLE_TRY(block_linear(&b, &w->merger[1], LINEAR_STORE, s->merged, s->ordered));
  return call->ops->scatter_rows(call->context, features, s->ordered, s->order.token);
}

static dimple_status record(const tower_call *call, const picture_state *s, view features) {
  DIMPLE_TRY(record_pixels(call, s));
  DIMPLE_TRY(record_angles(call, s));
  DIMPLE_TRY(embed_patches(call, s));
  for (int32_t i = 0; i < call->parameters->layers; i++) {
    DIMPLE_TRY(call->ops->checkpoint(call->context));
    DIMPLE_TRY(record_block(call, s, i));
  }
  return merge(call, s, features);
}

dimple_status qwen_forward(const tower_call *call, view features) {
  picture_state s = {0};
  dimple_status status = open_state(call, &s);
  if (status == DIMPLE_OK) status = call->ops->pass_begin(call->context, call->cancelled);
  if (status == DIMPLE_OK) status = call->ops->pass_end(call->context, record(call, &s, features));
  close_state(call, &s);
  return status;
}

const tower tower_qwen2_5_vl = {.projector = "qwen2.5vl_merger", .read_keys = read_keys, .want_tensors = want_tensors, .grid = qwen_grid,
                                .place = qwen_place, .forward = qwen_forward, .harmless = harmless};
