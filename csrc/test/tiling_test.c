/* Pictures in tiles beside transformers' processor (tests/reference/tilings.py) and LLaVA's own code (llada_v_goldens.py), features packed beside
 * sums done by hand, and SigLIP's keys. */
#include "vision/tiling.h"

#include <inttypes.h>
#include <stdlib.h>

#include "test/files.h"
#include "test/session_fixture.h"

static tiling tiling_of(int32_t side, int32_t patch, int32_t most) {
  tiling t = {.side = side, .grid = side / patch, .count = 36, .most = most};
  for (int32_t i = 0; i < t.count; i++) {
    t.rows[i] = 1 + i / 6;
    t.columns[i] = 1 + i % 6;
  }
  return t;
}

static uint64_t fnv(const uint8_t *bytes, size_t count) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 1099511628211u;
  return h;
}

static uint64_t hash_of_tiles(const tiling *t, int32_t patch, int32_t width, int32_t height, const tile_plan *plan) {
  size_t pixels = 3 * (size_t)width * (size_t)height, side = (size_t)(t->grid * patch), size = 3 * side * side * (size_t)tile_count(plan);
  uint8_t *rgb = malloc(pixels), *tiles = malloc(size);
  for (size_t i = 0; rgb && i < pixels; i++) rgb[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
  EXPECT_OK(tiling_prepare(t, patch, &(dimple_image){rgb, width, height, 3 * (int64_t)width}, tiles));
  uint64_t h = fnv(tiles, size);
  free(rgb);
  free(tiles);
  return h;
}

/* Of widths and heights in the order in which LLaVA's code tries them. */
static tiling plain_tiling_of(int32_t side, int32_t patch, int32_t most) {
  tiling t = tiling_of(side, patch, most);
  t.plain = true;
  for (int32_t i = 0; i < t.count; i++) {
    t.rows[i] = 1 + i % 6;
    t.columns[i] = 1 + i / 6;
  }
  return t;
}

static void plans_and_tiles_are_the_processors(const char *name, bool plain) {
  FILE *file = open_data(name);
  int32_t n[9];
  uint64_t expected;
  int lines = 0, hashed = 0;
  while (fscanf(file, "%d %d %d %d %d %d %d %d %d %" SCNx64, n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8,
                        &expected) == 10) {
    tiling t = plain ? plain_tiling_of(n[0], n[1], 4) : tiling_of(n[0], n[1], 9);
    tile_plan plan = tiling_plan(&t, n[2], n[3]);
    EXPECT(plan.rows == n[4] && plan.columns == n[5] && plan.width == n[6] && plan.height == n[7] && plan.tokens == n[8],
           "%d x %d: %d rows of %d tiles, %d x %d, %d tokens; expected %d of %d, %d x %d, %d", n[2], n[3], plan.rows, plan.columns, plan.width, plan.height,
           plan.tokens, n[4], n[5], n[6], n[7], n[8]);
    lines++;
    if (expected == 0) continue;
    hashed++;
    EXPECT(hash_of_tiles(&t, n[1], n[2], n[3], &plan) == expected, "tiles of %d pixels of %d x %d differ", n[0], n[2], n[3]);
  }
  fclose(file);
  EXPECT(lines == (plain ? 276 : 268) && hashed == 67, "%d lines, %d with tiles", lines, hashed);
}

/* Features say where they lie, so that one between others has to say what lies between their places. */
static void packed_features_are_where_they_belong(void) {
  enum { SIDE = 4, WIDE = 3 };
  static const float newline[WIDE] = {-1, -2, -3};
  for (int32_t most = 0; most < 3; most++) {
    tiling t = tiling_of(SIDE, 1, most);
    tile_plan plan = tiling_plan(&t, 24, 9); /* of 6 x 3 tiles a row of features at either end is margin */
    EXPECT(plan.rows == 3 && plan.columns == 6 && plan.top == 1 && plan.kept_rows == 10 && plan.kept_columns == 24, "%d x %d features", plan.kept_columns, plan.kept_rows);
    int32_t tiles = tile_count(&plan);
    float *features = calloc((size_t)(tiles * SIDE * SIDE * WIDE), sizeof *features);
    float *packed = calloc((size_t)(plan.tokens * WIDE), sizeof *packed);
    for (int32_t tile = 1; tile < tiles; tile++)
      for (int32_t i = 0; i < SIDE * SIDE; i++) {
        float *at = features + (tile * SIDE * SIDE + i) * WIDE;
        at[0] = (float)((tile - 1) / plan.columns * SIDE + i / SIDE);
        at[1] = (float)((tile - 1) % plan.columns * SIDE + i % SIDE);
        at[2] = 7;
      }
    tiling_pack(&t, &plan, WIDE, features, (const uint8_t *)newline, packed);
    const float *at = packed + SIDE * SIDE * WIDE;
    double down = (double)plan.kept_rows / plan.packed_rows, across = (double)plan.kept_columns / plan.packed_columns, worst = 0;
    for (int32_t row = 0; row < plan.packed_rows; row++)
      for (int32_t column = 0; column <= plan.packed_columns; column++, at += WIDE) {
        bool last = column == plan.packed_columns;
        double y = last ? newline[0] : plan.top + fmin(fmax((row + 0.5) * down - 0.5, 0), plan.kept_rows - 1);
        double x = last ? newline[1] : plan.left + fmin(fmax((column + 0.5) * across - 0.5, 0), plan.kept_columns - 1);
        worst = fmax(worst, fmax(fabs(at[0] - y), fmax(fabs(at[1] - x), fabs(at[2] - (last ? newline[2] : 7)))));
      }
    EXPECT(worst < 1e-5 && at == packed + plan.tokens * WIDE, "at most %d tiles: off by %g", most, worst);
    EXPECT((most == 0) == (plan.packed_rows == plan.kept_rows), "at most %d tiles: %d rows", most, plan.packed_rows);
    free(features);
    free(packed);
  }
}

/* Features that say where they lie, pooled: half as many a side, rounded up, each where its centre is; and the plan counts them. */
static void pooled_features_are_where_they_belong(void) {
  enum { WIDE = 2, TILES = 3 };
  for (int32_t grid = 1; grid < 8; grid++) {
    tiling t = tiling_of(grid, 1, 0);
    t.pooled = true;
    int32_t side = (grid + 1) / 2;
    float features[TILES * 49 * WIDE];
    for (int32_t i = 0; i < TILES * grid * grid; i++) {
      features[i * WIDE] = (float)(i / (grid * grid) * 100 + i % (grid * grid) / grid);
      features[i * WIDE + 1] = (float)(i % grid);
    }
    tiling_pool(&t, TILES, WIDE, features);
    double worst = 0;
    for (int32_t i = 0; i < TILES * side * side; i++) {
      double scale = (double)grid / side, y = (i % (side * side) / side + 0.5) * scale - 0.5, x = (i % side + 0.5) * scale - 0.5;
      worst = fmax(worst, fmax(fabs(features[i * WIDE] - (i / (side * side) * 100 + y)), fabs(features[i * WIDE + 1] - x)));
    }
    EXPECT(worst < 1e-4, "%d a side: off by %g", grid, worst);
    tile_plan plan = tiling_plan(&t, 2 * grid, 2 * grid);
    EXPECT(plan.rows == 2 && plan.columns == 2 && plan.tokens == side * side + 2 * side * (2 * side + 1), "%d a side: %d tokens of %d x %d", grid, plan.tokens,
           plan.rows, plan.columns);
  }
}

static void refused(const char *key, gguf_writer *w, dimple_status status, const char *message) {
  char path[64];
  dimple_model *m = NULL;
  random_model_write(w, &(model_shape){.family = FAMILY_SDAR_VL, .vision = true});
  temporary_file(w, path);
  dimple_status found = load_model(path, NULL, &m);
  EXPECT(found == status && strstr(dimple_last_error(), message) && strstr(dimple_last_error(), key), "%s: %d, %s", key, found, dimple_last_error());
  dimple_model_free(m);
  remove(path);
}

static void keys_that_are_not_right(void) {
  static const struct {
    const char *key;
    int32_t pixels[4];
    int count;
    const char *message;
  } grids[] = {{"clip.vision.image_grid_pinpoints", {TILE}, 1, "1 numbers, expected pairs"},
               {"clip.vision.image_grid_pinpoints", {TILE, TILE + 1}, 2, "has 6, expected multiples of clip.vision.image_size 5"},
               {"clip.vision.image_grid_pinpoints", {TILE, 0}, 2, "has 0"},
               {"clip.vision.image_grid_pinpoints", {TILE, -TILE}, 2, "has -5"},
               {"clip.vision.image_grid_pinpoints", {TILE, 65 * TILE}, 2, "has 325"}};
  for (size_t i = 0; i < sizeof grids / sizeof *grids; i++) {
    gguf_writer w = {0};
    gguf_writer_ints(&w, grids[i].key, grids[i].pixels, grids[i].count);
    refused(grids[i].key, &w, DIMPLE_ERROR_FORMAT, grids[i].message);
  }
  static const char *const ratios[] = {"pad", "anyres_max_", "anyres_max_0", "anyres_max_9x", "anyres_max_5000", "anyres_max_-1"};
  for (size_t i = 0; i < sizeof ratios / sizeof *ratios; i++) {
    gguf_writer w = {0};
    gguf_writer_string(&w, "clip.vision.image_aspect_ratio", ratios[i]);
    refused("clip.vision.image_aspect_ratio", &w, DIMPLE_ERROR_UNSUPPORTED, ratios[i]);
  }
  gguf_writer flat = {0}, silu = {0}, large = {0}, rules = {0}, pooled = {0};
  gguf_writer_string(&pooled, "clip.vision.mm_spatial_pool_mode", "average");
  refused("clip.vision.mm_spatial_pool_mode", &pooled, DIMPLE_ERROR_UNSUPPORTED, "\"average\", expected bilinear");
  gguf_writer_string(&rules, "clip.vision.anyres_rules", "mine");
  refused("clip.vision.anyres_rules", &rules, DIMPLE_ERROR_UNSUPPORTED, "\"mine\", expected llava or transformers");
  gguf_writer_string(&flat, "clip.vision.mm_patch_merge_type", "flat");
  refused("clip.vision.mm_patch_merge_type", &flat, DIMPLE_ERROR_UNSUPPORTED, "\"flat\", expected spatial_unpad");
  gguf_writer_bool(&silu, "clip.use_gelu", false);
  refused("clip.use_gelu", &silu, DIMPLE_ERROR_UNSUPPORTED, "expected true");
  gguf_writer_u32(&large, "clip.vision.patch_size", 1);
  gguf_writer_u32(&large, "clip.vision.image_size", 4096);
  gguf_writer_ints(&large, "clip.vision.image_grid_pinpoints", (int32_t[]){4096, 4096}, 2);
  refused("clip.vision.image_grid_pinpoints", &large, DIMPLE_ERROR_FORMAT, "no more than");
}

/* Any size is taken, its placeholders are as many as its tokens, and a picture's grid says what its preparation gives. */
static void every_size_is_taken(model_family family) {
  dimple_model *m = random_model((model_shape){.family = family, .vision = true});
  if (!m) return;
  static const int32_t sizes[][2] = {{1, 1}, {5, 5}, {9, 4}, {100, 2}, {2, 100}, {10, 10}, {37, 29}};
  dimple_session *s = open_session(m, 1, 1);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    static uint8_t rgb[3 * 1100];
    dimple_image image = {rgb, sizes[i][0], sizes[i][1], 3 * (int64_t)sizes[i][0]};
    dimple_image_grid grid = {0};
    EXPECT_OK(dimple_model_get_image_grid(m, image.width, image.height, &grid));
    EXPECT(grid.resized_width == 4 && grid.columns == 2 && grid.rows * PATCH == grid.resized_height && grid.tokens < CONTEXT - 2, "%d x %d", image.width,
           image.height);
    int32_t tokens[CONTEXT];
    for (int32_t k = 0; k < grid.tokens + 2; k++) tokens[k] = k < grid.tokens ? IMAGE : 5;
    float features[CONTEXT * WIDTH], patches[3 * 2 * 2 * 2 * 10];
    EXPECT_OK(dimple_session_set_prompt(s, tokens, grid.tokens + 2, &image, 1));
    EXPECT_OK(dimple_session_get_image_features(s, features, (int64_t)grid.tokens * WIDTH));
    for (int32_t k = 0; k < grid.tokens * WIDTH; k++) EXPECT(isfinite(features[k]), "%d x %d: feature %d", image.width, image.height, k);
    EXPECT_OK(dimple_model_preprocess(m, &image, patches, (int64_t)grid.rows * grid.columns * 12, NULL));
  }
  dimple_image_grid grid;
  EXPECT_FAILS(dimple_model_get_image_grid(m, 0, 5, &grid), DIMPLE_ERROR_ARGUMENT, "0 x 5 pixels");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(void) {
  plans_and_tiles_are_the_processors("tilings.txt", false);
  plans_and_tiles_are_the_processors("tilings_llava.txt", true);
  packed_features_are_where_they_belong();
  pooled_features_are_where_they_belong();
  if (fixture_open()) {
    keys_that_are_not_right();
    every_size_is_taken(FAMILY_SDAR_VL);
    every_size_is_taken(FAMILY_LLADA_V);
    every_size_is_taken(FAMILY_LAVIDA_DREAM);
  }
  fixture_close();
  return expect_summary("tiling");
}
