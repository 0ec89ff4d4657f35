/* The vision tower of Gemma 4, DiffusionGemma's too: positions from tables, norms before and behind both halves of a block, queries and keys
 * that turn by column and row, a pool that makes one token of a square of patches, and the projection into the text model's space. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "vision/tower.h"

/* Gemma4VisionConfig's default, which llama.cpp takes for all such files. */
static const double rotary_base = 100;

enum { DEFAULT_POOL = 3, DEFAULT_TOKENS = 280 };

/* ------------------------------------------------------------------------------------------------------------------------- keys */

static dimple_status read_image_parameters(const gguf_file *file, image_parameters *image) {
  *image = (image_parameters){.merge_size = DEFAULT_POOL, .temporal_patch = 1, .std = {1, 1, 1}};
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.patch_size", 1, 256, &image->patch_size));
  DIMPLE_TRY(gguf_optional_int32(file, "clip.vision.projector.scale_factor", 1, 16, &image->merge_size));
  int64_t token_area = (int64_t)image->patch_size * image->merge_size * image->patch_size * image->merge_size;
  image->min_pixels = token_area;
  image->max_pixels = DEFAULT_TOKENS * token_area;
  DIMPLE_TRY(gguf_optional_int(file, "clip.vision.image_max_pixels", token_area, INT32_MAX, &image->max_pixels));
  DIMPLE_TRY(tower_read_colours(file, image));
  for (int i = 0; i < 3; i++) { /* the tower doubles what a pixel becomes, and takes one off */
    image->std[i] /= 2;
    image->mean[i] += image->std[i];
  }
  return DIMPLE_OK;
}

static dimple_status read_keys(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(tower_read_shape(file, v));
  return read_image_parameters(file, &v->image);
}

/* What its writers say beside that: a size that no picture has, and towers that are not there. The activation is gelu's tanh form whatever
 * a file says of others. */
static const harmless_key harmless[] = {
    {"vision.image_size", 0}, {"vision.projector_type", "gemma4v"}, {"projector_type", "gemma4v"}, {"use_gelu", 0}, {"use_silu", "false"},
    {"has_audio_encoder", "false"}, {"has_text_encoder", "false"}, {"has_llava_projector", "false"}, {0}};

/* ---------------------------------------------------------------------------------------------------------------------- tensors */

/* NAME.weight, and its bounds where the file has them: all four, or none. */
static void want_bounded(tensor_list *list, int64_t rows, int64_t columns, bounded_linear *target, const char *format, int32_t layer) {
  char name[GGUF_MAX_NAME + 1], first[GGUF_MAX_NAME + 1];
  snprintf(name, sizeof name, format, layer);
  want_linear(list, rows, columns, BIAS_NONE, &target->linear, "%s", name);
  if (snprintf(first, sizeof first, "%s.input_min", name) >= (int)sizeof first || !tensor_list_has(list, first)) return;
  want_vector(list, 1, &target->input_min, "%s.input_min", name);
  want_vector(list, 1, &target->input_max, "%s.input_max", name);
  want_vector(list, 1, &target->output_min, "%s.output_min", name);
  want_vector(list, 1, &target->output_max, "%s.output_max", name);
}

static void want_block(tensor_list *list, const vision_parameters *v, int32_t i, bounded_block *block) {
  want_vector(list, v->width, &block->norm1, "v.blk.%d.ln1.weight", i);
  want_bounded(list, v->width, v->width, &block->q, "v.blk.%d.attn_q", i);
  want_bounded(list, v->width, v->width, &block->k, "v.blk.%d.attn_k", i);
  want_bounded(list, v->width, v->width, &block->v, "v.blk.%d.attn_v", i);
  want_vector(list, v->head_size, &block->q_norm, "v.blk.%d.attn_q_norm.weight", i);
  want_vector(list, v->head_size, &block->k_norm, "v.blk.%d.attn_k_norm.weight", i);
  want_bounded(list, v->width, v->width, &block->output, "v.blk.%d.attn_out", i);
  want_vector(list, v->width, &block->attention_norm, "v.blk.%d.attn_post_norm.weight", i);
  want_vector(list, v->width, &block->norm2, "v.blk.%d.ln2.weight", i);
  want_bounded(list, v->feed_forward, v->width, &block->gate, "v.blk.%d.ffn_gate", i);
  want_bounded(list, v->feed_forward, v->width, &block->up, "v.blk.%d.ffn_up", i);
  want_bounded(list, v->width, v->feed_forward, &block->down, "v.blk.%d.ffn_down", i);
  want_vector(list, v->width, &block->feed_forward_norm, "v.blk.%d.ffn_post_norm.weight", i);
}

