/* Canvases that are denoised under constraints: each is settled as the best path that some response goes on from, and all make one response that fits. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "draws.h"
#include "test/rule_fixture.h"
#include "test/session_fixture.h"

enum { MOST_STANDS = 512 };

/* Where responses can stand after some positions, and the highest sum of logits on a way there. */
typedef struct stands {
  int32_t count;
  stand at[MOST_STANDS];
  double sum[MOST_STANDS];
} stands;

static void reach_stand(stands *all, stand at, double sum) {
  int32_t i = 0;
  while (i < all->count && (all->at[i].state != at.state || all->at[i].used != at.used || all->at[i].ended != at.ended)) i++;
  if (i == MOST_STANDS) {
    EXPECT(i < MOST_STANDS, "%d stands", i);
    return;
  }
  if (i == all->count) all->sum[all->count++] = -INFINITY;
  all->at[i] = at;
  if (sum > all->sum[i]) all->sum[i] = sum;
}

/* The highest sum of logits [CANVAS x VOCAB] of any response that fits and has these tokens in front of the canvas; -inf: there is none. */
static double best_sum(const rule *r, const int32_t *before, int32_t first, const float *logits, const int32_t *only) {
  static stands now, next;
  now = (stands){.count = 1, .at = {stand_at_start()}};
  for (int32_t i = 0; i < RESPONSE; i++) {
    bool scored = i >= first && i < first + CANVAS;
    next.count = 0;
    for (int32_t k = 0; k < now.count; k++)
      for (int32_t t = 0; t < VOCAB; t++) {
        if ((i < first && t != before[i]) || (scored && only && t != only[i])) continue;
        stand after = stand_after(&r->machine, &r->words, now.at[k], t);
        if (after.state >= 0 || after.ended) reach_stand(&next, after, now.sum[k] + (scored ? (double)logits[(i - first) * VOCAB + t] : 0));
      }
    now = next;
  }
  double best = -INFINITY;
  for (int32_t k = 0; k < now.count; k++)
    if (stand_fits(&r->machine, now.at[k]) && now.sum[k] > best) best = now.sum[k];
  return best;
}

/* Logits of a canvas's only pass, over the random tokens that it begins with, those that are forced in their places. */
static void canvas_logits(dimple_model *m, const int32_t *tokens, int32_t first, const int32_t *canvas, float *logits) {
  static float all[(PROMPT + RESPONSE) * VOCAB];
  dimple_session *s = text_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_answer(s, tokens, first));
  EXPECT_OK(dimple_session_set_response(s, canvas, CANVAS));
  EXPECT_OK(dimple_session_get_logits(s, all, (PROMPT + first + CANVAS) * VOCAB));
  memcpy(logits, all + (PROMPT + first) * VOCAB, CANVAS * VOCAB * sizeof *logits);
  dimple_session_free(s);
}

/* What one position can still hold: one token, or -1. */
static int32_t only_token(const rule *r, const int32_t *before, int32_t first, int32_t position) {
  int32_t found = -1, tokens[RESPONSE];
  for (int32_t t = 0; t < VOCAB; t++) {
    for (int32_t i = 0; i < RESPONSE; i++) tokens[i] = i < first ? before[i] : i == position ? t : -1;
    if (!canvas_can_fit(&r->machine, &r->words, tokens, RESPONSE)) continue;
    if (found >= 0) return -1;
    found = t;
  }
  return found;
}

/* Minus the entropy of softmax(z / t). */
static double negentropy(const float *z, double t) {
  double sum = 0, moment = 0;
  for (int32_t k = 0; k < VOCAB; k++) {
    sum += exp(z[k] / t);
    moment += exp(z[k] / t) * (z[k] / t);
  }
  return moment / sum - log(sum);
}

