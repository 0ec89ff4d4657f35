/* The life of a session: arguments, the order of calls, life spans. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

static void null_arguments(void) {
  dimple_session *s = NULL;
  dimple_step step;
  dimple_timings timings;
  dimple_decoding d = decoding_of(0, 0);
  float f = 0;
  int32_t id = 1;
  EXPECT_NULL_REFUSED(dimple_session_create(NULL, NULL, &s));
  EXPECT_NULL_REFUSED(dimple_session_create(text_model, NULL, NULL));
  EXPECT_NULL_REFUSED(dimple_session_set_prompt(NULL, &id, 1, NULL, 0));
  EXPECT_NULL_REFUSED(dimple_session_set_response(NULL, &id, 1));
  EXPECT_NULL_REFUSED(dimple_session_set_answer(NULL, &id, 1));
  EXPECT_NULL_REFUSED(dimple_session_prefill(NULL));
  EXPECT_NULL_REFUSED(dimple_session_begin(NULL, &d));
  EXPECT_NULL_REFUSED(dimple_session_step(NULL, &step));
  EXPECT_NULL_REFUSED(dimple_session_get_timings(NULL, &timings));
  EXPECT_NULL_REFUSED(dimple_session_get_logits(NULL, &f, 1));
  EXPECT_NULL_REFUSED(dimple_session_get_image_features(NULL, &f, 1));
  EXPECT_NULL_REFUSED(dimple_session_set_image_features(NULL, &f, 1));
  EXPECT_NULL_REFUSED(dimple_session_replay_draws(NULL, NULL, NULL, 0, NULL, 0));
  EXPECT(s == NULL, "output touched");
  s = text_session(text_model, 1, 1);
  EXPECT_NULL_REFUSED(dimple_session_set_prompt(s, NULL, 1, NULL, 0));
  EXPECT_NULL_REFUSED(dimple_session_set_prompt(s, &id, 1, NULL, 1));
  EXPECT_NULL_REFUSED(dimple_session_set_response(s, NULL, 1));
  EXPECT_NULL_REFUSED(dimple_session_set_answer(s, NULL, 1));
  EXPECT_NULL_REFUSED(dimple_session_begin(s, NULL));
  EXPECT_NULL_REFUSED(dimple_session_step(s, NULL));
  EXPECT_NULL_REFUSED(dimple_session_get_timings(s, NULL));
  EXPECT_NULL_REFUSED(dimple_session_get_logits(s, NULL, (PROMPT + RESPONSE) * VOCAB));
  EXPECT_NULL_REFUSED(dimple_session_replay_draws(s, NULL, NULL, 1, NULL, 0));
  dimple_session_free(s);
  dimple_session_free(NULL);
  dimple_session_cancel(NULL);
}

static void bad_session_options(void) {
  dimple_session *s = NULL;
  static const struct {
    dimple_session_options options;
    const char *text;
  } bad[] = {{{.threads = -1}, "threads is -1"},
             {{.threads = 100000}, "threads is 100000"},
             {{.prefill = 2}, "prefill is 2"},
             {{.prefill = -1}, "prefill is -1"},
             {{.context_length = -1}, "context_length is -1"},
             {{.context_length = CONTEXT + 1}, "context_length is 65"}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    EXPECT_FAILS(dimple_session_create(text_model, &bad[i].options, &s), DIMPLE_ERROR_ARGUMENT, bad[i].text);
  EXPECT(s == NULL, "output touched");
  EXPECT_OK(dimple_session_create(text_model, NULL, &s));
  dimple_session_free(s);
}

static void wrong_order(void) {
  dimple_session *s = open_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step;
  float z[VOCAB];
  int32_t mask = MASK;
  EXPECT_FAILS(dimple_session_set_response(s, &mask, 1), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_FAILS(dimple_session_get_logits(s, z, VOCAB), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_FAILS(dimple_session_get_image_features(s, z, 0), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_FAILS(dimple_session_prefill(s), DIMPLE_ERROR_STATE, "no response");
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no response");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  set_masks(s, 4);
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_OK(dimple_session_prefill(s));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  d.top_p = 2;
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_ARGUMENT, "top_p is 2");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  d.top_p = 1;
  outcome o = decode(s, &d);
  EXPECT(o.remaining == 0, "%d left", o.remaining);
  set_masks(s, 4); /* ends the decoding */
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "begin");
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, 2, NULL, 0)); /* discards the response */
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no response");
  dimple_session_free(s);
}