/* A table of positions along an axis has as many rows as the file says. */
static int64_t table_rows(const tensor_list *list) {
  const gguf_file *file;
  const gguf_tensor *t = gguf_parts_find_tensor(list->files, "v.position_embd.weight", &file);
  return t && t->dimensions[1] >= 1 && t->dimensions[1] <= MAX_CONTEXT ? t->dimensions[1] : 1;
}

static void want_tensors(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[0], "v.patch_embd.weight");
  w->table_rows = table_rows(list);
  want_matrix(list, WEIGHT_ROWS, 2 * w->table_rows, v->width, &w->positions, "v.position_embd.weight");
  for (int32_t i = 0; i < v->layers; i++) want_block(list, v, i, &w->bounded[i]);
  if (tensor_list_has(list, "v.std_bias") || tensor_list_has(list, "v.std_scale")) {
    want_vector(list, v->width, &w->std_bias, "v.std_bias");
    want_vector(list, v->width, &w->std_scale, "v.std_scale");
  }
  want_linear(list, v->out_width, v->width, BIAS_NONE, &w->merger[0], "mm.input_projection");
}

/* ------------------------------------------------------------------------------------------------------------- grid and positions */

/* As many squares of patch_size * merge_size pixels as the area has room for, with the aspect ratio kept and both sides rounded down; a side
 * that would vanish has one. Small pictures grow. */
static dimple_status grid_of(const vision_parameters *v, int32_t width, int32_t height, dimple_image_grid *grid) {
  const image_parameters *image = &v->image;
  int32_t unit = image->patch_size * image->merge_size;
  int64_t most = image->max_pixels / ((int64_t)unit * unit);
  double factor = sqrt((double)image->max_pixels / ((double)width * height));
  double columns = floor(factor * width / unit), rows = floor(factor * height / unit);
  if (columns < 1 && rows < 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels: no side reaches %" PRId32 " within %" PRId64 " pixels", width,
                       height, unit, image->max_pixels);
  double longer = width > height ? width : height, shorter = width > height ? height : width, ratio = floor(longer / shorter);
  if (rows < 1) {
    rows = 1;
    columns = ratio < (double)most ? ratio : (double)most;
  } else if (columns < 1) {
    columns = 1;
    rows = ratio < (double)most ? ratio : (double)most;
  }
  *grid = (dimple_image_grid){.resized_width = (int32_t)columns * unit,
                              .resized_height = (int32_t)rows * unit,
                              .rows = (int32_t)rows * image->merge_size,
                              .columns = (int32_t)columns * image->merge_size,
                              .tokens = (int32_t)rows * (int32_t)columns};
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------------------ forward */

/* What the pass of one picture needs, n patches: those of a square that becomes a token lie together, squares row by row, as image_patches
 * has them. */
typedef struct picture_state {
  int64_t patches;
  int32_t *column, *row;  /* [n] of each patch */
  view x, normed, bounded, q, k, v, attended; /* [n x width] */
  view gate, up, wide;    /* [n x feed_forward] */
  view pixels;            /* [n x 3*patch*patch] */
  view cosine, sine;      /* [longest side x head_size/4] */
  view pooled;            /* [tokens x width] */
} picture_state;

static dimple_status locate_patches(const tower_call *call, picture_state *s) {
  int32_t merge = call->parameters->image.merge_size, unit = merge * merge, columns = call->grid->columns / merge;
  s->column = malloc((size_t)s->patches * sizeof *s->column);
  s->row = malloc((size_t)s->patches * sizeof *s->row);
  if (!s->column || !s->row) return dimple_fail_memory((uint64_t)s->patches * 2 * sizeof *s->row, "the places of patches");
  for (int64_t i = 0; i < s->patches; i++) {
    int32_t token = (int32_t)(i / unit), inside = (int32_t)(i % unit);
    s->row[i] = token / columns * merge + inside / merge;
    s->column[i] = token % columns * merge + inside % merge;
  }
  return DIMPLE_OK;
}

static dimple_status open_state(const tower_call *call, picture_state *s) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  int64_t n = s->patches = (int64_t)call->grid->rows * call->grid->columns;
  int64_t side = call->grid->rows > call->grid->columns ? call->grid->rows : call->grid->columns;
  if (side > call->weights->table_rows)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %d x %d patches: the vision tower knows %" PRId64 " positions a side", call->grid->columns,
                       call->grid->rows, call->weights->table_rows);
  DIMPLE_TRY(locate_patches(call, s));
  view *wide[] = {&s->x, &s->normed, &s->bounded, &s->q, &s->k, &s->v, &s->attended};
  for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) DIMPLE_TRY(matrix_alloc(ops, c, n, v->width, wide[i]));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->feed_forward, &s->gate));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->feed_forward, &s->up));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->feed_forward, &s->wide));
  DIMPLE_TRY(matrix_alloc(ops, c, n, kernel, &s->pixels));
  DIMPLE_TRY(matrix_alloc(ops, c, side, v->head_size / 4, &s->cosine));
  DIMPLE_TRY(matrix_alloc(ops, c, side, v->head_size / 4, &s->sine));
  return matrix_alloc(ops, c, call->grid->tokens, v->width, &s->pooled);
}

