/* Log-probabilities of given tokens beside the logits of the same sequence, and the masks of the Monte Carlo estimate. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/scoring.h"
#include "test/session_fixture.h"

/* Logits of prompt + response, by another way through the core. */
static float *logits_behind(dimple_model *m, const int32_t *prompt, int32_t prompt_count, const int32_t *response) {
  dimple_session *s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt, prompt_count, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
  float *z = logits_of(s, prompt_count + RESPONSE);
  dimple_session_free(s);
  return z;
}

static double log_of(const float *z, int32_t token) { return log(probability_of(z, token)); }

static double guided_log_of(const float *c, const float *u, double scale, int32_t token) {
  float z[VOCAB];
  for (int32_t i = 0; i < VOCAB; i++) z[i] = (float)(u[i] + (scale + 1) * (c[i] - u[i]));
  return log_of(z, token);
}

/* Some positions seen, some masked, some of either asked for. */
static void fill(int32_t *response, int32_t *targets) {
  for (int32_t i = 0; i < RESPONSE; i++) {
    response[i] = i % 3 == 0 ? 5 + i : MASK;
    targets[i] = i % 4 == 3 ? -1 : (7 * i + 11) % MASK;
  }
}

static void equal_to_logits(dimple_model *m, bool shifted, float scale) {
  int32_t response[RESPONSE], targets[RESPONSE], bare_prompt[PROMPT];
  float found[RESPONSE];
  fill(response, targets);
  for (int32_t i = 0; i < PROMPT; i++) bare_prompt[i] = MASK;
  dimple_session *s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_score(s, response, targets, RESPONSE, scale, found));
  float *c = logits_behind(m, prompt_tokens, PROMPT, response), *u = logits_behind(m, bare_prompt, PROMPT, response);
  for (int32_t i = 0; i < RESPONSE; i++) {
    int64_t row = (int64_t)(PROMPT + i - shifted) * VOCAB;
    if (targets[i] < 0) {
      EXPECT(isnan(found[i]), "position %d: %g, expected NaN", i, (double)found[i]);
      continue;
    }
    double expected = scale > 0 ? guided_log_of(c + row, u + row, (double)scale, targets[i]) : log_of(c + row, targets[i]);
    EXPECT(fabs(found[i] - expected) < 1e-4, "shift %d, scale %g, position %d: %g, expected %g", shifted, (double)scale, i, (double)found[i], expected);
  }
  free(c);
  free(u);
  dimple_session_free(s);
}

/* More rows than are held at a time. */
static void long_answers(void) {
  enum { LONG = 200 };
  dimple_model *m = random_model((model_shape){.context = 256});
  dimple_session *s = open_session(m, 1, 1);
  int32_t response[LONG], targets[LONG];
  float all[LONG], one[LONG];
  for (int32_t i = 0; i < LONG; i++) response[i] = MASK, targets[i] = i % MASK;
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_score(s, response, targets, LONG, 0, all));
  for (int32_t i = 0; i < LONG - 1; i++) targets[i] = -1;
  EXPECT_OK(dimple_session_score(s, response, targets, LONG, 0, one));
  EXPECT(fabs(all[LONG - 1] - one[LONG - 1]) < 1e-5, "alone %g, among all %g", (double)one[LONG - 1], (double)all[LONG - 1]);
  dimple_session_free(s);
  dimple_model_free(m);
}

/* Keys and values are kept as the session has it, and rounded ones tell. */
static void keys_and_values_are_of_the_sessions_type(void) {
  int32_t response[RESPONSE], targets[RESPONSE];
  float found[2][RESPONSE];
  double most = 0;
  fill(response, targets);
  for (int32_t i = 0; i < 2; i++) {
    dimple_session *s = NULL;
    EXPECT_OK(dimple_session_create(text_model, &(dimple_session_options){.threads = 1, .prefill = 1, .kv_type = i ? DIMPLE_TENSOR_F16 : DIMPLE_TENSOR_F32}, &s));
    EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
    EXPECT_OK(dimple_session_score(s, response, targets, RESPONSE, 0, found[i]));
    dimple_session_free(s);
  }
  for (int32_t i = 0; i < RESPONSE; i++)
    if (targets[i] >= 0) most = fmax(most, fabs((double)found[0][i] - found[1][i]));
  EXPECT(most > 0 && most < 0.02, "rounded keys and values make a difference of %g", most);
}