/* What is left out keeps what it holds, until the next decoding. */
static void shortened_responses(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS), blocks = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  EXPECT_FAILS(dimple_session_shorten(s, 1), DIMPLE_ERROR_STATE, "no decoding is under way");
  outcome whole = decode(s, &d);
  EXPECT_FAILS(dimple_session_shorten(s, 1), DIMPLE_ERROR_STATE, "no decoding is under way");
  EXPECT_OK(dimple_session_begin(s, &blocks));
  blocks.guidance_scale = 1;
  EXPECT_OK(dimple_session_begin(s, &blocks));
  EXPECT_FAILS(dimple_session_shorten(s, 1), DIMPLE_ERROR_UNSUPPORTED, "guidance");
  blocks = decoding_of(DIMPLE_PIPELINE_SDAR, DIMPLE_ALGORITHM_LOW_CONFIDENCE_STATIC);
  EXPECT_OK(dimple_session_begin(s, &blocks));
  EXPECT_FAILS(dimple_session_shorten(s, 1), DIMPLE_ERROR_UNSUPPORTED, "pipeline sdar");

  int32_t left[RESPONSE], used = RESPONSE / 2;
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_step(s, &step));
  memcpy(left, step.canvas, sizeof left);
  EXPECT_FAILS(dimple_session_shorten(s, 0), DIMPLE_ERROR_ARGUMENT, "expected 1 to 16");
  EXPECT_FAILS(dimple_session_shorten(s, RESPONSE + 1), DIMPLE_ERROR_ARGUMENT, "expected 1 to 16");
  EXPECT_OK(dimple_session_shorten(s, used));
  EXPECT_FAILS(dimple_session_shorten(s, used + 1), DIMPLE_ERROR_ARGUMENT, "expected 1 to 8");
  while (!step.done && dimple_session_step(s, &step) == DIMPLE_OK)
    for (int32_t i = 0; i < step.revealed_count; i++) EXPECT(step.revealed[i] < used, "reveals %d", step.revealed[i]);
  EXPECT(step.done && step.remaining == 0 && step.canvas_length == RESPONSE, "%d remain of %d", step.remaining, step.canvas_length);
  for (int32_t i = 0; i < RESPONSE; i++)
    EXPECT(i < used ? step.canvas[i] != MASK : step.canvas[i] == left[i], "position %d holds %d", i, step.canvas[i]);

  outcome again = decode(s, &d);
  EXPECT(same_outcome(&whole, &again), "the next decoding is another one");
  dimple_session_free(s);
}

/* What a block's passes see before it is of this decoding, though the response begins with a block that was given, and whether or not the prompt is
 * kept. */
static void blocks_after_another(void) {
  static const int32_t pipelines[] = {DIMPLE_PIPELINE_DREAM, DIMPLE_PIPELINE_LLADA};
  int32_t response[RESPONSE];
  for (int32_t k = 0; k < 2 * 2 * 2 * 3; k++) {
    int32_t pipeline = pipelines[k & 1], prefill = k >> 1 & 1, given = k >> 2 & 1 ? 5 : 0;
    dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_MASKGIT_PLUS), before = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
    d.cache = (k >> 3) + DIMPLE_CACHE_NONE;
    d.block_length = d.cache == DIMPLE_CACHE_NONE && pipeline == DIMPLE_PIPELINE_DREAM ? 0 : 4;
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = i < given ? 10 + i : MASK;
    dimple_session *fresh = text_session(text_model, 1, prefill), *used = text_session(text_model, 1, prefill);
    EXPECT_OK(dimple_session_set_response(fresh, response, RESPONSE));
    EXPECT_OK(dimple_session_set_response(used, response, RESPONSE));
    outcome one = decode(fresh, &d), other = decode(used, &before);
    other = decode(used, &d);
    EXPECT(same_outcome(&one, &other), "pipeline %d, cache %d, prefill %d, %d given: another decoding shows", pipeline, d.cache, prefill, given);
    dimple_session_free(fresh);
    dimple_session_free(used);
  }
}

