#include "vision/tiling.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "transformer/tensor_list.h"

/* ----------------------------------------------------------------------------------------------------------------- plan */

/* The tiles that keep most of the picture's pixels, and among those waste the least (transformers' select_best_resolution). */
static int32_t best_tiling(const tiling *t, int32_t width, int32_t height) {
  int32_t best = 0;
  int64_t most_kept = 0, least_wasted = INT64_MAX;
  for (int32_t i = 0; i < t->count; i++) {
    int64_t wide = (int64_t)t->columns[i] * t->side, high = (int64_t)t->rows[i] * t->side, all = (int64_t)width * height;
    double scale = fmin((double)wide / width, (double)high / height);
    int64_t kept = (int64_t)(width * scale) * (int64_t)(height * scale);
    if (kept > all) kept = all;
    int64_t wasted = wide * high - kept;
    if (kept < most_kept || (kept == most_kept && wasted >= least_wasted)) continue;
    most_kept = kept;
    least_wasted = wasted;
    best = i;
  }
  return best;
}

/* The picture fills its tiles along one axis; the other follows, rounded up. */
static void enlarge(const tiling *t, int32_t width, int32_t height, tile_plan *plan) {
  int32_t wide = plan->columns * t->side, high = plan->rows * t->side;
  double across = (double)wide / width, down = (double)high / height;
  double other = across < down ? ceil(height * across) : ceil(width * down);
  plan->width = across < down || other > wide ? wide : (int32_t)other;
  plan->height = across < down && other <= high ? (int32_t)other : high;
}

/* Rounded down, but, unless plainly, for what is nearer to the next integer than 5e-8 (Python's int(round(x, 7))). */
static int32_t whole(const tiling *t, double x) { return (int32_t)floor(t->plain ? x : x + 5e-8); }

/* Which features lie in the margins: the authors count them by the picture's own shape, not by where its pixels came to lie. */
static void leave_out(const tiling *t, int32_t width, int32_t height, tile_plan *plan) {
  int32_t rows = plan->rows * tiling_features(t), columns = plan->columns * tiling_features(t);
  if ((double)width / height > (double)columns / rows)
    plan->top = (rows - whole(t, height * ((double)columns / width))) / 2;
  else
    plan->left = (columns - whole(t, width * ((double)rows / height))) / 2;
  plan->kept_rows = rows - 2 * plan->top;
  plan->kept_columns = columns - 2 * plan->left;
}

/* Python's x // y of positive floats. */
static int32_t floor_quotient(int32_t x, double y) { return (int32_t)rint(((double)x - fmod(x, y)) / y); }

static void shrink(const tiling *t, tile_plan *plan) {
  plan->packed_rows = plan->kept_rows;
  plan->packed_columns = plan->kept_columns;
  if (t->most == 0) return;
  int64_t side = tiling_features(t);
  double ratio = sqrt((double)((int64_t)plan->kept_rows * plan->kept_columns) / (double)(t->most * side * side));
  if (ratio <= 1.1) return;
  plan->packed_rows = floor_quotient(plan->kept_rows, ratio);
  plan->packed_columns = floor_quotient(plan->kept_columns, ratio);
}

tile_plan tiling_plan(const tiling *t, int32_t width, int32_t height) {
  int32_t best = best_tiling(t, width, height);
  tile_plan plan = {.rows = t->rows[best], .columns = t->columns[best]};
  enlarge(t, width, height, &plan);
  leave_out(t, width, height, &plan);
  shrink(t, &plan);
  plan.tokens = tiling_features(t) * tiling_features(t) + plan.packed_rows * (plan.packed_columns + 1);
  return plan;
}

/* ---------------------------------------------------------------------------------------------------------------- tiles */

/* Copies what of `picture`, whose corner is at (x, y) of a tile, lies in the tile's first `side` rows and columns, which are black. */
static void copy_into_tile(const dimple_image *picture, int64_t x, int64_t y, int64_t side, uint8_t *tile) {
  int64_t left = x > 0 ? x : 0, right = x + picture->width < side ? x + picture->width : side;
  for (int64_t row = y > 0 ? y : 0; row < side && row < y + picture->height && left < right; row++)
    memcpy(tile + (row * side + left) * 3, picture->rgb + (row - y) * picture->row_stride + (left - x) * 3, (size_t)(right - left) * 3);
}

/* A resized picture that the caller frees. */
static dimple_status resized(const tiling *t, const dimple_image *image, int32_t width, int32_t height, uint8_t **rgb) {
  size_t bytes = 3 * (size_t)width * (size_t)height;
  *rgb = malloc(bytes);
  return *rgb ? image_resize(image, t->plain ? RESIZE_PIL : RESIZE_TORCH, width, height, *rgb) : dimple_fail_memory(bytes, "a picture in tiles");
}

static dimple_status whole_tile(const tiling *t, int64_t seen, const dimple_image *image, uint8_t *rgb) {
  uint8_t *small = NULL;
  dimple_status status = resized(t, image, t->side, t->side, &small);
  if (status == DIMPLE_OK) copy_into_tile(&(dimple_image){small, t->side, t->side, 3 * (int64_t)t->side}, 0, 0, seen, rgb);
  free(small);
  return status;
}