static void close_state(const tower_call *call, picture_state *s) {
  view matrices[] = {s->x, s->normed, s->bounded, s->q, s->k, s->v, s->attended, s->gate, s->up, s->wide, s->pixels, s->cosine, s->sine, s->pooled};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) call->ops->buffer_free(call->context, matrices[i].memory);
  free(s->column);
  free(s->row);
}

static dimple_status record_pixels(const tower_call *call, const picture_state *s) {
  size_t count = (size_t)(s->patches * s->pixels.columns);
  float *patches = malloc(count * sizeof *patches);
  if (!patches) return dimple_fail_memory(count * sizeof *patches, "image patches");
  image_patches(&call->parameters->image, call->grid, call->rgb, patches);
  dimple_status status = call->ops->copy_in(call->context, s->pixels, patches);
  free(patches);
  return status;
}

/* Angle j of coordinate p is p * 100^(-4j / head_size), j < head_size / 4: half a head turns with the column, the other half with the row. */
static dimple_status record_angles(const tower_call *call, const picture_state *s) {
  int64_t quarter = s->cosine.columns, count = s->cosine.rows * quarter;
  float *table = malloc((size_t)(2 * count) * sizeof *table);
  if (!table) return dimple_fail_memory((uint64_t)(2 * count) * sizeof *table, "rotation angles");
  for (int64_t p = 0; p < s->cosine.rows; p++)
    for (int64_t j = 0; j < quarter; j++) {
      double angle = (double)p * pow(rotary_base, -(double)j / (double)quarter);
      table[p * quarter + j] = (float)cos(angle);
      table[count + p * quarter + j] = (float)sin(angle);
    }
  dimple_status status = call->ops->copy_in(call->context, s->cosine, table);
  if (status == DIMPLE_OK) status = call->ops->copy_in(call->context, s->sine, table + count);
  free(table);
  return status;
}