/* A decoding of which all behind position 5 is left out after `steps` iterations. */
static outcome shortened(dimple_session *s, const dimple_decoding *d, int32_t steps) {
  outcome o = fresh_outcome();
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  for (int32_t i = 0; !step.done; i++) {
    if (i == steps) EXPECT_OK(dimple_session_shorten(s, 6));
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
    if (status != DIMPLE_OK) break;
    for (int32_t k = 0; k < step.revealed_count; k++) o.confidence[step.revealed[k]] = step.confidence[k];
    memcpy(o.tokens, step.canvas, RESPONSE * sizeof *o.tokens);
  }
  return o;
}

/* What is left out is seen as this decoding's last pass left it: the first pass, if nothing else ran, though another decoding's came behind it. */
static void shortened_after_another(void) {
  static const int32_t pipelines[] = {DIMPLE_PIPELINE_DIM, DIMPLE_PIPELINE_DREAM, DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_LLADA};
  static const int32_t caches[] = {0, 0, DIMPLE_CACHE_NONE, DIMPLE_CACHE_PREFIX, DIMPLE_CACHE_DUAL};
  for (int32_t k = 0; k < 5; k++)
    for (int32_t prefill = 0; prefill < 2; prefill++)
      for (int32_t steps = 0; steps < 3; steps++) {
        dimple_session *fresh = text_session(text_model, 1, prefill), *used = text_session(text_model, 1, prefill);
        dimple_decoding d = decoding_of(pipelines[k], DIMPLE_ALGORITHM_MASKGIT_PLUS), before = decoding_of(0, DIMPLE_ALGORITHM_ORIGIN);
        d.cache = caches[k];
        outcome one = shortened(fresh, &d, steps), other = decode(used, &before), again;
        other = shortened(used, &d, steps);
        EXPECT(same_outcome(&one, &other), "way %d, prefill %d: after %d iterations another decoding shows", k, prefill, steps);
        one = decode(fresh, &before); /* whose first pass may have run for the shortening */
        again = decode(used, &before);
        EXPECT(same_outcome(&one, &again), "way %d, prefill %d, %d iterations: a shortened decoding shows", k, prefill, steps);
        dimple_session_free(fresh);
        fresh = text_session(text_model, 1, prefill);
        again = decode(fresh, &before);
        EXPECT(same_outcome(&one, &again), "way %d, prefill %d, %d iterations: the first pass was shortened", k, prefill, steps);
        dimple_session_free(fresh);
        dimple_session_free(used);
      }
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_candidates found = {0};
  dimple_step step;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_look(s, &found));
  int32_t at = found.positions[10], token = found.tokens[10];
  EXPECT_OK(dimple_session_shorten(s, 6));
  EXPECT_FAILS(dimple_session_reveal(s, &at, &token, 1, &step), DIMPLE_ERROR_STATE, "call dimple_session_look first");
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_session_cancel(s);
  EXPECT_OK(dimple_session_shorten(s, 6)); /* nothing is to be run for it */
  dimple_session_free(s);
}

/* Blocks end with what is left, whatever is kept of earlier passes. */
static void shortened_blocks(void) {
  static const int32_t pipelines[] = {DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_LLADA, DIMPLE_PIPELINE_MDLM,
                                      DIMPLE_PIPELINE_DREAM, DIMPLE_PIPELINE_DREAM};
  static const int32_t caches[] = {DIMPLE_CACHE_NONE, DIMPLE_CACHE_PREFIX, DIMPLE_CACHE_DUAL, DIMPLE_CACHE_MODEL, DIMPLE_CACHE_PREFIX, DIMPLE_CACHE_DUAL};
  dimple_session *s = text_session(text_model, 1, 1);
  for (int32_t k = 0; k < 6; k++)
    for (int32_t used = 1; used <= RESPONSE; used += 3) {
      int32_t before, passed = 0;
      dimple_step step = {0};
      dimple_decoding d = decoding_of(pipelines[k], DIMPLE_ALGORITHM_MASKGIT_PLUS);
      d.block_length = 5;
      d.cache = caches[k];
      EXPECT_OK(dimple_session_begin(s, &d));
      EXPECT_OK(dimple_session_step(s, &step));
      EXPECT_OK(dimple_session_shorten(s, used));
      for (before = step.forward_passes; !step.done && passed < 40; passed++) {
        EXPECT_OK(dimple_session_step(s, &step));
        for (int32_t i = 0; i < step.revealed_count; i++) EXPECT(step.revealed[i] < used, "reveals %d of %d", step.revealed[i], used);
      }
      EXPECT(step.done && step.remaining == 0, "way %d, %d used: %d remain", k, used, step.remaining);
      EXPECT(step.forward_passes - before <= 2 * used + 1, "way %d: %d passes for %d positions", k, step.forward_passes - before, used);
      for (int32_t i = 0; i < used; i++) EXPECT(step.canvas[i] != MASK, "position %d of %d is masked", i, used);
    }
  dimple_session_free(s);
}

