/* SigLIP as LLaVA-NeXT and LLaVA-OneVision use it: pictures in tiles, learned positions, layer norms, GELU's tanh form, what the last layer gives
 * without a norm behind it, a projector of two layers for every tile, and the features of all tiles packed into rows with a learned token behind
 * each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "vision/tower.h"

/* ------------------------------------------------------------------------------------------------------------------------- keys */

/* "anyres": features are kept as they are; "anyres_max_N": of about N tiles, above that shrunk. */
static dimple_status read_most_tiles(const gguf_file *file, tiling *t) {
  char found[32] = "";
  DIMPLE_TRY(gguf_require_string(file, "clip.vision.image_aspect_ratio", found, sizeof found));
  static const char limited[] = "anyres_max_";
  if (strcmp(found, "anyres") == 0) return DIMPLE_OK;
  char *end = found;
  long most = strncmp(found, limited, sizeof limited - 1) == 0 ? strtol(found + sizeof limited - 1, &end, 10) : 0;
  if (most < 1 || most > MAX_TILES_A_SIDE * MAX_TILES_A_SIDE || *end)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED,
                       "%s: key clip.vision.image_aspect_ratio is \"%s\", expected anyres or anyres_max_ and a number from 1 to %d", gguf_path(file),
                        found, MAX_TILES_A_SIDE * MAX_TILES_A_SIDE);
  t->most = (int32_t)most;
  return DIMPLE_OK;
}

/* Pairs of heights and widths in pixels, as the checkpoint has them. */
static dimple_status read_pinpoints(const gguf_file *file, tiling *t) {
  static const char key[] = "clip.vision.image_grid_pinpoints";
  int64_t pixels[2 * MAX_TILINGS], count = 0;
  DIMPLE_TRY(gguf_require_key(file, key));
  DIMPLE_TRY(gguf_optional_int_array(file, key, pixels, 2 * MAX_TILINGS, &count));
  if (count < 2 || count % 2 != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s has %" PRId64 " numbers, expected pairs of heights and widths", gguf_path(file), key, count);
  for (int64_t i = 0; i < count; i++)
    if (pixels[i] < t->side || pixels[i] % t->side != 0 || pixels[i] / t->side > MAX_TILES_A_SIDE)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s has %" PRId64 ", expected multiples of clip.vision.image_size %d up to %d of it",
                         gguf_path(file), key, pixels[i], t->side, MAX_TILES_A_SIDE);
  t->count = (int32_t)(count / 2);
  for (int32_t i = 0; i < t->count; i++) {
    t->rows[i] = (int32_t)(pixels[2 * i] / t->side);
    t->columns[i] = (int32_t)(pixels[2 * i + 1] / t->side);
  }
  return DIMPLE_OK;
}

/* The most tiles that a picture is cut into. */
static int64_t most_tiles(const tiling *t) {
  int64_t most = 0;
  for (int32_t i = 0; i < t->count; i++) most = (int64_t)t->rows[i] * t->columns[i] > most ? (int64_t)t->rows[i] * t->columns[i] : most;
  return most;
}

/* Our own key: whose code cuts pictures and packs their features. */
static dimple_status read_rules(const gguf_file *file, tiling *t) {
  static const char key[] = "clip.vision.anyres_rules";
  char found[32] = "";
  DIMPLE_TRY(gguf_require_string(file, key, found, sizeof found));
  t->plain = strcmp(found, "llava") == 0;
  if (t->plain || strcmp(found, "transformers") == 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is \"%s\", expected llava or transformers", gguf_path(file), key, found);
}

/* The authors' key: of the pooling behind the projector, which is by two; absent: there is none. */
static dimple_status read_pooling(const gguf_file *file, tiling *t) {
  static const char key[] = "clip.vision.mm_spatial_pool_mode";
  char found[32] = "";
  if (!gguf_find(file, key)) return DIMPLE_OK;
  DIMPLE_TRY(gguf_require_string(file, key, found, sizeof found));
  t->pooled = strcmp(found, "bilinear") == 0;
  return t->pooled ? DIMPLE_OK : dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is \"%s\", expected bilinear", gguf_path(file), key, found);
}

