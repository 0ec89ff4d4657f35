/*
 * Responses that change their length: what grows, what goes, where all of it stands afterwards, and that no pass sees what was there before. That the decisions
 * are the authors' is BlockCausalConformanceTest's; here is also what their code does not survive: several expansions without room.
 */
#include <stdlib.h>

#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

enum { GIVEN = 17, MOST_STEPS = 200 };

static dimple_decoding dreamon(int32_t algorithm) { return decoding_of(DIMPLE_PIPELINE_DREAMON, algorithm); }

/* A session behind the prompt, whose response is `masks` masks and, where `given`, a token behind them. */
static dimple_session *session_of(int32_t masks, bool given, int32_t prefill) {
  int32_t response[CONTEXT];
  dimple_session *s = open_session(text_model, 1, prefill);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  for (int32_t i = 0; i < masks; i++) response[i] = MASK;
  response[masks] = GIVEN;
  EXPECT_OK(dimple_session_set_response(s, response, masks + given));
  return s;
}

static void begin_favouring(dimple_session *s, const dimple_decoding *d, int32_t token) {
  float much = 60000;
  EXPECT_OK(dimple_session_begin(s, d));
  EXPECT_OK(dimple_session_set_bias(s, &token, &much, 1));
}

/* Origins ascend, -1 aside, and what they say of tokens that had been revealed is so. */
static void check_origins(const int32_t *before, int32_t length, const dimple_step *step) {
  if (!step->origins) {
    EXPECT(step->canvas_length == length, "%d positions of %d, and none moved", step->canvas_length, length);
    return;
  }
  for (int32_t i = 0, last = -1; i < step->canvas_length; i++) {
    int32_t from = step->origins[i];
    EXPECT(from < length && (from < 0 ? i > 0 && step->canvas[i] == MASK && step->canvas[i - 1] == MASK : from > last), "position %d was at %d", i, from);
    if (from < 0) continue;
    EXPECT(before[from] == MASK || before[from] == step->canvas[i], "position %d", i);
    last = from;
  }
}