/* An answer so far is as good as the end of the prompt, but for the pictures' tower, which does not run again, and for scores. */
static void answers_in_several_canvases(void) {
  enum { ANSWER = 5 };
  int32_t tokens[PICTURE_PROMPT + ANSWER], count = picture_prompt(tokens), masks[RESPONSE];
  const int32_t answer[ANSWER] = {9, 3, 17, 3, 28}, targets[2] = {4, 8};
  for (int32_t i = 0; i < ANSWER; i++) tokens[count + i] = answer[i];
  for (int32_t i = 0; i < RESPONSE; i++) masks[i] = MASK;
  dimple_image image = picture();
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_session *whole = open_session(vision_model, 1, 1), *s = open_session(vision_model, 1, 1);
  EXPECT_FAILS(dimple_session_set_answer(s, answer, ANSWER), DIMPLE_ERROR_STATE, "no prompt");
  EXPECT_OK(dimple_session_set_prompt(whole, tokens, count + ANSWER, &image, 1));
  EXPECT_OK(dimple_session_set_response(whole, masks, RESPONSE));
  outcome expected = decode(whole, &d);

  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, 1));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  outcome first = decode(s, &d);
  float before[2], after[2];
  dimple_timings seen, still;
  EXPECT_OK(dimple_session_score(s, masks, targets, 2, 0, before));
  EXPECT_OK(dimple_session_get_timings(s, &seen));
  EXPECT_OK(dimple_session_set_answer(s, answer, ANSWER));
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_STATE, "no response");
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  outcome found = decode(s, &d);
  EXPECT(same_outcome(&expected, &found), "another result behind an answer");
  EXPECT_OK(dimple_session_score(s, masks, targets, 2, 0, after));
  EXPECT(memcmp(before, after, sizeof before) == 0, "an answer so far changes scores");
  EXPECT_OK(dimple_session_get_timings(s, &still));
  EXPECT(seen.vision > 0 && still.vision == seen.vision, "the tower ran again");

  int32_t more[CONTEXT] = {0}, wrong = VOCAB;
  EXPECT_FAILS(dimple_session_set_answer(s, &wrong, 1), DIMPLE_ERROR_ARGUMENT, "token 0 of the answer is");
  EXPECT_FAILS(dimple_session_set_answer(s, more, CONTEXT), DIMPLE_ERROR_LIMIT, "answer so far");
  EXPECT_OK(dimple_session_set_answer(s, more, CONTEXT - count - 1));
  EXPECT_FAILS(dimple_session_set_response(s, masks, 2), DIMPLE_ERROR_LIMIT, "and response (2) do not fit the context of");
  EXPECT_OK(dimple_session_set_answer(s, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  outcome again = decode(s, &d);
  EXPECT(same_outcome(&first, &again), "another result once the answer is gone");
  dimple_session_free(whole);
  dimple_session_free(s);
}

static void sessions_outlive_their_model(void) {
  dimple_model *m = random_model((model_shape){.vision = true});
  dimple_session *s = picture_session(m, 1, 1), *t = picture_session(m, 1, 1);
  dimple_model_free(m);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome a = decode(s, &d);
  dimple_session_free(s);
  outcome b = decode(t, &d);
  EXPECT(same_outcome(&a, &b), "another result");
  dimple_session_free(t);
}

/* ---------------------------------------------------------------------------------------------- what klass compares with */

/* Distributions of a response's positions, under a bias of one token. */
typedef struct distributions {
  double p[RESPONSE][VOCAB];
  bool there[RESPONSE]; /* of those that were masked */
} distributions;

/* Of the canvas as it is, by a session of its own. */
static void distributions_of(const int32_t *canvas, float bias, distributions *out) {
  enum { BIASED = 7 };
  dimple_session *s = open_session(text_model, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, canvas, RESPONSE));
  float *logits = logits_of(s, PROMPT + RESPONSE);
  for (int32_t i = 0; i < RESPONSE; i++) {
    float *z = logits + (PROMPT + i - 1) * VOCAB;
    double sum = 0;
    out->there[i] = canvas[i] == MASK;
    z[BIASED] += bias;
    for (int32_t t = 0; t < VOCAB; t++) sum += exp(z[t]);
    for (int32_t t = 0; t < VOCAB; t++) out->p[i][t] = exp(z[t]) / sum;
  }
  free(logits);
  dimple_session_free(s);
}