/* x = the dot product of every patch with the kernel, and what the tables say of its column and its row. */
static dimple_status embed_patches(const tower_call *call, const picture_state *s) {
  const backend_operations *ops = call->ops;
  linear_output output = {.w = call->weights->patch[0], .y = s->x, .mode = LINEAR_STORE};
  DIMPLE_TRY(ops->linear(call->context, &(linear_call){s->pixels, &output, 1}));
  int32_t *ids = malloc((size_t)s->patches * sizeof *ids);
  if (!ids) return dimple_fail_memory((uint64_t)s->patches * sizeof *ids, "positions of patches");
  dimple_status status = ops->embed_rows(call->context, s->normed, call->weights->positions, s->column);
  if (status == DIMPLE_OK) status = ops->add_rows(call->context, s->x, s->normed, 1);
  for (int64_t i = 0; i < s->patches; i++) ids[i] = (int32_t)(s->row[i] + call->weights->table_rows);
  if (status == DIMPLE_OK) status = ops->embed_rows(call->context, s->normed, call->weights->positions, ids);
  if (status == DIMPLE_OK) status = ops->add_rows(call->context, s->x, s->normed, 1);
  free(ids);
  return status;
}

/* y = l x, both within the bounds of l if it has any; `room` has the shape of x. */
static dimple_status record_bounded(const tower_call *call, const bounded_linear *l, view x, view room, view y) {
  const backend_operations *ops = call->ops;
  linear_output output = {.w = l->linear.w, .y = y, .mode = LINEAR_STORE};
  if (!l->input_min) return ops->linear(call->context, &(linear_call){x, &output, 1});
  DIMPLE_TRY(ops->adjust(call->context, &(adjust_call){.x = x, .y = room, .low = l->input_min, .high = l->input_max}));
  DIMPLE_TRY(ops->linear(call->context, &(linear_call){room, &output, 1}));
  return ops->adjust(call->context, &(adjust_call){.x = y, .y = y, .low = l->output_min, .high = l->output_max});
}

/* Half a head is what the rotation takes for a head, so that a patch has 2 * heads rows, which turn by its column and its row in turn. */
static dimple_status record_rotation(const tower_call *call, const picture_state *s, view x) {
  int32_t half = call->parameters->head_size / 2, heads = call->parameters->heads;
  view halves = view_reshape(x, half);
  int32_t *angles = malloc((size_t)halves.rows * sizeof *angles);
  if (!angles) return dimple_fail_memory((uint64_t)halves.rows * sizeof *angles, "angles of heads");
  for (int64_t i = 0; i < halves.rows; i++) angles[i] = i % 2 ? s->row[i / (2 * heads)] : s->column[i / (2 * heads)];
  dimple_status status = call->ops->rotary(call->context, &(rotary_call){.x = halves, .heads = 1, .size = half, .cosine = s->cosine, .sine = s->sine,
                                                                        .angle_rows = angles});
  free(angles);
  return status;
}

/* x += norm of output(attention(turned norm q(n), turned norm k(n), bare norm v(n))), n = norm1 x; scores are not scaled. */
static dimple_status record_attention(const tower_call *call, const picture_state *s, const bounded_block *w) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  DIMPLE_TRY(ops->rms_norm(c, s->normed, s->x, w->norm1, v->norm_epsilon));
  DIMPLE_TRY(record_bounded(call, &w->q, s->normed, s->bounded, s->q));
  DIMPLE_TRY(record_bounded(call, &w->k, s->normed, s->bounded, s->k));
  DIMPLE_TRY(record_bounded(call, &w->v, s->normed, s->bounded, s->v));
  view q = view_reshape(s->q, v->head_size), k = view_reshape(s->k, v->head_size), values = view_reshape(s->v, v->head_size);
  DIMPLE_TRY(ops->rms_norm(c, q, q, w->q_norm, v->norm_epsilon));
  DIMPLE_TRY(ops->rms_norm(c, k, k, w->k_norm, v->norm_epsilon));
  DIMPLE_TRY(ops->rms_norm(c, values, values, NULL, v->norm_epsilon));
  DIMPLE_TRY(record_rotation(call, s, s->q));
  DIMPLE_TRY(record_rotation(call, s, s->k));
  DIMPLE_TRY(ops->attention(c, &(attention_call){.q = s->q, .k = s->k, .v = s->v, .y = s->attended, .heads = v->heads, .kv_heads = v->heads,
                                                 .size = v->head_size, .scale = 1}));
  DIMPLE_TRY(record_bounded(call, &w->output, s->attended, s->bounded, s->normed));
  DIMPLE_TRY(ops->rms_norm(c, s->normed, s->normed, w->attention_norm, v->norm_epsilon));
  return ops->add_rows(c, s->x, s->normed, 1);
}

