/* Prompts and the pictures in them: tokens, lengths, placeholders, and what is refused. */
#include "test/session_fixture.h"

static void wrong_tokens_and_lengths(void) {
  int32_t many[CONTEXT + 1];
  for (int i = 0; i <= CONTEXT; i++) many[i] = 1;
  dimple_session *s = open_session(text_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt_tokens, 0, NULL, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt_tokens, -1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){1, VOCAB}, 2, NULL, 0), DIMPLE_ERROR_ARGUMENT, "token 1 of the prompt is 96");
  EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){-1}, 1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "is -1");
  EXPECT_FAILS(dimple_session_set_prompt(s, many, CONTEXT + 1, NULL, 0), DIMPLE_ERROR_LIMIT, "64");
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 0), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_response(s, many, -5), DIMPLE_ERROR_ARGUMENT, "at least 1");
  EXPECT_FAILS(dimple_session_set_response(s, (int32_t[]){MASK, VOCAB}, 2), DIMPLE_ERROR_ARGUMENT, "token 1 of the response is 96");
  EXPECT_FAILS(dimple_session_set_response(s, many, CONTEXT - PROMPT + 1), DIMPLE_ERROR_LIMIT, "64");
  set_masks(s, CONTEXT - PROMPT);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  outcome o = decode(s, &d);
  EXPECT(o.remaining == 0, "%d left of a full context", o.remaining);
  dimple_session_free(s);

  EXPECT_OK(dimple_session_create(text_model, &(dimple_session_options){.context_length = 10}, &s));
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 4), DIMPLE_ERROR_LIMIT, "10");
  EXPECT_OK(dimple_session_set_response(s, many, 3));
  dimple_session_free(s);

  dimple_model *m = random_model((model_shape){.missing = "tokenizer.ggml.mask_token_id"});
  s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_set_response(s, many, 3), DIMPLE_ERROR_UNSUPPORTED, "mask");
  dimple_session_free(s);
  dimple_model_free(m);
}

static void wrong_images(void) {
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  dimple_image image = picture(), two[2] = {image, image};
  dimple_session *s = open_session(vision_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, NULL, 0), DIMPLE_ERROR_ARGUMENT, "placeholder");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, two, 2), DIMPLE_ERROR_ARGUMENT, "2 images");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, -1), DIMPLE_ERROR_ARGUMENT, "-1");
  EXPECT_FAILS(dimple_session_set_prompt(s, prompt_tokens, PROMPT, &image, 1), DIMPLE_ERROR_ARGUMENT, "placeholder");
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, 2 + PICTURE_TOKENS - 1, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
  tokens[2 + PICTURE_TOKENS] = IMAGE;
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "placeholder");
  count = picture_prompt(tokens);
  tokens[5] = 1; /* a gap */
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
  count = picture_prompt(tokens);
  static const struct {
    int32_t width, height;
    int64_t stride;
    const char *text;
  } bad[] = {{0, 8, 48, "0 x 8"}, {16, -1, 48, "16 x -1"}, {16, 8, 47, "row_stride is 47"}, {16, 8, -48, "row_stride is -48"},
             {3, 8, 48, "3 x 8"}, {16, 3, 48, "16 x 3"}, {INT32_MAX, 4, 3LL * INT32_MAX, "aspect ratio"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    dimple_image wrong = {picture_bytes, bad[i].width, bad[i].height, bad[i].stride};
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &wrong, 1), DIMPLE_ERROR_ARGUMENT, bad[i].text);
  }
  image.rgb = NULL;
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_ARGUMENT, "null");
  dimple_session_free(s);

  image = picture();
  dimple_image_grid grid;
  s = open_session(text_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &image, 1), DIMPLE_ERROR_UNSUPPORTED, "vision");
  EXPECT_FAILS(dimple_model_get_image_grid(text_model, 16, 8, &grid), DIMPLE_ERROR_UNSUPPORTED, "vision");
  /* Without a tower the placeholder is a word like any other. */
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, NULL, 0));
  dimple_session_free(s);
}

/* "When it is not DIMPLE_OK, nothing was changed": a refused prompt or response leaves the decoding under way alone. */
static void refusals_change_nothing(void) {
  dimple_session *s = picture_session(vision_model, 1, 1), *untouched = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome expected = decode(untouched, &d), o = fresh_outcome();
  int32_t tokens[CONTEXT], count = picture_prompt(tokens), kind = DIMPLE_DRAW_UNIFORM, length = 1;
  dimple_image image = picture(), small = {picture_bytes, 3, 8, 9};
  dimple_decoding bad = d;
  bad.steps = 0;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    EXPECT_FAILS(dimple_session_set_prompt(s, (int32_t[]){VOCAB}, 1, NULL, 0), DIMPLE_ERROR_ARGUMENT, "96");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, &small, 1), DIMPLE_ERROR_ARGUMENT, "3 x 8");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count - 5, &image, 1), DIMPLE_ERROR_ARGUMENT, "8 placeholders");
    EXPECT_FAILS(dimple_session_set_prompt(s, tokens, count, NULL, 0), DIMPLE_ERROR_ARGUMENT, "placeholder");
    EXPECT_FAILS(dimple_session_set_response(s, (int32_t[]){VOCAB}, 1), DIMPLE_ERROR_ARGUMENT, "96");
    EXPECT_FAILS(dimple_session_begin(s, &bad), DIMPLE_ERROR_ARGUMENT, "steps is 0");
    EXPECT_FAILS(dimple_session_replay_draws(s, &kind, &length, 1, &(double){2}, 1), DIMPLE_ERROR_ARGUMENT, "record 0");
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) break;
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "refused calls changed the result");
  dimple_session_free(s);
  dimple_session_free(untouched);
}

static void shortest_prompt_and_response(void) {
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = open_session(text_model, 1, prefill);
    EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, 1, NULL, 0));
    set_masks(s, 1);
    for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
      dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_MASKGIT_PLUS);
      d.steps = 3;
      outcome o = decode(s, &d);
      EXPECT(o.remaining == 0 && o.iterations == (pipeline ? 3 : 1), "%d iterations", o.iterations);
    }
    dimple_session_free(s);
  }
}

int main(void) {
  if (fixture_open()) {
    wrong_tokens_and_lengths();
    wrong_images();
    refusals_change_nothing();
    shortest_prompt_and_response();
  }
  fixture_close();
  return expect_summary("prompt");
}