static double divergence_of(const double *now, const double *before, bool there) {
  double sum = 0;
  for (int32_t t = 0; t < VOCAB; t++) sum += now[t] * (log(now[t] + 1e-12) - log((there ? before[t] : 0) + 1e-12));
  return sum;
}

/* What KLASS reveals in pipeline dream, by the distributions of each iteration and of the one before; a bias that comes on the way has its part in the
 * one, and not in the other. */
static void klass_compares_with_the_iteration_before(void) {
  static distributions known[2];
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_KLASS);
  int32_t canvas[RESPONSE], several = 0, single = 0, token = 7;
  double divergences[RESPONSE][2] = {{0}};
  dimple_session *s = open_session(text_model, 1, 1);
  d.kl_threshold = 0.06f;
  d.threshold = 0.23f;
  for (int32_t i = 0; i < RESPONSE; i++) canvas[i] = MASK;
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, canvas, RESPONSE));
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_step step = {0};
  for (int32_t n = 0; n < RESPONSE && !step.done; n++) {
    distributions *now = &known[n % 2], *before = &known[(n + 1) % 2];
    bool ready[RESPONSE] = {false};
    int32_t count = 0, surest = -1;
    double highest[RESPONSE];
    float bias = n < 2 ? 0 : 4;
    if (n == 2) EXPECT_OK(dimple_session_set_bias(s, &token, &bias, 1));
    distributions_of(canvas, bias, now);
    for (int32_t i = 0; i < RESPONSE; i++) {
      if (!now->there[i]) continue;
      highest[i] = 0;
      divergences[i][n % 2] = divergence_of(now->p[i], before->p[i], n > 0 && before->there[i]);
      for (int32_t t = 0; t < VOCAB; t++) highest[i] = fmax(highest[i], now->p[i][t]);
      ready[i] = highest[i] >= d.threshold && divergences[i][0] < d.kl_threshold && divergences[i][1] < d.kl_threshold;
      count += ready[i];
      if (surest < 0 || highest[i] > highest[surest]) surest = i;
    }
    EXPECT_OK(dimple_session_step(s, &step));
    if (count == 0) ready[surest] = true;
    several += count > 1;
    single += count == 0;
    for (int32_t i = 0, k = 0; i < RESPONSE; i++) {
      bool revealed = k < step.revealed_count && step.revealed[k] == i;
      k += revealed;
      EXPECT(revealed == ready[i], "iteration %d, position %d: divergences %g and %g, probability %g", n, i, divergences[i][0], divergences[i][1], highest[i]);
    }
    memcpy(canvas, step.canvas, sizeof canvas);
  }
  EXPECT(several > 0 && single > 2, "%d iterations reveal what has settled, %d one position", several, single);
  dimple_session_free(s);
}

static void a_hundred_lives(void) {
  char path[64];
  random_model_save(&(model_shape){.vision = true}, path);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  for (int life = 0; life < 100; life++) {
    dimple_model *m = NULL;
    EXPECT_OK(load_model(path, NULL, &m));
    dimple_session *s = picture_session(m, 2, life & 1);
    if (life % 4 == 3) dimple_model_free(m);
    if (life % 3 == 0) {
      EXPECT_OK(dimple_session_begin(s, &d)); /* left half-way */
      dimple_step step;
      EXPECT_OK(dimple_session_step(s, &step));
    }
    if (life % 5 == 0) set_masks(s, 4);
    dimple_session_free(s);
    if (life % 4 != 3) dimple_model_free(m);
  }
  remove(path);
}

int main(void) {
  if (fixture_open()) {
    null_arguments();
    bad_session_options();
    wrong_order();
    shortened_responses();
    blocks_after_another();
    shortened_after_another();
    shortened_blocks();
    answers_in_several_canvases();
    klass_compares_with_the_iteration_before();
    sessions_outlive_their_model();
    a_hundred_lives();
  }
  fixture_close();
  return expect_summary("session");
}
