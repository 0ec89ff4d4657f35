/*
 * Blocks that are edited: what goes out, what comes in, where all of it stands afterwards, and when a block is over. That decisions and logits are the authors' is
 * Llada2ConformanceTest's.
 */
#include <string.h>

#include "diffusion/session.h"
#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

enum { LONG = 17, GIVEN = 21, POST = 3 }; /* PROMPT + LONG: whole blocks */

static dimple_model *model;

static dimple_decoding llada22(float threshold, float editing, int32_t post) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA22, DIMPLE_ALGORITHM_TOKEN_EDITING);
  d.threshold = threshold;
  d.editing_threshold = editing;
  d.max_post_steps = post;
  return d;
}

/* `given` tokens, and masks behind them. */
static dimple_session *session_of(const int32_t *prompt, int32_t prompt_length, int32_t length, int32_t given, int32_t threads) {
  int32_t response[CONTEXT];
  dimple_session *s = open_session(model, threads, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt, prompt_length, NULL, 0));
  for (int32_t i = 0; i < length; i++) response[i] = i < given ? GIVEN : MASK;
  EXPECT_OK(dimple_session_set_response(s, response, length));
  return s;
}

/* What a step says of a canvas, and what has become of it. */
static void check_step(const int32_t *before, int32_t length, int32_t settled, const dimple_step *step) {
  bool revealed[CONTEXT] = {false};
  for (int32_t i = 0; i < step->revealed_count; i++) revealed[step->revealed[i]] = true;
  EXPECT(step->canvas_length == length, "%d positions of %d", step->canvas_length, length);
  for (int32_t i = 0, last = -1; i < length; i++) {
    int32_t from = step->origins ? step->origins[i] : i;
    EXPECT(step->canvas[i] != DELETE && step->canvas[i] != SPLIT, "position %d holds token %d", i, step->canvas[i]);
    EXPECT(from < length && (from < 0 ? step->canvas[i] == MASK : from > last), "position %d was at %d", i, from);
    EXPECT(i >= settled || from == i, "position %d of %d settled ones was at %d", i, settled, from);
    if (from >= 0) last = from;
    bool changed = from >= 0 && before[from] != step->canvas[i];
    EXPECT(changed == revealed[i], "position %d: changed %d, said %d", i, changed, revealed[i]);
  }
}

typedef struct run {
  int32_t tokens[CONTEXT];
  int32_t iterations, moves, most; /* iterations that moved positions, and of one block at most */
} run;

static run decode_with(dimple_session *s, const dimple_decoding *d, int32_t length, int32_t token, float bias) {
  run r = {0};
  dimple_step step = {0};
  int32_t settled = 0, block = -1, of_block = 0;
  EXPECT_OK(dimple_session_begin(s, d));
  if (bias != 0) EXPECT_OK(dimple_session_set_bias(s, &token, &bias, 1));
  for (int32_t i = 0; i < length; i++) r.tokens[i] = s->canvas.tokens[i];
  while (!step.done && r.iterations < 500) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
    if (status != DIMPLE_OK) break;
    check_step(r.tokens, length, settled, &step);
    settled = step.settled;
    of_block = step.block == block ? of_block + 1 : 1;
    block = step.block;
    if (of_block > r.most) r.most = of_block;
    r.moves += step.origins != NULL;
    r.iterations++;
    memcpy(r.tokens, step.canvas, (size_t)length * sizeof *r.tokens);
  }
  EXPECT(step.done && step.remaining == 0, "%d left after %d iterations", step.remaining, r.iterations);
  return r;
}

