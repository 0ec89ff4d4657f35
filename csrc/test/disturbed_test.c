/* What a session is asked besides, and what it did before, changes no decoding: any settings, of every family. */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "test/random_session.h"

/* A decoding of which all behind a position is left out, after some iterations; where it cannot be, nothing is. */
typedef struct cut {
  int32_t after, length; /* after -1: none */
} cut;

static float logits[CONTEXT * VOCAB];
static int32_t cancelled, before, shortened;

/* A question that is answered, or one that is refused. */
static void ask(const random_session *s, random_numbers *r, bool begun) {
  static const int32_t response[] = {MASK, 3, MASK}, targets[] = {1, -1, 2}, twice[] = {5, 5}, beyond[] = {MASK, VOCAB};
  static const float values[] = {1, 2};
  int32_t tokens[CONTEXT * 4];
  float likely[CONTEXT * 4];
  dimple_decoding wrong = s->decoding;
  dimple_step step;
  wrong.temperature = -1;
  switch (random_below(r, 10)) {
    case 0: dimple_session_get_logits(s->session, logits, (int64_t)s->rows * VOCAB); break;
    case 1: dimple_session_score(s->session, response, targets, 3, 0, logits); break;
    case 2: dimple_session_alternatives(s->session, 4, tokens, likely); break;
    case 3: EXPECT(dimple_session_set_bias(s->session, twice, values, 2) != DIMPLE_OK, "a bias of one token twice"); break;
    case 4: EXPECT_FAILS(dimple_session_begin(s->session, &wrong), DIMPLE_ERROR_ARGUMENT, "temperature"); break;
    case 5: EXPECT(dimple_session_set_response(s->session, beyond, 2) != DIMPLE_OK, "a response of no token"); break;
    case 6: EXPECT(dimple_session_set_prompt(s->session, beyond, 2, NULL, 0) != DIMPLE_OK, "a prompt of no token"); break;
    case 7: EXPECT(dimple_session_reveal(s->session, beyond, response, 1, &step) != DIMPLE_OK, "nothing was looked at"); break;
    case 8: EXPECT_OK(dimple_session_prefill(s->session)); break;
    default:
      if (!begun) break;
      dimple_session_cancel(s->session);
      EXPECT_FAILS(dimple_session_step(s->session, &step), DIMPLE_ERROR_CANCELLED, "cancelled");
      cancelled++;
  }
}

/* Steps to the end; r null: undisturbed. */
static outcome outcome_of(const random_session *s, cut out, bool denoises, random_numbers *r) {
  outcome o = fresh_outcome();
  dimple_step step = {0};
  o.denoises = denoises;
  for (int32_t i = 0; !step.done && i < 200; i++) {
    for (int32_t n = r ? random_below(r, 3) : 0; n > 0; n--) ask(s, r, true);
    if (i == out.after) shortened += dimple_session_shorten(s->session, out.length) == DIMPLE_OK;
    dimple_status status = dimple_session_step(s->session, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", i, dimple_last_error());
    if (status != DIMPLE_OK) break;
    o.remaining = step.remaining;
    o.iterations++;
    for (int32_t k = 0; k < step.revealed_count; k++) {
      o.when[step.revealed[k]] = i;
      o.confidence[step.revealed[k]] = step.confidence[k];
    }
    memcpy(o.tokens, step.canvas, (size_t)step.canvas_length * sizeof *o.tokens);
  }
  return o;
}

/* Another decoding of the same response, not always to its end. */
static void decode_another(dimple_model *m, const random_session *s, random_numbers *r) {
  dimple_step step = {0};
  dimple_decoding d = random_decoding(m, r);
  for (int32_t tries = 0; dimple_session_begin(s->session, &d) != DIMPLE_OK; tries++) {
    if (tries == 1000) return;
    d = random_decoding(m, r);
  }
  int32_t most = random_below(r, 2) ? 1 + random_below(r, 4) : 100;
  for (int32_t i = 0; i < most && !step.done; i++) {
    if (random_below(r, 6) == 0) dimple_session_shorten(s->session, 1 + random_below(r, 6));
    EXPECT_OK(dimple_session_step(s->session, &step));
  }
  before++;
}

static void compare(dimple_model *m, bool pictures, uint64_t seed) {
  random_numbers r = {.seed = seed + 1000000};
  random_session alone, disturbed;
  bool decodes = random_session_open(m, pictures, seed, &alone) && random_session_open(m, pictures, seed, &disturbed);
  EXPECT(decodes, "no decoding found for %d", (int)seed);
  if (!decodes) return;
  cut out = {random_below(&r, 3) ? -1 : random_below(&r, 4), 1 + random_below(&r, 6)};
  outcome expected = outcome_of(&alone, out, m->text.canvases, NULL);
  if (random_below(&r, 2)) decode_another(m, &disturbed, &r);
  if (random_below(&r, 2)) ask(&disturbed, &r, false);
  random_session_begin(&disturbed);
  outcome found = outcome_of(&disturbed, out, m->text.canvases, &r);
  EXPECT(same_outcome(&expected, &found) && expected.iterations == found.iterations,
         "seed %d (pipeline %d, algorithm %d, cache %d, block length %d, after %d %d are left): %d iterations, undisturbed %d", (int)seed,
         alone.decoding.pipeline, alone.decoding.algorithm, alone.decoding.cache, alone.decoding.block_length, out.after, out.length, found.iterations,
         expected.iterations);
  dimple_session_free(alone.session);
  dimple_session_free(disturbed.session);
}

int main(int argc, char **argv) {
  int32_t rounds = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 100;
  if (fixture_open()) {
    for (int family = 0; family < FAMILY_COUNT; family++) {
      bool pictures = family == FAMILY_DIMPLE || family == FAMILY_DIMPLE_BLOCK || family == FAMILY_SDAR_VL || family == FAMILY_LLADA_V ||
                      family == FAMILY_LAVIDA_DREAM;
      dimple_model *m = random_model((model_shape){.family = (model_family)family, .vision = pictures, .expands = family == FAMILY_DREAM});
      for (int32_t round = 0; m && round < rounds; round++) compare(m, pictures, (uint64_t)(family * 100000 + round));
      dimple_model_free(m);
    }
    EXPECT(rounds < 4 || (cancelled > 0 && before > 0 && shortened > 0), "%d were cancelled, %d came behind others, %d were shortened", cancelled, before,
           shortened);
  }
  fixture_close();
  return expect_summary("disturbed");
}