/* What fills a canvas that is not settled yet is as sure as the latest pass found it, at its temperature. */
static void completed_canvases_are_judged(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA});
  dimple_session *s = text_session(m, 1, 1);
  int32_t among_all = 0;
  for (uint64_t seed = 0; seed < 12; seed++) {
    rule r = open_rule(seed, 0, 14);
    dimple_step step = {0};
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
    int32_t sure = 0, before[1] = {0}, canvas[CANVAS];
    float logits[CANVAS * VOCAB];
    d.steps = 40;
    d.seed = seed;
    d.allowed_confidence = seed % 2;
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    EXPECT_OK(dimple_session_begin(s, &d));
    for (int32_t i = 0; i < CANVAS; i++) {
      int32_t forced = only_token(&r, before, 0, i);
      canvas[i] = forced >= 0 ? forced : (int32_t)(draw_word(d.seed, 0, (uint32_t)i, DRAW_CANVAS, 0) * (uint64_t)VOCAB >> 32);
    }
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT(!step.done, "seed %d: over at once", (int)seed);
    canvas_logits(m, before, 0, canvas, logits);
    EXPECT_OK(dimple_session_complete(s, &step));
    for (int32_t i = 0; i < step.revealed_count; i++) {
      int32_t position = step.revealed[i];
      bool scored = position < CANVAS;
      EXPECT(scored == !isnan(step.log_probability[i]), "seed %d, position %d: log-probability %g", (int)seed, position, (double)step.log_probability[i]);
      EXPECT(scored || step.confidence[i] == -FLT_MAX, "seed %d, position %d: confidence %g", (int)seed, position, (double)step.confidence[i]);
      if (!scored) continue;
      const float *z = logits + position * VOCAB;
      double expected = log_probability_in(z, 0, step.canvas[position]);
      EXPECT(fabs(step.log_probability[i] - expected) < 1e-3, "seed %d, position %d: log-probability %g, expected %g", (int)seed, position, (double)step.log_probability[i],
             expected);
      EXPECT(step.confidence[i] <= 0 && step.confidence[i] > -5, "seed %d, position %d: confidence %g", (int)seed, position, (double)step.confidence[i]);
      EXPECT(d.allowed_confidence || fabs(step.confidence[i] - negentropy(z, d.t_max)) < 1e-3, "seed %d, position %d: confidence %g, expected %g", (int)seed, position,
             (double)step.confidence[i], negentropy(z, d.t_max));
      among_all += !d.allowed_confidence;
      sure++;
    }
    EXPECT(sure > CANVAS / 2, "seed %d: %d are judged", (int)seed, sure);
    dimple_constraint_free(r.constraint);
  }
  EXPECT(among_all > 2 * CANVAS, "%d are judged among all tokens", among_all);
  dimple_session_free(s);
  dimple_model_free(m);
}

/* Every canvas is settled as the best path through its logits that some response goes on from. */
static void canvases_are_best_paths(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_DIFFUSION_GEMMA});
  dimple_session *s = text_session(m, 1, 1);
  int32_t judged = 0, ended = 0;
  for (uint64_t seed = 0; seed < 12; seed++) {
    rule r = open_rule(seed, 0, seed % 2 ? 14 : 3);
    int32_t tokens[RESPONSE];
    dimple_step step = {0};
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
    d.steps = 1;
    d.seed = seed;
    d.complete = seed % 2;
    d.allowed_confidence = seed % 3 > 0;
    EXPECT_OK(dimple_session_set_constraint(s, r.constraint));
    EXPECT_OK(dimple_session_begin(s, &d));
    for (int32_t first = 0; !step.done; first += CANVAS) {
      int32_t canvas[CANVAS], number = step.canvas ? step.iteration + 1 : 0;
      float logits[CANVAS * VOCAB];
      for (int32_t i = 0; i < CANVAS; i++) {
        int32_t forced = only_token(&r, tokens, first, first + i);
        canvas[i] = forced >= 0 ? forced : (int32_t)(draw_word(d.seed, (uint32_t)number, (uint32_t)(first + i), DRAW_CANVAS, 0) * (uint64_t)VOCAB >> 32);
      }
      EXPECT_OK(dimple_session_step(s, &step));
      memcpy(tokens, step.canvas, sizeof tokens);
      EXPECT(can_fit(&r, tokens, RESPONSE), "seed %d: nothing fits the canvas at %d", (int)seed, first);
      canvas_logits(m, tokens, first, canvas, logits);
      double found = best_sum(&r, tokens, first, logits, tokens), best = best_sum(&r, tokens, first, logits, NULL);
      EXPECT(fabs(found - best) < 1e-3, "seed %d, canvas at %d: a sum of %g, the best one is %g", (int)seed, first, found, best);
      judged++;
      ended += step.done && first == 0;
    }
    EXPECT(step.remaining == 0 || !d.complete, "%d positions are left", step.remaining);
    dimple_constraint_free(r.constraint);
  }
  EXPECT(judged > 12 && ended > 0 && ended < 12, "%d canvases judged, %d decodings ended in the first", judged, ended);
  dimple_session_free(s);
  dimple_model_free(m);
}