/* x += norm of down(gelu(gate n) * up n), n = norm2 x. */
static dimple_status record_feed_forward(const tower_call *call, const picture_state *s, const bounded_block *w) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  DIMPLE_TRY(ops->rms_norm(c, s->normed, s->x, w->norm2, v->norm_epsilon));
  DIMPLE_TRY(record_bounded(call, &w->gate, s->normed, s->bounded, s->gate));
  DIMPLE_TRY(record_bounded(call, &w->up, s->normed, s->bounded, s->up));
  DIMPLE_TRY(ops->adjust(c, &(adjust_call){.x = s->up, .y = s->up, .gate = s->gate}));
  DIMPLE_TRY(record_bounded(call, &w->down, s->up, s->wide, s->normed));
  DIMPLE_TRY(ops->rms_norm(c, s->normed, s->normed, w->feed_forward_norm, v->norm_epsilon));
  return ops->add_rows(c, s->x, s->normed, 1);
}

/* The mean of each square's patches times sqrt(width), standardised where the file says how; bare norm, projection. */
static dimple_status pool(const tower_call *call, const picture_state *s, view features) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  int32_t unit = v->image.merge_size * v->image.merge_size;
  view squares = view_reshape(s->x, (int64_t)unit * v->width); /* a token's patches side by side */
  DIMPLE_TRY(ops->adjust(c, &(adjust_call){.x = view_columns(squares, 0, v->width), .y = s->pooled}));
  for (int32_t i = 1; i < unit; i++) DIMPLE_TRY(ops->add_rows(c, s->pooled, view_columns(squares, (int64_t)i * v->width, v->width), 1));
  DIMPLE_TRY(ops->add_rows(c, s->pooled, (view){0}, sqrtf((float)v->width) / (float)unit));
  DIMPLE_TRY(ops->adjust(c, &(adjust_call){.x = s->pooled, .y = s->pooled, .minus = call->weights->std_bias, .times = call->weights->std_scale}));
  DIMPLE_TRY(ops->rms_norm(c, s->pooled, s->pooled, NULL, v->norm_epsilon));
  linear_output output = {.w = call->weights->merger[0].w, .y = features, .mode = LINEAR_STORE};
  return ops->linear(c, &(linear_call){s->pooled, &output, 1});
}

static dimple_status record(const tower_call *call, const picture_state *s, view features) {
  DIMPLE_TRY(record_pixels(call, s));
  DIMPLE_TRY(record_angles(call, s));
  DIMPLE_TRY(embed_patches(call, s));
  for (int32_t i = 0; i < call->parameters->layers; i++) {
    DIMPLE_TRY(call->ops->checkpoint(call->context));
    DIMPLE_TRY(record_attention(call, s, &call->weights->bounded[i]));
    DIMPLE_TRY(record_feed_forward(call, s, &call->weights->bounded[i]));
  }
  return pool(call, s, features);
}

static dimple_status forward(const tower_call *call, view features) {
  picture_state s = {0};
  dimple_status status = open_state(call, &s);
  if (status == DIMPLE_OK) status = call->ops->pass_begin(call->context, call->cancelled);
  if (status == DIMPLE_OK) status = call->ops->pass_end(call->context, record(call, &s, features));
  close_state(call, &s);
  return status;
}

const tower tower_gemma4 = {.projector = "gemma4v", .read_keys = read_keys, .want_tensors = want_tensors, .grid = grid_of,
                            .place = tower_place_in_line, .forward = forward, .harmless = harmless};