static void grows_to_its_most_and_no_further(void) {
  for (int32_t transfer = 1; transfer <= 4; transfer++) {
    dimple_session *s = session_of(4, true, 1);
    dimple_decoding d = dreamon(DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.grow_to = 11;
    d.number_transfer_tokens = transfer;
    begin_favouring(s, &d, EXPAND);
    int32_t before[CONTEXT] = {MASK, MASK, MASK, MASK, GIVEN}, length = 5, grown = 0;
    dimple_step step = {0};
    for (int32_t n = 0; n < MOST_STEPS && !step.done; n++) {
      EXPECT_OK(dimple_session_step(s, &step));
      check_origins(before, length, &step);
      EXPECT(step.canvas_length <= 12 && step.canvas[step.canvas_length - 1] == GIVEN, "%d positions", step.canvas_length);
      EXPECT(step.canvas_length >= length && step.settled <= step.canvas_length, "%d positions, %d settled", step.canvas_length, step.settled);
      grown += step.canvas_length - length;
      length = step.canvas_length;
      memcpy(before, step.canvas, (size_t)length * sizeof *before);
    }
    EXPECT(step.done && step.remaining == 0 && length == 12 && grown == 7, "%d at a time: %d positions, %d came in", transfer, length, grown);
    for (int32_t i = 0; i < length; i++) EXPECT(before[i] != EXPAND && before[i] != MASK, "token %d", before[i]);
    dimple_session_free(s);
  }
}

/* Three are to double at once, and two may: those on the right. The other is decided again, and without the token. */
static void expansions_beyond_the_budget_wait(void) {
  dimple_session *s = session_of(3, false, 1);
  dimple_decoding d = dreamon(DIMPLE_ALGORITHM_ENTROPY);
  d.grow_to = 20;
  d.number_transfer_tokens = 3;
  d.expand_budget = 2;
  begin_favouring(s, &d, EXPAND);
  dimple_step step;
  EXPECT_OK(dimple_session_step(s, &step));
  const int32_t origins[] = {0, 1, -1, 2, -1};
  EXPECT(step.canvas_length == 5 && step.revealed_count == 0 && step.remaining == 5, "%d positions, %d masked", step.canvas_length, step.remaining);
  EXPECT(step.origins && memcmp(step.origins, origins, sizeof origins) == 0, "other origins");
  for (int32_t n = 0; n < 2; n++) EXPECT_OK(dimple_session_step(s, &step));
  EXPECT(step.done && step.canvas_length == 5 && !step.origins, "%d positions", step.canvas_length);
  dimple_session_free(s);
}

static void goes_to_nothing(void) {
  for (int32_t given = 0; given < 2; given++) {
    dimple_session *s = session_of(5, given, 1);
    dimple_decoding d = dreamon(DIMPLE_ALGORITHM_TOPK_MARGIN);
    for (int32_t round = 0; round < 2; round++) { /* and from the beginning again */
      begin_favouring(s, &d, EOS);
      dimple_step step = {0};
      int32_t iterations = 0;
      for (; iterations < 9 && !step.done; iterations++) EXPECT_OK(dimple_session_step(s, &step));
      EXPECT(iterations == 5 && step.done && step.canvas_length == given && step.revealed_count == 0, "%d iterations, %d positions", iterations,
             step.canvas_length);
      if (given) EXPECT(step.canvas[0] == GIVEN && step.origins && step.origins[0] == 1, "token %d", step.canvas[0]);
    }
    d.pad_delete_to_right = 1;
    d.expand_budget = 0;
    begin_favouring(s, &d, EOS);
    dimple_step step;
    EXPECT_OK(dimple_session_step(s, &step)); /* the first of equals, or one behind it */
    EXPECT(step.canvas_length < 5 + given && (!given || step.canvas[step.canvas_length - 1] == GIVEN), "%d positions", step.canvas_length);
    for (int32_t i = 0; i < step.canvas_length - given; i++) EXPECT(step.origins[i] == i, "position %d was at %d", i, step.origins[i]);
    dimple_session_free(s);
  }
}

/* The first step of a session whose response is this canvas, against the step of the one that came to it. */
static void continues_as_a_fresh_one(const int32_t *canvas, int32_t length, int32_t masks, dimple_decoding d, const float *bias, const dimple_step *step) {
  dimple_session *fresh = open_session(text_model, 1, 0);
  dimple_step own;
  EXPECT_OK(dimple_session_set_prompt(fresh, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(fresh, canvas, length));
  d.grow_to = masks + d.grow_to - length;
  EXPECT_OK(dimple_session_begin(fresh, &d));
  EXPECT_OK(dimple_session_set_bias(fresh, (int32_t[]){EXPAND, EOS}, bias, 2));
  EXPECT_OK(dimple_session_step(fresh, &own));
  bool same = own.canvas_length == step->canvas_length && own.revealed_count == step->revealed_count &&
              memcmp(own.canvas, step->canvas, (size_t)own.canvas_length * sizeof *own.canvas) == 0 &&
              memcmp(own.confidence, step->confidence, (size_t)own.revealed_count * sizeof *own.confidence) == 0;
  EXPECT(same, "iteration %d: a fresh session goes on otherwise", step->iteration);
  dimple_session_free(fresh);
}

/* No row of a longer canvas is seen by a shorter one, in the decoding or in the next. */
static void no_pass_sees_what_was_there_before(void) {
  float bias[] = {7, 5};
  int32_t grew = 0, shrank = 0;
  for (int32_t algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    dimple_session *s = session_of(6, false, 0);
    dimple_decoding d = dreamon(algorithm);
    d.grow_to = 12;
    d.expand_budget = 1000; /* a fresh session has all of it */
    for (int32_t n = 0; n < 2; n++) { /* twice: the second begins behind what the first left */
      int32_t before[CONTEXT] = {MASK, MASK, MASK, MASK, MASK, MASK}, length = 6, masks = 6;
      dimple_step step = {0};
      EXPECT_OK(dimple_session_begin(s, &d));
      EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){EXPAND, EOS}, bias, 2));
      for (int32_t k = 0; k < 40 && !step.done; k++) {
        EXPECT_OK(dimple_session_step(s, &step));
        continues_as_a_fresh_one(before, length, masks, d, bias, &step);
        grew += step.canvas_length > length;
        shrank += step.canvas_length < length;
        length = step.canvas_length;
        masks = step.remaining;
        memcpy(before, step.canvas, (size_t)length * sizeof *before);
      }
    }
    dimple_session_free(s);
  }
  EXPECT(grew > 3 && shrank > 3, "%d grew, %d shrank", grew, shrank);
}

