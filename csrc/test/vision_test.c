/* Pictures as the model sees them, their preparation, and a vision tower in a file of its own. */
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

static void pictures_are_seen(void) {
  float features[2][PICTURE_TOKENS * WIDTH];
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  float *z[2];
  for (int i = 0; i < 2; i++) {
    dimple_session *s = open_session(vision_model, 1, 1);
    dimple_image image = picture();
    picture_bytes[100] ^= (uint8_t)(i << 7);
    EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, 1));
    memset(picture_bytes, 0, sizeof picture_bytes); /* the session has its own copy */
    EXPECT_OK(dimple_session_get_image_features(s, features[i], PICTURE_TOKENS * WIDTH));
    z[i] = logits_of(s, count);
    dimple_session_free(s);
  }
  EXPECT(memcmp(features[0], features[1], sizeof features[0]) != 0, "one pixel changes no feature");
  EXPECT(memcmp(z[0], z[1], (size_t)count * VOCAB * sizeof(float)) != 0, "one pixel changes no logit");
  free(z[0]);
  free(z[1]);
}

/* Features that a session gave serve another one as if its own tower had run. */
static void features_are_given(void) {
  float features[PICTURE_TOKENS * WIDTH], again[PICTURE_TOKENS * WIDTH];
  const int64_t count = PICTURE_TOKENS * WIDTH;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  dimple_session *s = picture_session(vision_model, 1, 1), *t = picture_session(vision_model, 1, 1);
  outcome expected = decode(s, &d);
  EXPECT_OK(dimple_session_get_image_features(s, features, count));
  for (int i = 0; i < 2; i++) { /* before the prefill, and after it */
    EXPECT_OK(dimple_session_set_image_features(t, features, count));
    outcome given = decode(t, &d);
    EXPECT(same_outcome(&given, &expected), "another result");
  }
  EXPECT_OK(dimple_session_get_image_features(t, again, count));
  EXPECT(memcmp(features, again, sizeof again) == 0, "other features than were given");
  memset(again, 0, sizeof again);
  EXPECT_OK(dimple_session_set_image_features(t, again, count));
  outcome blind = decode(t, &d);
  EXPECT(!same_outcome(&blind, &expected), "the features given do not matter");
  EXPECT_FAILS(dimple_session_set_image_features(t, features, 7), DIMPLE_ERROR_ARGUMENT, "count is 7");
  EXPECT_FAILS(dimple_session_set_image_features(t, NULL, count), DIMPLE_ERROR_ARGUMENT, "count is");
  again[5] = NAN;
  EXPECT_FAILS(dimple_session_set_image_features(t, again, count), DIMPLE_ERROR_ARGUMENT, "number 5 is nan");
  dimple_session *u = open_session(vision_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_image_features(u, features, count), DIMPLE_ERROR_STATE, "no prompt");
  dimple_session_free(u);
  dimple_session_free(t);
  dimple_session_free(s);
}

/* The tower may lie in a file of its own. */
static void separate_vision_file(void) {
  char text_path[64], vision_path[64];
  dimple_model *m = NULL;
  random_model_save(&(model_shape){0}, text_path);
  random_model_save(&(model_shape){.mmproj = true}, vision_path);
  EXPECT_OK(load_model(text_path, vision_path, &m));
  remove(text_path);
  remove(vision_path);
  dimple_session *s = picture_session(m, 1, 1), *t = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome a = decode(s, &d), b = decode(t, &d);
  EXPECT(same_outcome(&a, &b), "one file or two: another result");
  dimple_session_free(s);
  dimple_session_free(t);
  dimple_model_free(m);
}

/* The picture has a size that stays, so its patches are its pixels, normalised: [patch][channel][frame][row][column]. */
static void preprocessing(void) {
  enum { PATCHES = PICTURE_WIDTH * PICTURE_HEIGHT / (PATCH * PATCH), LENGTH = 3 * 2 * PATCH * PATCH };
  float patches[PATCHES * LENGTH], again[PATCHES * LENGTH];
  uint8_t resized[sizeof picture_bytes];
  dimple_image image = picture();
  dimple_image_grid grid = {0};
  EXPECT_OK(dimple_model_get_image_grid(vision_model, PICTURE_WIDTH, PICTURE_HEIGHT, &grid));
  EXPECT(grid.rows * grid.columns == PATCHES && grid.tokens == PICTURE_TOKENS, "%d x %d patches", grid.rows, grid.columns);
  EXPECT_OK(dimple_model_preprocess(vision_model, &image, patches, PATCHES * LENGTH, resized));
  EXPECT(memcmp(resized, picture_bytes, sizeof resized) == 0, "the picture was resized");
  EXPECT_OK(dimple_model_preprocess(vision_model, &image, again, PATCHES * LENGTH, NULL));
  EXPECT(memcmp(patches, again, sizeof patches) == 0, "without the resized picture the patches differ");
  for (int frame = 0; frame < 2; frame++) {
    float expected = (picture_bytes[1] / 255.0f - 0.4578275f) / 0.26130258f, found = patches[(2 + frame) * PATCH * PATCH];
    EXPECT(fabsf(found - expected) < 1e-5f, "green at the top left in frame %d: %g, not %g", frame, (double)found, (double)expected);
  }
  EXPECT_FAILS(dimple_model_preprocess(vision_model, &image, patches, PATCHES * LENGTH - 1, NULL), DIMPLE_ERROR_ARGUMENT, "count is 767, expected 768");
  EXPECT_FAILS(dimple_model_preprocess(text_model, &image, patches, PATCHES * LENGTH, NULL), DIMPLE_ERROR_UNSUPPORTED, "no vision tower");
  image.row_stride = 1;
  EXPECT_FAILS(dimple_model_preprocess(vision_model, &image, patches, PATCHES * LENGTH, NULL), DIMPLE_ERROR_ARGUMENT, "row_stride");
  image = (dimple_image){picture_bytes, 3, 3, 9};
  EXPECT_FAILS(dimple_model_preprocess(vision_model, &image, patches, PATCHES * LENGTH, NULL), DIMPLE_ERROR_ARGUMENT, "3 x 3");
}

/* Also of towers that take a picture of any shape. */
static void sizes_that_no_picture_has(void) {
  static const int32_t sizes[][2] = {{0, 0}, {0, 5}, {5, 0}, {-3, -2}, {-5, 5}, {5, INT32_MIN}};
  dimple_model *m = random_model((model_shape){.family = FAMILY_DREAM_VL, .vision = true});
  dimple_image_grid grid = {.tokens = 7};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    EXPECT_FAILS(dimple_model_get_image_grid(m, sizes[i][0], sizes[i][1], &grid), DIMPLE_ERROR_ARGUMENT, "pixels, expected at least one");
  EXPECT(grid.tokens == 7, "%d tokens", grid.tokens);
  dimple_model_free(m);
}

int main(void) {
  if (fixture_open()) {
    pictures_are_seen();
    features_are_given();
    separate_vision_file();
    preprocessing();
    sizes_that_no_picture_has();
  }
  fixture_close();
  return expect_summary("vision");
}
