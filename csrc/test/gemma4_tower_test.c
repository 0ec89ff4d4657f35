/* Gemma 4's vision tower: features beside those of the formulas (data/make_gemma4_tower.py), with and without bounds and standardising, the
 * sizes of pictures, and files that are not right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

enum { TOWERS = 3, MAX_SIDE = 64 };

typedef struct tower_case {
  int32_t unit, columns, rows; /* pixels of a token's side; tokens of the picture */
} tower_case;

static const tower_case cases[TOWERS] = {{12, 3, 2}, {6, 2, 4}, {6, 4, 1}};

static void data_path(int n, const char *suffix, char path[512]) {
  snprintf(path, 512, "%s/gemma4_tower_%d.%s", DIMPLE_TEST_DATA, n, suffix);
}

/* A text model that takes pictures, the width of which is what the towers give. */
static dimple_model *model_with_tower(const char *tower) {
  char text[64];
  gguf_writer w = {0};
  gguf_writer_u32(&w, "dream.image_token_id", IMAGE);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
  temporary_file(&w, text);
  dimple_model *m = NULL;
  EXPECT_OK(load_model(text, tower, &m));
  remove(text);
  return m;
}

static void fill(uint8_t *rgb, int32_t count) {
  for (int32_t i = 0; i < count; i++) rgb[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
}

static void features_are_those_of_the_formulas(void) {
  for (int n = 0; n < TOWERS; n++) {
    const tower_case *t = &cases[n];
    char path[512];
    data_path(n, "gguf", path);
    dimple_model *m = model_with_tower(path);
    if (!m) continue;
    int32_t width = t->unit * t->columns, height = t->unit * t->rows, count = t->rows * t->columns;
    uint8_t *rgb = malloc((size_t)(3 * width * height));
    int32_t tokens[CONTEXT];
    float found[CONTEXT * WIDTH], expected[CONTEXT * WIDTH];
    if (rgb) fill(rgb, 3 * width * height);
    for (int32_t i = 0; i < count + 2; i++) tokens[i] = i == 0 || i > count ? 5 : IMAGE;
    data_path(n, "bin", path);
    FILE *file = fopen(path, "rb");
    size_t read = file ? fread(expected, sizeof(float), (size_t)(count * WIDTH), file) : 0;
    if (file) fclose(file);
    EXPECT(rgb && read == (size_t)(count * WIDTH), "%s: %zu numbers", path, read);
    dimple_session *s = open_session(m, 2, 1);
    dimple_image image = {rgb, width, height, 3 * width};
    EXPECT_OK(dimple_session_set_prompt(s, tokens, count + 2, &image, 1));
    EXPECT_OK(dimple_session_get_image_features(s, found, (int64_t)count * WIDTH));
    double worst = 0;
    for (int32_t i = 0; i < count * WIDTH; i++) worst = fmax(worst, fabs((double)found[i] - expected[i]));
    EXPECT(worst < 2e-5, "tower %d: off by %g", n, worst);
    free(logits_of(s, count + 2)); /* and the text model takes them */
    dimple_session_free(s);
    dimple_model_free(m);
    free(rgb);
  }
}

/* What Gemma4ImageProcessor's rule makes of sizes: columns and rows of tokens of 12 pixels, of which six fit. */
static void sizes(void) {
  static const int32_t expected[][4] = {{36, 24, 3, 2}, {24, 36, 2, 3}, {72, 48, 3, 2}, {9, 6, 3, 2}, {100, 100, 2, 2}, {1, 1, 2, 2},
                                        {300, 24, 6, 1}, {24, 300, 1, 6}, {20, 19, 2, 2}, {1000, 40, 6, 1}, {36, 13, 4, 1}};
  char path[512];
  data_path(0, "gguf", path);
  dimple_model *m = model_with_tower(path);
  for (size_t i = 0; m && i < sizeof expected / sizeof *expected; i++) {
    const int32_t *e = expected[i];
    dimple_image_grid grid = {0};
    EXPECT_OK(dimple_model_get_image_grid(m, e[0], e[1], &grid));
    EXPECT(grid.resized_width == 12 * e[2] && grid.resized_height == 12 * e[3] && grid.columns == 3 * e[2] && grid.rows == 3 * e[3] &&
               grid.tokens == e[2] * e[3], "%d x %d: %d x %d pixels, %d tokens", e[0], e[1], grid.resized_width, grid.resized_height, grid.tokens);
  }
  dimple_image_grid none;
  EXPECT_FAILS(dimple_model_get_image_grid(m, 0, 0, &none), DIMPLE_ERROR_ARGUMENT, "a picture of 0 x 0 pixels, expected at least one");
  EXPECT_FAILS(dimple_model_get_image_grid(m, -5, 5, &none), DIMPLE_ERROR_ARGUMENT, "a picture of -5 x 5 pixels, expected at least one");
  dimple_model_free(m);
}

/* A key of the tower's file under another name, or another length of a tensor's: bytes in place. */
static void refused(const char *what, const char *from, const char *to, dimple_status status, const char *message) {
  char path[512], text[64], damaged[64];
  data_path(1, "gguf", path);
  FILE *file = fopen(path, "rb");
  gguf_bytes bytes = {0};
  uint8_t part[4096];
  for (size_t n; file && (n = fread(part, 1, sizeof part, file)) > 0;) gguf_put(&bytes, part, n);
  if (file) fclose(file);
  size_t length = strlen(from), at = 0;
  while (at + length < bytes.size && memcmp(bytes.data + at, from, length) != 0) at++;
  EXPECT(at + length < bytes.size, "%s is not there", from);
  memcpy(bytes.data + at, to, length);
  gguf_writer w = {0};
  temporary_file(&w, damaged);
  file = fopen(damaged, "wb");
  EXPECT(file && fwrite(bytes.data, 1, bytes.size, file) == bytes.size && fclose(file) == 0, "%s is not written", damaged);
  gguf_bytes_free(&bytes);
  gguf_writer_u32(&w, "dream.image_token_id", IMAGE);
  random_model_write(&w, &(model_shape){.family = FAMILY_DREAM});
  temporary_file(&w, text);
  dimple_model *m = NULL;
  dimple_status found = load_model(text, damaged, &m);
  EXPECT(found == status && strstr(dimple_last_error(), message), "%s: %d, %s", what, found, dimple_last_error());
  dimple_model_free(m);
  remove(text);
  remove(damaged);
}

static void damaged_files(void) {
  refused("no bound above", "v.blk.0.attn_q.input_max", "v.blk.0.attn_q.input_mux", DIMPLE_ERROR_FORMAT, "v.blk.0.attn_q.input_max");
  refused("bounds that nobody reads", "v.blk.1.ffn_up.input_min", "v.blk.1.ffn_up.input_mun", DIMPLE_ERROR_UNSUPPORTED, "v.blk.1.ffn_up.input_m");
  refused("no scale", "v.std_scale", "v.std_scole", DIMPLE_ERROR_FORMAT, "v.std_scale");
  refused("no norm behind attention", "v.blk.1.attn_post_norm", "v.blk.1.attn_past_norm", DIMPLE_ERROR_FORMAT, "v.blk.1.attn_post_norm.weight");
  refused("another tower", "gemma4v", "gemma5v", DIMPLE_ERROR_UNSUPPORTED, "\"gemma5v\", expected qwen2.5vl_merger, qwen2vl_merger, gemma4v or mlp");
  refused("no patch size", "clip.vision.patch_size", "clip.vision.putch_size", DIMPLE_ERROR_FORMAT, "clip.vision.patch_size");
}

/* Of a picture with more patches on a side than the tables have rows. */
static void beyond_the_table(void) {
  char path[512];
  data_path(1, "gguf", path);
  dimple_model *m = model_with_tower(path);
  if (!m) return;
  enum { SIDE = 64 };
  static uint8_t rgb[3 * SIDE];
  int32_t tokens[10] = {IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, 5, 5};
  float features[8 * WIDTH];
  dimple_session *s = open_session(m, 1, 1);
  dimple_image image = {rgb, SIDE, 1, 3 * SIDE};
  EXPECT_OK(dimple_session_set_prompt(s, tokens, 10, &image, 1));
  EXPECT_FAILS(dimple_session_get_image_features(s, features, 8 * WIDTH), DIMPLE_ERROR_ARGUMENT, "16 x 2 patches: the vision tower knows 9");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(void) {
  if (fixture_open()) {
    features_are_those_of_the_formulas();
    sizes();
    damaged_files();
    beyond_the_table();
  }
  fixture_close();
  return expect_summary("gemma4 tower");
}