/* Any other decoding comes to the same behind one that grew, and so do the logits. */
static void leaves_no_trace(void) {
  dimple_session *s = text_session(text_model, 1, 1), *fresh = text_session(text_model, 1, 1);
  dimple_decoding d = dreamon(DIMPLE_ALGORITHM_ENTROPY), others[] = {decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS),
                                                                     decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ENTROPY)};
  d.grow_to = RESPONSE + 10;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    dimple_step step = {0};
    begin_favouring(s, &d, EXPAND);
    for (int32_t n = 0; n < 15; n++) EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(step.canvas_length == RESPONSE + 10, "%d positions", step.canvas_length);
    outcome own = decode(s, &others[i]), expected = decode(fresh, &others[i]);
    EXPECT(same_outcome(&own, &expected), "another outcome behind it");
    float *z = logits_of(s, PROMPT + RESPONSE), *w = logits_of(fresh, PROMPT + RESPONSE);
    EXPECT(memcmp(z, w, (size_t)(PROMPT + RESPONSE) * VOCAB * sizeof *z) == 0, "other logits");
    free(z);
    free(w);
  }
  dimple_session_free(s);
  dimple_session_free(fresh);
}

/* What every text fits. */
static dimple_constraint *any_text(void) {
  random_numbers r = {.seed = 1};
  words w = random_words(&r, VOCAB);
  machine m = {.states = 1, .accepting = {1}};
  dimple_vocabulary *v = vocabulary_of(&w);
  dimple_automaton a = automaton_of(&m);
  dimple_constraint *c = NULL;
  EXPECT_OK(dimple_constraint_create(v, &a, &c));
  dimple_vocabulary_free(v);
  return c;
}

static void refuses_what_does_not_go(void) {
  dimple_session *s = text_session(text_model, 1, 1), *other = text_session(vision_model, 1, 1);
  dimple_decoding d = dreamon(DIMPLE_ALGORITHM_ENTROPY);
  dimple_candidates found;
  EXPECT_FAILS(dimple_session_begin(other, &d), DIMPLE_ERROR_UNSUPPORTED, "tokenizer.ggml.expand_token_id");
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_look(s, &found), DIMPLE_ERROR_UNSUPPORTED, "pipeline dreamon decides by itself");
  EXPECT_FAILS(dimple_session_shorten(s, 3), DIMPLE_ERROR_UNSUPPORTED, "pipeline dreamon cannot leave positions out");
  d.grow_to = RESPONSE - 1;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "grow_to is 15, expected 0 or at least the 16 positions");
  d.grow_to = CONTEXT - PROMPT + 1;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_LIMIT, "prompt (7 tokens) and a response that may grow to 58 do not fit the context of 64");
  d.grow_to = INT32_MAX;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_LIMIT, "grow to 2147483647");
  d = dreamon(DIMPLE_ALGORITHM_ORIGIN);
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "algorithm is origin");
  d = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ENTROPY);
  d.grow_to = 30;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "grow_to does not go with pipeline dream");
  d = dreamon(DIMPLE_ALGORITHM_ENTROPY);
  dimple_constraint *constraint = any_text();
  EXPECT_OK(dimple_session_set_constraint(s, constraint));
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "pipeline dreamon cannot be held to a constraint");
  dimple_constraint_free(constraint);
  dimple_session_free(s);
  dimple_session_free(other);
}

int main(void) {
  if (!fixture_open()) return expect_summary("dreamon");
  grows_to_its_most_and_no_further();
  expansions_beyond_the_budget_wait();
  goes_to_nothing();
  no_pass_sees_what_was_there_before();
  leaves_no_trace();
  refuses_what_does_not_go();
  fixture_close();
  return expect_summary("dreamon");
}