/* The canvas behind an answer so far, and what comes later. */
static dimple_status set_part(dimple_session *s, const rule *r, const int32_t *response, int32_t first, int32_t length) {
  EXPECT_OK(dimple_session_set_answer(s, response, first));
  EXPECT_OK(dimple_session_set_response(s, response + first, length));
  return dimple_session_set_constraint_part(s, r->constraint, response + first + length, RESPONSE - first - length);
}

/* One of several canvases, after each iteration of which something fits the whole. */
static void decode_part(dimple_session *s, const rule *r, const dimple_decoding *d, int32_t *response, int32_t first, int32_t length) {
  dimple_step step = {0};
  EXPECT_OK(set_part(s, r, response, first, length));
  EXPECT_OK(dimple_session_begin(s, d));
  while (!step.done) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "%s", dimple_last_error());
    if (status != DIMPLE_OK) return;
    memcpy(response + first, step.canvas, (size_t)length * sizeof *response);
    EXPECT(can_fit(r, response, RESPONSE), "pipeline %d, algorithm %d: nothing fits the canvas at %d", d->pipeline, d->algorithm, first);
  }
  EXPECT_OK(dimple_session_complete(s, &step));
  memcpy(response + first, step.canvas, (size_t)length * sizeof *response);
}

static void canvases_make_one_response(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  int32_t tried = 0, later = 0;
  for (uint64_t seed = 0; seed < 24; seed++) {
    rule r = open_rule(seed, 4, 14);
    int32_t length = 3 + (int32_t)(seed % 5), response[RESPONSE];
    dimple_decoding d = varied_decoding(seed % 2 ? DIMPLE_PIPELINE_LLADA : DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS, (int32_t)seed, seed);
    if (d.cache != DIMPLE_CACHE_NONE) d.pipeline = DIMPLE_PIPELINE_LLADA;
    d.steps = length;
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = MASK;
    if (dimple_decoding_validate(&d) != DIMPLE_OK) d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    for (int32_t first = 0; first < RESPONSE; first += length)
      decode_part(s, &r, &d, response, first, length < RESPONSE - first ? length : RESPONSE - first);
    EXPECT(can_fit(&r, response, RESPONSE), "seed %d: the whole does not fit", (int)seed);
    for (int32_t i = 0; i < RESPONSE; i++) EXPECT(response[i] != MASK, "seed %d: position %d is masked", (int)seed, i);
    tried++;
    later += r.words.kinds[response[length]] == DIMPLE_TOKEN_TEXT;
    dimple_constraint_free(r.constraint);
  }
  EXPECT(tried == 24 && later > 12, "of %d responses %d go on in a second canvas", tried, later);

  rule r = open_rule(0, 4, 6);
  int32_t response[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = i == 1 ? IMAGE : MASK;
  response[0] = MASK - 1; /* a filler */
  EXPECT_FAILS(set_part(s, &r, response, 2, 3), DIMPLE_ERROR_ARGUMENT, "at position 0");
  EXPECT_OK(dimple_session_set_answer(s, NULL, 0));
  set_masks(s, 2);
  EXPECT_FAILS(dimple_session_set_constraint_part(s, r.constraint, response + 2, 1), DIMPLE_ERROR_LIMIT, "but the response has 3");
  EXPECT_OK(dimple_session_set_constraint_part(s, r.constraint, response + 2, 12));
  EXPECT_FAILS(dimple_session_set_constraint_part(s, r.constraint, NULL, 2), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(dimple_session_set_constraint_part(s, NULL, NULL, 0), DIMPLE_ERROR_ARGUMENT, "constraint is null");
  EXPECT_FAILS(dimple_session_set_constraint_part(s, r.constraint, response, -1), DIMPLE_ERROR_ARGUMENT, "-1 tokens");
  EXPECT_NULL_REFUSED(dimple_session_set_constraint_part(NULL, r.constraint, NULL, 0));
  dimple_constraint_free(r.constraint);
  dimple_session_free(s);
}

int main(void) {
  if (fixture_open()) {
    completed_canvases_are_judged();
    canvases_are_best_paths();
    canvases_make_one_response();
  }
  fixture_close();
  return expect_summary("constrained canvases");
}
