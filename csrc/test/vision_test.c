/* Pictures as the model sees them, and a vision tower in a file of its own. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The tower may lie in a file of its own. */
static void separate_vision_file(void) {
  char text_path[64], vision_path[64];
  dimple_model *m = NULL;
  random_model_save(&(model_shape){0}, text_path);
  random_model_save(&(model_shape){.mmproj = true}, vision_path);
  EXPECT_OK(load_model(text_path, vision_path, &m));
  unlink(text_path);
  unlink(vision_path);
  dimple_session *s = picture_session(m, 1, 1), *t = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome a = decode(s, &d), b = decode(t, &d);
  EXPECT(same_outcome(&a, &b), "one file or two: another result");
  dimple_session_free(s);
  dimple_session_free(t);
  dimple_model_free(m);
}

int main(void) {
  if (fixture_open()) {
    pictures_are_seen();
    separate_vision_file();
  }
  fixture_close();
  return expect_summary("vision");
}