/* A decoding goes on as if nothing had been scored. */
static void leaves_a_decoding_alone(void) {
  int32_t response[RESPONSE], targets[RESPONSE];
  float found[RESPONSE];
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step;
  fill(response, targets);
  dimple_session *s = text_session(text_model, 1, 1);
  outcome undisturbed = decode(s, &d), disturbed = fresh_outcome();
  EXPECT_OK(dimple_session_begin(s, &d));
  do {
    EXPECT_OK(dimple_session_score(s, response, targets, RESPONSE, 0.5f, found));
    EXPECT_OK(dimple_session_step(s, &step));
    note_step(&step, &disturbed);
  } while (!step.done);
  EXPECT(same_outcome(&undisturbed, &disturbed), "scoring changed a decoding");
  dimple_session_free(s);
}

static void refusals(void) {
  dimple_session *s = open_session(text_model, 1, 1);
  int32_t response[] = {MASK, 4}, targets[] = {3, -1}, bad[] = {3, VOCAB}, worse[] = {-2, 3}, outside[] = {MASK, VOCAB};
  float found[] = {7, 7};
  EXPECT_FAILS(dimple_session_score(s, response, targets, 2, 0, found), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_NULL_REFUSED(dimple_session_score(NULL, response, targets, 2, 0, found));
  EXPECT_NULL_REFUSED(dimple_session_score(s, NULL, targets, 2, 0, found));
  EXPECT_NULL_REFUSED(dimple_session_score(s, response, NULL, 2, 0, found));
  EXPECT_NULL_REFUSED(dimple_session_score(s, response, targets, 2, 0, NULL));
  EXPECT_FAILS(dimple_session_score(s, response, bad, 2, 0, found), DIMPLE_ERROR_ARGUMENT, "target 1 is 96, expected -1 (none) to 95");
  EXPECT_FAILS(dimple_session_score(s, response, worse, 2, 0, found), DIMPLE_ERROR_ARGUMENT, "target 0 is -2");
  EXPECT_FAILS(dimple_session_score(s, outside, targets, 2, 0, found), DIMPLE_ERROR_ARGUMENT, "token 1 of the response is 96");
  EXPECT_FAILS(dimple_session_score(s, response, targets, 0, 0, found), DIMPLE_ERROR_ARGUMENT, "the response has 0 tokens");
  EXPECT_FAILS(dimple_session_score(s, response, targets, 2, -1, found), DIMPLE_ERROR_ARGUMENT, "guidance_scale is -1");
  EXPECT_FAILS(dimple_session_score(s, response, targets, 2, NAN, found), DIMPLE_ERROR_ARGUMENT, "guidance_scale is");
  int32_t many[CONTEXT] = {0};
  float room[CONTEXT];
  EXPECT_FAILS(dimple_session_score(s, many, many, CONTEXT, 0, room), DIMPLE_ERROR_LIMIT, "do not fit the context");
  EXPECT(found[0] == 7 && found[1] == 7, "a failed call has written");
  dimple_session_cancel(s);
  EXPECT_FAILS(dimple_session_score(s, response, targets, 2, 0, found), DIMPLE_ERROR_CANCELLED, "cancelled");
  EXPECT_OK(dimple_session_score(s, response, targets, 2, 0, found));
  dimple_session_free(s);
}

/* The counts that the authors' code made of its k (goldens llada-plain and llada-eos, trajectories.json). */
static void counts(void) {
  static const struct {
    int32_t k, rows, length, expected[4];
  } rounds[] = {{9, 4, 9, {9, 2, 5, 7}},    {7, 4, 9, {7, 9, 3, 5}},     {4, 4, 9, {4, 6, 8, 2}},     {2, 4, 17, {2, 6, 10, 15}},
                {6, 4, 17, {6, 10, 14, 2}}, {13, 4, 17, {13, 17, 5, 9}}, {12, 4, 17, {12, 16, 3, 8}}, {7, 4, 17, {7, 11, 16, 3}},
                {1, 2, 1, {1, 1}},          {11, 4, 11, {11, 3, 5, 8}},  {3, 4, 11, {3, 6, 8, 11}},   {18, 4, 20, {18, 3, 8, 13}},
                {2, 2, 2, {2, 1}}};
  for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
    int32_t found[4] = {0};
    scoring_counts(rounds[i].k, rounds[i].rows, rounds[i].length, found);
    EXPECT(memcmp(found, rounds[i].expected, sizeof found) == 0, "round %zu: %d %d %d %d", i, found[0], found[1], found[2], found[3]);
  }
}