static dimple_status read_tiling(const gguf_file *file, vision_parameters *v) {
  tiling *t = &v->tiling;
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.patch_size", 1, 256, &v->image.patch_size));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.image_size", v->image.patch_size, 4096, &t->side));
  t->grid = t->side / v->image.patch_size;
  DIMPLE_TRY(read_rules(file, t));
  DIMPLE_TRY(read_pooling(file, t));
  DIMPLE_TRY(read_pinpoints(file, t));
  if ((1 + most_tiles(t)) * t->grid * t->grid > MAX_CONTEXT)
    return dimple_fail(DIMPLE_ERROR_FORMAT,
                       "%s: clip.vision.image_grid_pinpoints has up to %" PRId64 " tiles of %d features each, expected no more than %d in all", gguf_path(file),
                        most_tiles(t), t->grid * t->grid, MAX_CONTEXT);
  v->image.min_pixels = (int64_t)t->side * t->side;
  v->image.max_pixels = most_tiles(t) * v->image.min_pixels;
  return read_most_tiles(file, t);
}

/* A setting that other towers have differently under the same projector: without it, a reader would have to guess. */
static dimple_status require_text(const gguf_file *file, const char *key, const char *only) {
  char found[32] = "";
  DIMPLE_TRY(gguf_require_string(file, key, found, sizeof found));
  if (strcmp(found, only) == 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key %s is \"%s\", expected %s", gguf_path(file), key, found, only);
}

static dimple_status read_keys(const gguf_file *file, vision_parameters *v) {
  bool gelu = false;
  DIMPLE_TRY(tower_read_shape(file, v));
  DIMPLE_TRY(gguf_optional_bool(file, "clip.use_gelu", &gelu));
  if (!gelu) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key clip.use_gelu is false or missing, expected true", gguf_path(file));
  DIMPLE_TRY(require_text(file, "clip.vision.mm_patch_merge_type", "spatial_unpad"));
  v->image = (image_parameters){.merge_size = 1, .temporal_patch = 1, .mean = {0.5f, 0.5f, 0.5f}, .std = {0.5f, 0.5f, 0.5f}};
  DIMPLE_TRY(read_tiling(file, v));
  return tower_read_colours(file, &v->image);
}

/* What its writers say beside that. */
static const harmless_key harmless[] = {
    {"use_silu", "false"}, {"vision.projector_type", "mlp"}, {"has_llava_projector", 0}, {"has_audio_encoder", "false"},
    {"has_text_encoder", "false"}, {0}};

/* ---------------------------------------------------------------------------------------------------------------------- tensors */

static void want_norm(tensor_list *list, const vision_parameters *v, int32_t i, const char *name, weight **norm, weight **bias) {
  want_vector(list, v->width, norm, "v.blk.%d.%s.weight", i, name);
  want_vector(list, v->width, bias, "v.blk.%d.%s.bias", i, name);
}

static void want_block(tensor_list *list, const vision_parameters *v, int32_t i, block_weights *block) {
  want_norm(list, v, i, "ln1", &block->norm1, &block->norm1_bias);
  want_norm(list, v, i, "ln2", &block->norm2, &block->norm2_bias);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->q, "v.blk.%d.attn_q", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->k, "v.blk.%d.attn_k", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->v, "v.blk.%d.attn_v", i);
  want_linear(list, v->width, v->width, BIAS_REQUIRED, &block->output, "v.blk.%d.attn_out", i);
  want_linear(list, v->feed_forward, v->width, BIAS_REQUIRED, &block->up, "v.blk.%d.ffn_up", i);
  want_linear(list, v->width, v->feed_forward, BIAS_REQUIRED, &block->down, "v.blk.%d.ffn_down", i);
}

static void want_tensors(tensor_list *list, const vision_parameters *v, vision_weights *w) {
  int64_t kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  want_matrix(list, WEIGHT_LINEAR, v->width, kernel, &w->patch[0], "v.patch_embd.weight");
  want_vector(list, v->width, &w->patch_bias, "v.patch_embd.bias");
  want_matrix(list, WEIGHT_ROWS, (int64_t)v->tiling.grid * v->tiling.grid, v->width, &w->positions, "v.position_embd.weight");
  for (int32_t i = 0; i < v->layers; i++) want_block(list, v, i, &w->layers[i]);
  want_linear(list, v->out_width, v->width, BIAS_REQUIRED, &w->merger[0], "mm.0");
  want_linear(list, v->out_width, v->out_width, BIAS_REQUIRED, &w->merger[1], "mm.2");
  want_table(list, v->out_width, &w->newline, "model.image_newline");
}

