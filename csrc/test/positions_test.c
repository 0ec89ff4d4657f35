/* Where prompt and response stand: the three coordinates of words, pictures and what follows them. */
#include "diffusion/prompt.h"
#include "test/session_fixture.h"

enum { BEHIND = 4, ALL = PICTURE_PROMPT + BEHIND };

static void expect_positions(const int32_t *found, const int32_t *expected, const char *coordinate) {
  for (int32_t i = 0; i < ALL; i++) EXPECT(found[i] == expected[i], "%s %d is %d, not %d", coordinate, i, found[i], expected[i]);
}

/* The picture, 2 rows of 4 tokens, starts at 2 and takes as much as its longer side. */
static void a_picture_takes_its_longer_side(void) {
  static const int32_t time[ALL] = {0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 6, 7, 8, 9, 10, 11, 12};
  static const int32_t row[ALL] = {0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 6, 7, 8, 9, 10, 11, 12};
  static const int32_t column[ALL] = {0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  int32_t tokens[CONTEXT], count = picture_prompt(tokens), positions[3 * ALL];
  dimple_image image = picture();
  prompt p;
  EXPECT_OK(prompt_create(vision_model, tokens, count, &image, 1, &p));
  EXPECT(p.length == PICTURE_PROMPT && p.next_position == 9, "%d tokens, then %d", p.length, p.next_position);
  EXPECT(p.feature_count == PICTURE_TOKENS && p.feature_rows[0] == 2 && p.feature_rows[PICTURE_TOKENS - 1] == 9, "placeholders");
  prompt_positions(&p, BEHIND, positions);
  expect_positions(positions, time, "time");
  expect_positions(positions + ALL, row, "row");
  expect_positions(positions + 2 * ALL, column, "column");
  prompt_free(&p);
  EXPECT(p.length == 0 && p.images == NULL, "nothing is left");
}

/* Without a tower a placeholder is a word. */
static void words_go_one_by_one(void) {
  int32_t tokens[CONTEXT], count = picture_prompt(tokens), positions[3 * ALL];
  prompt p;
  EXPECT_OK(prompt_create(text_model, tokens, count, NULL, 0, &p));
  EXPECT(p.feature_count == 0 && p.image_time == 0, "%d placeholders", (int)p.feature_count);
  prompt_positions(&p, BEHIND, positions);
  for (int32_t i = 0; i < 3 * ALL; i++) EXPECT(positions[i] == i % ALL, "%d is %d", i, positions[i]);
  prompt_positions(&p, 0, positions);
  for (int32_t i = 0; i < 3 * PICTURE_PROMPT; i++) EXPECT(positions[i] == i % PICTURE_PROMPT, "%d is %d", i, positions[i]);
  prompt_free(&p);
}

/* What could not be made is not there. */
static void a_refused_prompt_leaves_the_old_one(void) {
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  dimple_image image = picture(), small = {picture_bytes, 3, 8, 9};
  prompt p;
  EXPECT_OK(prompt_create(vision_model, tokens, count, &image, 1, &p));
  prompt before = p;
  EXPECT_FAILS(prompt_create(vision_model, tokens, count, &small, 1, &p), DIMPLE_ERROR_ARGUMENT, "3 x 8");
  EXPECT_FAILS(prompt_create(vision_model, tokens, count - 5, &image, 1, &p), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
  EXPECT(memcmp(&before, &p, sizeof p) == 0, "the old one was touched");
  prompt_free(&p);
}

int main(void) {
  if (fixture_open()) {
    a_picture_takes_its_longer_side();
    words_go_one_by_one();
    a_refused_prompt_leaves_the_old_one();
  }
  fixture_close();
  return expect_summary("positions");
}
