/* Whole decodings: every pipeline and algorithm, seeds, schedules, fixed tokens. */
#include <string.h>

#include "test/session_fixture.h"

/* Every pipeline and algorithm runs to its end on both models, with and without prefill, greedily and drawing. */
static void every_decoding_ends(void) {
  for (int32_t variant = 0; variant < 8; variant++) {
    dimple_session *s = variant & 1 ? picture_session(vision_model, 2, variant >> 1 & 1) : text_session(text_model, 2, variant >> 1 & 1);
    for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
      for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
        if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
        dimple_decoding d = decoding_of(pipeline, algorithm);
        d.temperature = variant & 4 ? 0.7f : 0;
        bool judged = pipeline == DIMPLE_PIPELINE_DIM && algorithm != DIMPLE_ALGORITHM_ENTROPY;
        d.threshold = variant & 4 && judged ? 0.5f : 0;
        d.top_p = variant & 4 ? 0.9f : 1;
        outcome o = decode(s, &d);
        int32_t masks = 0;
        for (int32_t i = 0; i < RESPONSE; i++) masks += o.tokens[i] == MASK;
        EXPECT(o.remaining == masks, "%d and %d", o.remaining, masks);
        EXPECT(o.remaining == 0 || (variant & 4 && o.drawn_masks > 0 && !d.complete), "pipeline %d algorithm %d variant %d: %d masks left", pipeline,
               algorithm, variant, o.remaining);
        bool whole = o.iterations == RESPONSE || (o.drawn_masks > 0 && o.iterations == RESPONSE + 1);
        EXPECT(pipeline == DIMPLE_PIPELINE_DIM || whole, "%d iterations", o.iterations);
        EXPECT(o.forward_passes >= 1 && o.forward_passes <= o.iterations, "%d passes in %d iterations", o.forward_passes,
               o.iterations);
      }
    }
    dimple_session_free(s);
  }
}

static void seeds_matter(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
      if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
      dimple_decoding d = decoding_of(pipeline, algorithm);
      d.temperature = 0.7f;
      dimple_session *s = text_session(text_model, 1, 1), *t = text_session(text_model, 2, 1);
      d.seed = 1;
      outcome a = decode(s, &d), b = decode(t, &d);
      d.seed = 1u + (1ull << 32); /* the upper half counts too */
      outcome c = decode(s, &d);
      EXPECT(same_outcome(&a, &b), "pipeline %d algorithm %d: one seed, two results", pipeline, algorithm);
      EXPECT(memcmp(a.tokens, c.tokens, sizeof a.tokens) != 0, "pipeline %d algorithm %d: two seeds, one result", pipeline, algorithm);
      dimple_session_free(s);
      dimple_session_free(t);
    }
  }
}

static void fixed_tokens_stay(void) {
  int32_t response[RESPONSE];
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = i % 3 == 0 ? 10 + i : MASK;
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = text_session(text_model, 1, prefill);
    EXPECT_OK(dimple_session_set_response(s, response, RESPONSE));
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    outcome o = decode(s, &d);
    for (int32_t i = 0; i < RESPONSE; i++)
      EXPECT(i % 3 ? o.when[i] >= 0 : o.when[i] == -1 && o.tokens[i] == 10 + i, "position %d is %d from iteration %d", i,
             o.tokens[i], o.when[i]);
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = response[i] == MASK ? 3 : response[i];
    EXPECT_OK(dimple_session_set_response(s, response, RESPONSE)); /* nothing is masked */
    o = decode(s, &d);
    EXPECT(o.iterations == 1 && o.forward_passes == 0 && memcmp(o.tokens, response, sizeof response) == 0,
           "%d iterations, %d passes", o.iterations, o.forward_passes);
    for (int32_t i = 0; i < RESPONSE; i++) response[i] = i % 3 == 0 ? 10 + i : MASK;
    dimple_session_free(s);
  }
}

static void autoregressive_needs_enough_steps(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    dimple_decoding d = decoding_of(pipeline, DIMPLE_ALGORITHM_AUTOREGRESSIVE);
    d.steps = 5;
    d.complete = 0;
    outcome o = decode(s, &d);
    EXPECT(o.iterations == 5 && o.remaining == RESPONSE - 5, "%d left after %d iterations", o.remaining, o.iterations);
    for (int32_t i = 0; i < RESPONSE; i++) EXPECT(o.when[i] == (i < 5 ? i : -1), "position %d in iteration %d", i, o.when[i]);
    d.complete = 1;
    outcome whole = decode(s, &d);
    EXPECT(whole.iterations == RESPONSE && whole.remaining == 0, "%d left after %d iterations", whole.remaining, whole.iterations);
    EXPECT(memcmp(o.tokens, whole.tokens, 5 * sizeof *o.tokens) == 0, "it begins with other tokens");
  }
  dimple_session_free(s);
}

/* Pipeline dream passes empty iterations without running the model. */
static void empty_iterations_cost_nothing(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  set_masks(s, 8);
  dimple_decoding d = decoding_of(1, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 32;
  outcome o = decode(s, &d);
  EXPECT(o.iterations == 32 && o.remaining == 0 && o.forward_passes == 7, "%d iterations, %d passes", o.iterations, o.forward_passes);
  dimple_session_free(s);
}

int main(void) {
  if (fixture_open()) {
    every_decoding_ends();
    seeds_matter();
    fixed_tokens_stay();
    autoregressive_needs_enough_steps();
    empty_iterations_cost_nothing();
  }
  fixture_close();
  return expect_summary("decoding");
}