/* ------------------------------------------------------------------------------------------------------------------------- tiles */

/* Tiles one below the other. */
static dimple_status grid_of(const vision_parameters *v, int32_t width, int32_t height, dimple_image_grid *grid) {
  tile_plan plan = tiling_plan(&v->tiling, width, height);
  if (plan.kept_rows > 0 && plan.kept_columns > 0 && (plan.packed_rows < 1 || plan.packed_columns < 1))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a picture of %" PRId32 " x %" PRId32 " pixels: %d x %d features shrink to none", width, height,
                       plan.kept_columns, plan.kept_rows);
  int32_t side = v->tiling.grid, tiles = tile_count(&plan);
  *grid = (dimple_image_grid){.resized_width = side * v->image.patch_size,
                              .resized_height = tiles * side * v->image.patch_size,
                              .rows = tiles * side,
                              .columns = side,
                              .tokens = plan.tokens};
  return DIMPLE_OK;
}

static dimple_status prepare(const vision_parameters *v, const dimple_image *image, const dimple_image_grid *grid, uint8_t *rgb) {
  (void)grid;
  return tiling_prepare(&v->tiling, v->image.patch_size, image, rgb);
}

/* ------------------------------------------------------------------------------------------------------------------------ forward */

/* What the passes of a picture's tiles need, n features of one each. */
typedef struct tile_state {
  int64_t patches;
  view x, k, v, hidden, out; /* [n x width], [n x out_width] the last two */
  view pixels;               /* [n x 3*patch*patch] */
  float *host;               /* [n x 3*patch*patch] */
  int32_t *positions;        /* [n] 0, 1, 2, ... */
  float *features;           /* [tiles x n x out_width] */
  float *packed;             /* [tokens x out_width] */
  block_scratch scratch;
} tile_state;

static dimple_status open_state(const tower_call *call, int32_t tiles, tile_state *s) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  context *c = call->context;
  int64_t n = s->patches = (int64_t)v->tiling.grid * v->tiling.grid, kernel = 3 * (int64_t)v->image.patch_size * v->image.patch_size;
  uint64_t bytes = (uint64_t)((tiles * n + call->grid->tokens) * v->out_width) * sizeof(float);
  s->host = malloc((size_t)(n * kernel) * sizeof *s->host);
  s->positions = malloc((size_t)n * sizeof *s->positions);
  s->features = malloc((size_t)(tiles * n * v->out_width) * sizeof *s->features);
  s->packed = malloc((size_t)((int64_t)call->grid->tokens * v->out_width) * sizeof *s->packed);
  if (!s->host || !s->positions || !s->features || !s->packed) return dimple_fail_memory(bytes, "the features of a picture's tiles");
  for (int32_t i = 0; i < n; i++) s->positions[i] = i;
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->width, &s->x));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->width, &s->k));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->width, &s->v));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->out_width, &s->hidden));
  DIMPLE_TRY(matrix_alloc(ops, c, n, v->out_width, &s->out));
  DIMPLE_TRY(matrix_alloc(ops, c, n, kernel, &s->pixels));
  return block_scratch_open(ops, c, &(block_widths){.width = v->width, .queries = v->width, .feed_forward = v->feed_forward}, n, &s->scratch);
}

static void close_state(const tower_call *call, tile_state *s) {
  view matrices[] = {s->x, s->k, s->v, s->hidden, s->out, s->pixels};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) call->ops->buffer_free(call->context, matrices[i].memory);
  block_scratch_close(call->ops, call->context, &s->scratch);
  free(s->host);
  free(s->positions);
  free(s->features);
  free(s->packed);
}

/* x = the dot product of every patch with the kernel, its bias, and what its position adds. */
static dimple_status embed_patches(const tower_call *call, const tile_state *s, int32_t tile) {
  const vision_parameters *v = call->parameters;
  const backend_operations *ops = call->ops;
  int32_t side = call->grid->resized_width;
  dimple_image_grid one = {.resized_width = side, .resized_height = side, .rows = v->tiling.grid, .columns = v->tiling.grid};
  int64_t bytes = 3 * (int64_t)one.resized_width * one.resized_height;
  view position = view_of(s->scratch.normed, s->patches, v->width);
  image_patches(&v->image, &one, call->rgb + tile * bytes, s->host);
  DIMPLE_TRY(ops->copy_in(call->context, s->pixels, s->host));
  linear_output output = {.w = call->weights->patch[0], .bias = call->weights->patch_bias, .y = s->x, .mode = LINEAR_STORE};
  DIMPLE_TRY(ops->linear(call->context, &(linear_call){s->pixels, &output, 1}));
  DIMPLE_TRY(ops->embed_rows(call->context, position, call->weights->positions, s->positions));
  return ops->add_rows(call->context, s->x, position, 1);
}