static void blocks_are_edited_and_end(void) {
  static const struct {
    int32_t token;
    float bias;
    int32_t post, given;
  } cases[] = {{DELETE, 60000, POST, 0}, {SPLIT, 60000, POST, 0}, {DELETE, 60000, 0, 3}, {SPLIT, 60000, 0, 1}, {DELETE, 3, POST, 2}, {SPLIT, 3, POST, 0},
               {SPLIT, 3, 0, 5}, {DELETE, 3, 12, 0}, {EOS, -60000, POST, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (int32_t strict = 0; strict < 2; strict++) {
      dimple_session *s = session_of(prompt_tokens, PROMPT, LONG, cases[i].given, 1), *t = session_of(prompt_tokens, PROMPT, LONG, cases[i].given, 3);
      dimple_decoding d = llada22(strict ? 0.5f : 0.05f, strict ? 0.1f : 0, cases[i].post);
      run a = decode_with(s, &d, LONG, cases[i].token, cases[i].bias), b = decode_with(t, &d, LONG, cases[i].token, cases[i].bias),
          again = decode_with(s, &d, LONG, cases[i].token, cases[i].bias);
      EXPECT(memcmp(&a, &b, sizeof a) == 0, "case %zu: threads matter", i);
      EXPECT(memcmp(&a, &again, sizeof a) == 0, "case %zu: another decoding of the same", i);
      EXPECT(a.most <= BLOCK + cases[i].post + 1, "case %zu: %d iterations of a block", i, a.most);
      EXPECT(cases[i].bias < 100 || cases[i].post == 0 || a.moves > 0, "case %zu: nothing moves", i);
      for (int32_t k = 0; k < cases[i].given; k++) EXPECT(a.tokens[k] == GIVEN, "case %zu: a given token is %d", i, a.tokens[k]);
      dimple_session_free(s);
      dimple_session_free(t);
    }
  }
}

/* Every position is to be split: the first pass reveals the surest one alone. */
static void a_split_has_a_mask_before_it(void) {
  dimple_session *s = session_of(prompt_tokens, PROMPT, LONG, 1, 1); /* the prompt leaves the first block one position, which is given */
  dimple_decoding d = llada22(1, 1, POST);
  float much = 60000;
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){SPLIT}, &much, 1));
  EXPECT_OK(dimple_session_step(s, &step));
  int32_t came_in = 0;
  for (int32_t i = 0; i < LONG && step.origins; i++) came_in += step.origins[i] < 0;
  EXPECT(step.origins && came_in == 1 && step.revealed_count == 0 && step.remaining == LONG - 1, "%d came in, %d masks", came_in, step.remaining);
  dimple_session_free(s);
}

/* What has been decoded, given as a prompt, goes on in the same way. */
static void kept_blocks_are_exact(void) {
  dimple_decoding d = llada22(0.05f, 0.05f, POST);
  dimple_session *s = session_of(prompt_tokens, PROMPT, LONG, 0, 1);
  run whole = decode_with(s, &d, LONG, EOS, -60000);
  for (int32_t done = 1; done < LONG; done += BLOCK) {
    int32_t prompt[CONTEXT];
    memcpy(prompt, prompt_tokens, PROMPT * sizeof *prompt);
    memcpy(prompt + PROMPT, whole.tokens, (size_t)done * sizeof *prompt);
    dimple_session *t = session_of(prompt, PROMPT + done, LONG - done, 0, 1);
    run rest = decode_with(t, &d, LONG - done, EOS, -60000);
    EXPECT(memcmp(rest.tokens, whole.tokens + done, (size_t)(LONG - done) * sizeof *prompt) == 0, "behind %d tokens others come", done);
    dimple_session_free(t);
  }
  dimple_session_free(s);
}

static void other_settings_are_refused(void) {
  int32_t response[LONG];
  for (int32_t i = 0; i < LONG; i++) response[i] = i == 9 ? GIVEN : MASK;
  dimple_session *s = session_of(prompt_tokens, PROMPT, LONG, 0, 1), *t = text_session(text_model, 1, 1);
  dimple_decoding d = llada22(0.5f, 0, POST), other = decoding_of(DIMPLE_PIPELINE_LLADA2, DIMPLE_ALGORITHM_TOKEN_EDITING);
  dimple_step step;
  EXPECT_FAILS(dimple_session_begin(t, &d), DIMPLE_ERROR_UNSUPPORTED, "pipeline llada22 needs a model with tokens that delete and split");
  EXPECT_FAILS(dimple_session_begin(s, &other), DIMPLE_ERROR_UNSUPPORTED, "two of this one delete and split, which pipeline llada22 decodes");
  d.block_length = 3;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "block_length is 3, expected a multiple of 2");
  d.block_length = 0;
  d.temperature = 1;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "temperature does not go with pipeline llada22");
  d.temperature = 0;
  d.algorithm = DIMPLE_ALGORITHM_LOW_CONFIDENCE_DYNAMIC;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "low_confidence_dynamic (14) with pipeline llada22");
  d.algorithm = DIMPLE_ALGORITHM_TOKEN_EDITING;
  EXPECT_OK(dimple_session_set_response(s, response, LONG));
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "position 9 of the response is given, expected given tokens at its beginning alone");
  response[9] = MASK;
  EXPECT_OK(dimple_session_set_response(s, response, LONG));
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_look(s, &(dimple_candidates){0}), DIMPLE_ERROR_UNSUPPORTED, "algorithm token_editing decides by itself");
  EXPECT_OK(dimple_session_step(s, &step));
  dimple_session_free(s);
  dimple_session_free(t);
}

int main(void) {
  model = random_model((model_shape){.family = FAMILY_LLADA22});
  if (!model || !fixture_open()) return expect_summary("llada22");
  blocks_are_edited_and_end();
  a_split_has_a_mask_before_it();
  kept_blocks_are_exact();
  other_settings_are_refused();
  dimple_model_free(model);
  fixture_close();
  return expect_summary("llada22");
}