static int32_t size_of(const uint8_t *mask, int32_t length) {
  int32_t size = 0;
  for (int32_t i = 0; i < length; i++) size += mask[i];
  return size;
}

/* Every number of masks, and every token, comes as often as any other. */
static void masks_are_even(void) {
  enum { LENGTH = 6, ROWS = 3, ROUNDS = 2000 };
  int32_t sizes[LENGTH + 1] = {0}, masked[LENGTH] = {0};
  uint8_t masks[ROWS * LENGTH], again[ROWS * LENGTH];
  for (int32_t round = 0; round < ROUNDS; round++) {
    EXPECT_OK(dimple_score_masks(LENGTH, ROWS, 5, round, masks));
    for (int32_t r = 0; r < ROWS; r++) {
      sizes[size_of(masks + r * LENGTH, LENGTH)]++;
      for (int32_t i = 0; i < LENGTH; i++) masked[i] += masks[r * LENGTH + i];
    }
  }
  EXPECT(sizes[0] == 0, "a row without masks");
  for (int32_t i = 0; i < LENGTH; i++) {
    EXPECT(abs(sizes[i + 1] - ROWS * ROUNDS / LENGTH) < 150, "%d masks %d times", i + 1, sizes[i + 1]);
    EXPECT(abs(masked[i] - ROWS * ROUNDS * 7 / 12) < 200, "token %d masked %d times", i, masked[i]);
  }
  EXPECT_OK(dimple_score_masks(LENGTH, ROWS, 5, 1, masks));
  EXPECT_OK(dimple_score_masks(LENGTH, ROWS, 5, 1, again));
  EXPECT(memcmp(masks, again, sizeof masks) == 0, "two draws of one round differ");
  EXPECT_OK(dimple_score_masks(LENGTH, ROWS, 6, 1, again));
  EXPECT(memcmp(masks, again, sizeof masks) != 0, "the seed does not count");
}

static void refused_masks(void) {
  uint8_t mask = 9;
  EXPECT_NULL_REFUSED(dimple_score_masks(1, 1, 0, 0, NULL));
  EXPECT_FAILS(dimple_score_masks(0, 1, 0, 0, &mask), DIMPLE_ERROR_ARGUMENT, "length is 0");
  EXPECT_FAILS(dimple_score_masks(1, 0, 0, 0, &mask), DIMPLE_ERROR_ARGUMENT, "rows is 0");
  EXPECT_FAILS(dimple_score_masks(1, 1, 0, -1, &mask), DIMPLE_ERROR_ARGUMENT, "round is -1");
  EXPECT_OK(dimple_score_masks(1, 1, 0, 0, &mask));
  EXPECT(mask == 1, "one token, not masked");
}

int main(void) {
  if (!fixture_open()) return 1;
  dimple_model *unshifted = random_model((model_shape){.family = FAMILY_LLADA});
  for (int i = 0; i < 2; i++) {
    equal_to_logits(text_model, true, i * 0.5f);
    equal_to_logits(unshifted, false, i * 0.5f);
  }
  dimple_model_free(unshifted);
  long_answers();
  keys_and_values_are_of_the_sessions_type();
  leaves_a_decoding_alone();
  refusals();
  counts();
  masks_are_even();
  refused_masks();
  fixture_close();
  return expect_summary("scoring");
}