static dimple_status enlarged_tiles(const tiling *t, const tile_plan *plan, int64_t seen, const dimple_image *image, uint8_t *rgb) {
  uint8_t *large = NULL;
  dimple_status status = resized(t, image, plan->width, plan->height, &large);
  dimple_image picture = {large, plan->width, plan->height, 3 * (int64_t)plan->width};
  int64_t left = (plan->columns * t->side - plan->width) / 2, top = (plan->rows * t->side - plan->height) / 2;
  for (int32_t i = 0; status == DIMPLE_OK && i < plan->rows * plan->columns; i++) {
    int64_t x = (int64_t)(i % plan->columns) * t->side, y = (int64_t)(i / plan->columns) * t->side;
    copy_into_tile(&picture, left - x, top - y, seen, rgb + i * seen * seen * 3);
  }
  free(large);
  return status;
}

dimple_status tiling_prepare(const tiling *t, int32_t patch_size, const dimple_image *image, uint8_t *rgb) {
  tile_plan plan = tiling_plan(t, image->width, image->height);
  int64_t seen = (int64_t)t->grid * patch_size;
  memset(rgb, 0, (size_t)(tile_count(&plan) * seen * seen * 3));
  DIMPLE_TRY(whole_tile(t, seen, image, rgb));
  return enlarged_tiles(t, &plan, seen, image, rgb + seen * seen * 3);
}

/* ------------------------------------------------------------------------------------------------------------- packing */

/* The features at (row, column) of the kept ones. */
static const float *kept_at(const tiling *t, const tile_plan *plan, int32_t width, const float *features, int32_t row, int32_t column) {
  int32_t y = row + plan->top, x = column + plan->left, grid = tiling_features(t);
  int64_t tile = 1 + (int64_t)(y / grid) * plan->columns + x / grid;
  return features + ((tile * grid + y % grid) * grid + x % grid) * width;
}

/* Where sample `i` of `outputs` lies among `inputs`, centres on centres: between `low` and the one behind it, `part` of the way. */
typedef struct between {
  int32_t low, high;
  float part;
} between;

static between place_between(int32_t i, int32_t inputs, int32_t outputs) {
  float at = (float)inputs / (float)outputs * ((float)i + 0.5f) - 0.5f;
  if (at < 0) at = 0;
  int32_t low = (int32_t)at < inputs - 1 ? (int32_t)at : inputs - 1;
  return (between){low, low + 1 < inputs ? low + 1 : low, at - (float)low};
}

/* What lies between four of width numbers each (bilinear). `target` may be one of them. */
static void blend_four(const float *a, const float *b, const float *c, const float *d, float down, float across, int32_t width, float *target) {
  for (int32_t j = 0; j < width; j++)
    target[j] = (1 - down) * ((1 - across) * a[j] + across * b[j]) + down * ((1 - across) * c[j] + across * d[j]);
}

/* A token between four of the kept ones. */
static void blend(const tiling *t, const tile_plan *plan, int32_t width, const float *features, between y, between x, float *target) {
  const float *a = kept_at(t, plan, width, features, y.low, x.low), *b = kept_at(t, plan, width, features, y.low, x.high);
  const float *c = kept_at(t, plan, width, features, y.high, x.low), *d = kept_at(t, plan, width, features, y.high, x.high);
  blend_four(a, b, c, d, y.part, x.part, width, target);
}

/* Row by row and from the left, so that what a feature takes the place of is of no more use, or its own. */
void tiling_pool(const tiling *t, int32_t tiles, int32_t width, float *features) {
  int32_t side = tiling_features(t), grid = t->grid;
  float *target = features;
  for (int32_t tile = 0; tile < tiles; tile++) {
    const float *source = features + (int64_t)tile * grid * grid * width;
    for (int32_t i = 0; i < side * side; i++, target += width) {
      between y = place_between(i / side, grid, side), x = place_between(i % side, grid, side);
      const float *upper = source + (int64_t)y.low * grid * width, *lower = source + (int64_t)y.high * grid * width;
      blend_four(upper + (int64_t)x.low * width, upper + (int64_t)x.high * width, lower + (int64_t)x.low * width, lower + (int64_t)x.high * width, y.part,
                 x.part, width, target);
    }
  }
}

void tiling_pack(const tiling *t, const tile_plan *plan, int32_t width, const float *features, const uint8_t *newline, float *packed) {
  int64_t whole_size = (int64_t)tiling_features(t) * tiling_features(t) * width;
  memcpy(packed, features, (size_t)whole_size * sizeof *packed);
  packed += whole_size;
  bool shrunk = plan->packed_rows != plan->kept_rows || plan->packed_columns != plan->kept_columns;
  for (int32_t row = 0; row < plan->packed_rows; row++) {
    for (int32_t column = 0; column < plan->packed_columns; column++, packed += width) {
      if (shrunk)
        blend(t, plan, width, features, place_between(row, plan->kept_rows, plan->packed_rows),
              place_between(column, plan->kept_columns, plan->packed_columns), packed);
      else
        memcpy(packed, kept_at(t, plan, width, features, row, column), (size_t)width * sizeof *packed);
    }
    for (int32_t j = 0; j < width; j++) *packed++ = table_at(newline, j);
  }
}