/* x += output(attention(q(n), k(n), v(n))), n = norm1 x; x += down(gelu(up n)), n = norm2 x. */
static dimple_status record_block(const tower_call *call, const tile_state *s, const block_weights *w) {
  const vision_parameters *v = call->parameters;
  block b = {call->ops, call->context, w, &s->scratch, v->norm_epsilon};
  view normed = view_of(s->scratch.normed, s->patches, v->width), q = view_of(s->scratch.q, s->patches, v->width);
  view attended = view_of(s->scratch.attended, s->patches, v->width);
  DIMPLE_TRY(call->ops->layer_norm(call->context, normed, s->x, w->norm1, w->norm1_bias, v->norm_epsilon));
  linear_output outputs[3] = {{.w = w->q.w, .bias = w->q.bias, .y = q, .mode = LINEAR_STORE},
                              {.w = w->k.w, .bias = w->k.bias, .y = s->k, .mode = LINEAR_STORE},
                              {.w = w->v.w, .bias = w->v.bias, .y = s->v, .mode = LINEAR_STORE}};
  DIMPLE_TRY(call->ops->linear(call->context, &(linear_call){normed, outputs, 3}));
  DIMPLE_TRY(call->ops->attention(call->context, &(attention_call){.q = q, .k = s->k, .v = s->v, .y = attended, .heads = v->heads,
                                                                   .kv_heads = v->heads, .size = v->head_size}));
  DIMPLE_TRY(block_add_attention(&b, attended, s->x));
  return block_add_ungated(&b, LINEAR_TANH_GELU, v->feed_forward, s->x);
}

static dimple_status record_tile(const tower_call *call, const tile_state *s, int32_t tile) {
  const vision_parameters *v = call->parameters;
  block b = {.ops = call->ops, .context = call->context};
  DIMPLE_TRY(embed_patches(call, s, tile));
  for (int32_t i = 0; i < v->layers; i++) {
    DIMPLE_TRY(call->ops->checkpoint(call->context));
    DIMPLE_TRY(record_block(call, s, &call->weights->layers[i]));
  }
  DIMPLE_TRY(block_linear(&b, &call->weights->merger[0], LINEAR_GELU, s->x, s->hidden));
  DIMPLE_TRY(block_linear(&b, &call->weights->merger[1], LINEAR_STORE, s->hidden, s->out));
  return call->ops->copy_out(call->context, s->features + tile * s->patches * v->out_width, s->out);
}

/* Tiles never see each other: each is a pass of its own. */
static dimple_status run_tiles(const tower_call *call, const tile_state *s, const tile_plan *plan, view features) {
  const backend_operations *ops = call->ops;
  for (int32_t tile = 0; tile < tile_count(plan); tile++) {
    DIMPLE_TRY(ops->pass_begin(call->context, call->cancelled));
    DIMPLE_TRY(ops->pass_end(call->context, record_tile(call, s, tile)));
  }
  if (call->parameters->tiling.pooled) tiling_pool(&call->parameters->tiling, tile_count(plan), call->parameters->out_width, s->features);
  tiling_pack(&call->parameters->tiling, plan, call->parameters->out_width, s->features, call->weights->newline, s->packed);
  DIMPLE_TRY(ops->pass_begin(call->context, call->cancelled));
  return ops->pass_end(call->context, ops->copy_in(call->context, features, s->packed));
}

static dimple_status forward(const tower_call *call, view features) {
  tile_state s = {0};
  tile_plan plan = tiling_plan(&call->parameters->tiling, call->width, call->height);
  dimple_status status = open_state(call, tile_count(&plan), &s);
  if (status == DIMPLE_OK) status = run_tiles(call, &s, &plan, features);
  close_state(call, &s);
  return status;
}

const tower tower_siglip = {.projector = "mlp", .read_keys = read_keys, .want_tensors = want_tensors, .grid = grid_of, .prepare = prepare,
                            .place = tower_place_in_line, .forward = forward, .harmless = harmless};
