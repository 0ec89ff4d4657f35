#include "vision/tower.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"

/* The table: a line for each, whose name is that of its file. */
#define TOWERS(ENTRY) \
  ENTRY(qwen2_5_vl)     \
  ENTRY(qwen2_vl)       \
  ENTRY(gemma4)         \
  ENTRY(siglip)

#define DECLARE(name) extern const tower tower_##name;
TOWERS(DECLARE)

#define ADDRESS(name) &tower_##name,
static const tower *const towers[] = {TOWERS(ADDRESS)};
enum { TOWER_COUNT = sizeof towers / sizeof *towers };

static const tower *find(const char *projector) {
  for (size_t i = 0; i < TOWER_COUNT; i++)
    if (strcmp(towers[i]->projector, projector) == 0) return towers[i];
  return NULL;
}

/* Writes "a, b or c": the projectors in the table. */
static void list_projectors(char *target, size_t capacity) {
  size_t used = 0;
  for (size_t i = 0; i < TOWER_COUNT && used < capacity; i++) {
    const char *separator = i == 0 ? "" : i + 1 == TOWER_COUNT ? " or " : ", ";
    used += (size_t)snprintf(target + used, capacity - used, "%s%s", separator, towers[i]->projector);
  }
}

dimple_status vision_parameters_read(const gguf_file *file, vision_parameters *v) {
  memset(v, 0, sizeof *v);
  DIMPLE_TRY(gguf_optional_bool(file, "clip.has_vision_encoder", &v->present));
  if (!v->present) return DIMPLE_OK;
  char projector[32] = "";
  DIMPLE_TRY(gguf_optional_string(file, "clip.vision.projector_type", projector, sizeof projector));
  if (!*projector) DIMPLE_TRY(gguf_require_string(file, "clip.projector_type", projector, sizeof projector));
  v->tower = find(projector);
  if (v->tower) return v->tower->read_keys(file, v);
  char projectors[256];
  list_projectors(projectors, sizeof projectors);
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: clip.projector_type is \"%s\", expected %s", gguf_path(file), projector, projectors);
}

dimple_status tower_read_shape(const gguf_file *file, vision_parameters *v) {
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.block_count", 1, MAX_VISION_LAYERS, &v->layers));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.embedding_length", 1, MAX_WIDTH, &v->width));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.feed_forward_length", 1, MAX_FEED_FORWARD, &v->feed_forward));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.attention.head_count", 1, MAX_HEADS, &v->heads));
  DIMPLE_TRY(gguf_require_int32(file, "clip.vision.projection_dim", 1, MAX_WIDTH, &v->out_width));
  v->head_size = v->width / v->heads;
  if (v->head_size * v->heads != v->width || v->head_size % 4 != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: vision width %d over %d heads, expected a head size that is a multiple of 4", gguf_path(file), v->width, v->heads);
  v->norm_epsilon = 1e-6f;
  DIMPLE_TRY(gguf_optional_float(file, "clip.vision.attention.layer_norm_epsilon", &v->norm_epsilon));
  return gguf_check_between(file, "clip.vision.attention.layer_norm_epsilon", v->norm_epsilon, 0, 1);
}

static dimple_status read_rgb(const gguf_file *file, const char *key, float *out) {
  int64_t count = 3;
  DIMPLE_TRY(gguf_optional_float_array(file, key, out, 3, &count));
  bool good = count == 3;
  for (int i = 0; i < 3; i++) good &= isfinite(out[i]) != 0;
  if (!good) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is not an array of three finite numbers", gguf_path(file), key);
  return DIMPLE_OK;
}

dimple_status tower_read_colours(const gguf_file *file, image_parameters *image) {
  DIMPLE_TRY(read_rgb(file, "clip.vision.image_mean", image->mean));
  DIMPLE_TRY(read_rgb(file, "clip.vision.image_std", image->std));
  for (int i = 0; i < 3; i++)
    if (!(image->std[i] > 0)) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key clip.vision.image_std has %g, expected positive numbers", gguf_path(file), (double)image->std[i]);
  return DIMPLE_OK;
}

int32_t tower_place_in_line(const vision_parameters *v, const dimple_image_grid *grid, int32_t next, int32_t *time, int32_t *row, int32_t *column) {
  (void)v;
  for (int32_t i = 0; i < grid->tokens; i++) time[i] = row[i] = column[i] = next + i;
  return next + grid->tokens;
}

dimple_status tower_prepare(const vision_parameters *v, const dimple_image *image, const dimple_image_grid *grid, uint8_t *rgb) {
  if (v->tower->prepare) return v->tower->prepare(v, image, grid, rgb);
  return image_resize(image, RESIZE_PIL, grid->resized_width, grid->resized_height, rgb);
}

bool tower_stands_alone(const gguf_file *file) {
  char name[32] = "";
  return gguf_optional_string(file, "general.architecture", name, sizeof name) == DIMPLE_OK && strcmp(name, "clip") == 0;
}
