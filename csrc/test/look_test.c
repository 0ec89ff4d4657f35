/* Decodings whose decisions are the caller's: candidates, what is revealed, biases, and the order of calls. */
#include <math.h>
#include <string.h>

#include "test/session_fixture.h"

/* Everything above the threshold, or the first candidate: what the session lends is given back to it as it is. */
static outcome decode_by_hand(dimple_session *s, const dimple_decoding *d, float threshold) {
  outcome o = fresh_outcome();
  dimple_candidates found;
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  while (!step.done) {
    int32_t positions[RESPONSE], tokens[RESPONSE], count = 0;
    EXPECT_OK(dimple_session_look(s, &found));
    for (int32_t i = 0; i < found.count; i++) {
      if (found.confidence[i] <= threshold) continue;
      positions[count] = found.positions[i];
      tokens[count++] = found.tokens[i];
    }
    EXPECT_OK(count > 0 ? dimple_session_reveal(s, positions, tokens, count, &step)
                        : dimple_session_reveal(s, found.positions, found.tokens, 1, &step));
    note_step(&step, &o);
  }
  return o;
}

/* Of autoregressive decoding the first position is what is due; above the threshold it is the same. */
static void equal_to_the_built_in(dimple_model *m, int32_t prefill) {
  static const float thresholds[] = {0.02f, 0.05f, 0.1f};
  dimple_session *s = text_session(m, 1, prefill);
  for (int32_t i = 0; i < 6; i++) {
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_AUTOREGRESSIVE);
    d.threshold = thresholds[i % 3];
    d.temperature = i < 3 ? 0 : 0.7f;
    d.steps = 1000; /* so that the last one, which reveals everything, is far */
    outcome built = decode(s, &d), mine = decode_by_hand(s, &d, d.threshold);
    EXPECT(memcmp(built.tokens, mine.tokens, sizeof built.tokens[0] * RESPONSE) == 0 && built.iterations == mine.iterations,
           "threshold %g, temperature %g: %d iterations, built in %d", (double)d.threshold, (double)d.temperature,
           mine.iterations, built.iterations);
  }
  dimple_session_free(s);
}

/* All of at least the threshold, or the surest: what pipeline llada reveals in its blocks, whatever is cached. */
static outcome decode_blocks_by_hand(dimple_session *s, const dimple_decoding *d) {
  outcome o = fresh_outcome();
  dimple_candidates found;
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, d));
  while (!step.done) {
    int32_t positions[RESPONSE], tokens[RESPONSE], count = 0, best = 0;
    EXPECT_OK(dimple_session_look(s, &found));
    for (int32_t i = 0; i < found.count; i++) {
      if (found.confidence[i] > found.confidence[best]) best = i;
      if (found.confidence[i] < d->threshold) continue;
      positions[count] = found.positions[i];
      tokens[count++] = found.tokens[i];
    }
    EXPECT_OK(count > 0 ? dimple_session_reveal(s, positions, tokens, count, &step)
                        : dimple_session_reveal(s, found.positions + best, found.tokens + best, 1, &step));
    note_step(&step, &o);
  }
  return o;
}

static void blocks_equal_to_the_built_in(dimple_model *m) {
  dimple_session *s = text_session(m, 1, 1);
  for (int32_t i = 0; i < 12; i++) {
    dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.block_length = i % 2 ? 4 : 7;
    d.cache = DIMPLE_CACHE_NONE + i / 2 % 3;
    d.threshold = i < 6 ? 0.03f : 0.08f;
    d.steps = 1000;
    outcome built = decode(s, &d), mine = decode_blocks_by_hand(s, &d);
    EXPECT(memcmp(built.tokens, mine.tokens, sizeof built.tokens[0] * RESPONSE) == 0 && built.iterations == mine.iterations,
           "blocks of %d, cache %d: %d iterations, built in %d", d.block_length, d.cache, mine.iterations, built.iterations);
  }
  dimple_session_free(s);
}

/* A caller who reveals nothing gets through all blocks, and the masks stay. */
static void blocks_end_with_their_steps(int32_t pipeline, int32_t cache) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(pipeline, pipeline == DIMPLE_PIPELINE_LLADA ? DIMPLE_ALGORITHM_CREDIT : DIMPLE_ALGORITHM_ENTROPY);
  dimple_candidates found;
  dimple_step step = {0};
  int32_t block = 5, blocks = (RESPONSE + block - 1) / block, beyond = RESPONSE - 1, token = 4, iterations = 0;
  d.block_length = block;
  d.cache = cache;
  d.steps = 2 * blocks;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (; !step.done && iterations < 100; iterations++) {
    EXPECT_OK(dimple_session_look(s, &found));
    int32_t first = iterations / 2 * block, end = first + block < RESPONSE ? first + block : RESPONSE;
    EXPECT(found.count == end - first && found.positions[0] == first, "iteration %d: %d candidates from %d", iterations, found.count,
           found.positions[0]);
    if (end < RESPONSE)
      EXPECT_FAILS(dimple_session_reveal(s, &beyond, &token, 1, &step), DIMPLE_ERROR_ARGUMENT, "expected masked ones of the block");
    EXPECT_OK(dimple_session_reveal(s, NULL, NULL, 0, &step));
  }
  EXPECT(iterations == 2 * blocks && step.remaining == RESPONSE, "%d iterations, %d masked", iterations, step.remaining);
  dimple_session_free(s);
}

/* The best tokens of each position: falling log-probabilities of which the first are the candidates', those of the whole logits. */
static void alternatives_of_each(dimple_model *m, bool biased) {
  enum { LISTED = 5 };
  dimple_session *s = text_session(m, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.block_length = 6;
  dimple_candidates found;
  int32_t tokens[RESPONSE * LISTED], banned = 3;
  float likely[RESPONSE * LISTED], ban = -INFINITY, logits[(PROMPT + RESPONSE) * VOCAB];
  EXPECT_OK(dimple_session_begin(s, &d));
  if (biased) EXPECT_OK(dimple_session_set_bias(s, &banned, &ban, 1));
  EXPECT_FAILS(dimple_session_alternatives(s, LISTED, tokens, likely), DIMPLE_ERROR_STATE,
               "call dimple_session_look or dimple_session_step first");
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT_FAILS(dimple_session_alternatives(s, 0, tokens, likely), DIMPLE_ERROR_ARGUMENT, "count is 0, expected 1 to 64");
  EXPECT_FAILS(dimple_session_alternatives(s, 65, tokens, likely), DIMPLE_ERROR_ARGUMENT, "count is 65, expected 1 to 64");
  EXPECT_NULL_REFUSED(dimple_session_alternatives(NULL, LISTED, tokens, likely));
  EXPECT_NULL_REFUSED(dimple_session_alternatives(s, LISTED, NULL, likely));
  EXPECT_NULL_REFUSED(dimple_session_alternatives(s, LISTED, tokens, NULL));
  EXPECT_OK(dimple_session_alternatives(s, LISTED, tokens, likely));
  EXPECT(found.count == 6, "%d candidates", found.count);
  for (int32_t i = 0; i < found.count; i++) {
    const int32_t *of = tokens + i * LISTED;
    const float *p = likely + i * LISTED;
    EXPECT(of[0] == found.tokens[i] && fabsf(p[0] - found.log_probability[i]) < 1e-5f, "position %d: token %d, %g", i, of[0], (double)p[0]);
    for (int32_t k = 0; k < LISTED; k++) {
      EXPECT(of[k] >= 0 && of[k] != MASK && (!biased || of[k] != banned) && (k == 0 || p[k] <= p[k - 1]),
             "position %d: alternative %d is %d", i, k, of[k]);
      for (int32_t j = 0; j < k; j++) EXPECT(of[j] != of[k], "position %d: token %d twice", i, of[k]);
    }
  }
  EXPECT_OK(dimple_session_get_logits(s, logits, (PROMPT + RESPONSE) * VOCAB));
  EXPECT_FAILS(dimple_session_alternatives(s, LISTED, tokens, likely), DIMPLE_ERROR_STATE, "call dimple_session_look again");
  dimple_session_free(s);
}

static void order_of_calls(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_candidates found;
  dimple_step step;
  int32_t position = 0, token = 4, two[] = {3, 2}, mask = MASK;
  float value = 1;
  EXPECT_FAILS(dimple_session_look(s, &found), DIMPLE_ERROR_STATE, "has not begun");
  EXPECT_FAILS(dimple_session_set_bias(s, &token, &value, 1), DIMPLE_ERROR_STATE, "has not begun");
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_reveal(s, &position, &token, 1, &step), DIMPLE_ERROR_STATE, "call dimple_session_look first");
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT(found.count == RESPONSE && found.iteration == 0, "%d candidates of iteration %d", found.count, found.iteration);
  EXPECT_NULL_REFUSED(dimple_session_look(NULL, &found));
  EXPECT_NULL_REFUSED(dimple_session_look(s, NULL));
  EXPECT_NULL_REFUSED(dimple_session_reveal(NULL, &position, &token, 1, &step));
  EXPECT_NULL_REFUSED(dimple_session_reveal(s, NULL, &token, 1, &step));
  EXPECT_NULL_REFUSED(dimple_session_reveal(s, &position, NULL, 1, &step));
  EXPECT_NULL_REFUSED(dimple_session_reveal(s, &position, &token, 1, NULL));
  EXPECT_FAILS(dimple_session_reveal(s, &position, &token, -1, &step), DIMPLE_ERROR_ARGUMENT, "count is -1");
  EXPECT_FAILS(dimple_session_reveal(s, two, two, 2, &step), DIMPLE_ERROR_ARGUMENT, "position 2 is revealed, expected masked ones");
  EXPECT_OK(dimple_session_reveal(s, &position, &token, 1, &step));
  EXPECT(step.canvas[0] == token && step.remaining == RESPONSE - 1 && step.iteration == 0, "not revealed");
  EXPECT_FAILS(dimple_session_reveal(s, &position, &token, 1, &step), DIMPLE_ERROR_STATE, "call dimple_session_look first");
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT_FAILS(dimple_session_reveal(s, &position, &token, 1, &step), DIMPLE_ERROR_ARGUMENT, "position 0 is revealed");
  position = 1;
  EXPECT_OK(dimple_session_reveal(s, &position, &mask, 1, &step)); /* stays masked */
  EXPECT(step.remaining == RESPONSE - 1 && step.iteration == 1, "%d masked", step.remaining);
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT_OK(dimple_session_step(s, &step)); /* the core decides, and the candidates are gone */
  EXPECT_FAILS(dimple_session_reveal(s, &position, &token, 1, &step), DIMPLE_ERROR_STATE, "call dimple_session_look first");
  dimple_session_cancel(s);
  EXPECT_FAILS(dimple_session_look(s, &found), DIMPLE_ERROR_CANCELLED, "cancelled");
  EXPECT_OK(dimple_session_look(s, &found));
  dimple_session_free(s);
}

static void what_is_masked_again_is_not_the_callers(dimple_model *unshifted) {
  dimple_session *s = text_session(unshifted, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_WINO);
  dimple_candidates found;
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_look(s, &found), DIMPLE_ERROR_UNSUPPORTED, "algorithm wino decides by itself");
  dimple_session_free(s);
}

static void biases(void) {
  dimple_session *s = text_session(text_model, 1, 1);
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step;
  int32_t tokens[] = {3, 40}, down[] = {40, 3}, outside[] = {3, VOCAB}, many[VOCAB];
  float values[] = {500, -INFINITY}, wrong[] = {0, INFINITY}, large[] = {65537, 0}, all[VOCAB] = {0};
  for (int32_t i = 0; i < VOCAB; i++) many[i] = i;
  outcome plain = decode(s, &d);
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_set_bias(s, NULL, values, 2), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(dimple_session_set_bias(s, tokens, NULL, 2), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(dimple_session_set_bias(s, tokens, values, -1), DIMPLE_ERROR_ARGUMENT, "count is -1");
  EXPECT_FAILS(dimple_session_set_bias(s, down, values, 2), DIMPLE_ERROR_ARGUMENT, "token 3 stands behind token 40");
  EXPECT_FAILS(dimple_session_set_bias(s, outside, values, 2), DIMPLE_ERROR_ARGUMENT, "token 1 is 96, expected 0 to 95");
  EXPECT_FAILS(dimple_session_set_bias(s, tokens, wrong, 2), DIMPLE_ERROR_ARGUMENT, "bias: inf for token 40");
  EXPECT_FAILS(dimple_session_set_bias(s, tokens, large, 2), DIMPLE_ERROR_ARGUMENT, "bias: 65537 for token 3");
  EXPECT_FAILS(dimple_session_set_bias(s, many, all, VOCAB), DIMPLE_ERROR_ARGUMENT, "all 96 tokens");
  for (int32_t i = 0; i < MASK; i++) all[i] = -INFINITY;
  EXPECT_FAILS(dimple_session_set_bias(s, many, all, MASK), DIMPLE_ERROR_ARGUMENT, "every token but the mask is banned");
  EXPECT_OK(dimple_session_set_bias(s, many, all, MASK - 1)); /* one is left */
  all[EOS] = 0;
  EXPECT_OK(dimple_session_set_bias(s, many, all, MASK));
  dimple_decoding without_ends = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  without_ends.no_eos_logits = 1;
  EXPECT_OK(dimple_session_begin(s, &without_ends)); /* and here it is barred */
  EXPECT_FAILS(dimple_session_set_bias(s, many, all, MASK), DIMPLE_ERROR_ARGUMENT, "every token but the mask is banned");
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_set_bias(s, tokens, values, 2));
  EXPECT_OK(dimple_session_step(s, &step)); /* for decisions of the core, too */
  for (int32_t i = 0; i < step.revealed_count; i++)
    EXPECT(step.canvas[step.revealed[i]] == 3, "token %d is not favoured", step.canvas[step.revealed[i]]);
  outcome again = decode(s, &d);
  EXPECT(same_outcome(&plain, &again), "a bias outlives its decoding");
  dimple_session_free(s);
}

/* Behind each step: the best tokens of what it revealed, the revealed one with the step's own log-probability among them or, where VOCAB is more than
 * are listed, less likely than all of them. */
static void alternatives_of_what_was_revealed(dimple_model *m, int32_t pipeline, int32_t algorithm, float temperature, float guidance) {
  enum { LISTED = 40 };
  dimple_session *s = text_session(m, 1, 1);
  dimple_decoding d = decoding_of(pipeline, algorithm);
  d.temperature = temperature;
  d.guidance_scale = guidance;
  d.steps = 7;
  int32_t tokens[RESPONSE * LISTED], banned = 3, listed = 0;
  float likely[RESPONSE * LISTED], ban = -INFINITY, logits[(PROMPT + RESPONSE) * VOCAB];
  dimple_step step = {0};
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_OK(dimple_session_set_bias(s, &banned, &ban, 1)); /* has no part in it */
  while (!step.done) {
    EXPECT_OK(dimple_session_step(s, &step));
    EXPECT_OK(dimple_session_alternatives(s, LISTED, tokens, likely));
    for (int32_t i = 0; i < step.revealed_count; i++) {
      const int32_t *of = tokens + i * LISTED;
      const float *p = likely + i * LISTED;
      int32_t at = 0, revealed = step.canvas[step.revealed[i]];
      if (isnan(step.log_probability[i])) {
        EXPECT(of[0] == -1 && isnan(p[0]), "position %d, which no pass decided, has %d", step.revealed[i], of[0]);
        continue;
      }
      while (at < LISTED && of[at] != revealed) at++;
      EXPECT(at < LISTED ? fabsf(p[at] - step.log_probability[i]) < 1e-4f : p[LISTED - 1] >= step.log_probability[i] - 1e-4f,
             "pipeline %d, position %d: token %d is number %d, %g, revealed with %g", pipeline, step.revealed[i], revealed, at,
             (double)p[at < LISTED ? at : LISTED - 1], (double)step.log_probability[i]);
      for (int32_t k = 1; k < LISTED; k++) EXPECT(of[k] >= 0 && p[k] <= p[k - 1], "alternative %d is %d", k, of[k]);
      listed++;
    }
  }
  EXPECT(listed > RESPONSE / 2, "%d listed", listed);
  EXPECT_FAILS(dimple_session_alternatives(s, 65, tokens, likely), DIMPLE_ERROR_ARGUMENT, "count is 65, expected 1 to 64");
  EXPECT_OK(dimple_session_get_logits(s, logits, (PROMPT + RESPONSE) * VOCAB));
  EXPECT(dimple_session_alternatives(s, LISTED, tokens, likely) == DIMPLE_ERROR_STATE, "rows that are gone are listed");
  dimple_session_free(s);
}

int main(void) {
  if (!fixture_open()) return 1;
  dimple_model *unshifted = random_model((model_shape){.family = FAMILY_LLADA});
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    equal_to_the_built_in(text_model, prefill);
    equal_to_the_built_in(unshifted, prefill);
  }
  blocks_equal_to_the_built_in(text_model);
  blocks_equal_to_the_built_in(unshifted);
  for (int32_t cache = DIMPLE_CACHE_NONE; cache <= DIMPLE_CACHE_DUAL; cache++) blocks_end_with_their_steps(DIMPLE_PIPELINE_LLADA, cache);
  blocks_end_with_their_steps(DIMPLE_PIPELINE_DREAM, DIMPLE_CACHE_PREFIX);
  blocks_end_with_their_steps(DIMPLE_PIPELINE_DREAM, DIMPLE_CACHE_DUAL);
  what_is_masked_again_is_not_the_callers(unshifted);
  for (int32_t biased = 0; biased < 2; biased++) {
    alternatives_of_each(text_model, biased);
    alternatives_of_each(unshifted, biased);
  }
  for (int32_t heat = 0; heat < 2; heat++) {
    float temperature = 0.7f * (float)heat;
    alternatives_of_what_was_revealed(text_model, DIMPLE_PIPELINE_DIM, DIMPLE_ALGORITHM_MASKGIT_PLUS, temperature, 0);
    alternatives_of_what_was_revealed(text_model, DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_ORIGIN, temperature, 0); /* positions first */
    alternatives_of_what_was_revealed(unshifted, DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS, temperature, 1.5f);
    alternatives_of_what_was_revealed(unshifted, DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_WINO, temperature, 0);
    alternatives_of_what_was_revealed(unshifted, DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_CREDIT, temperature, 0); /* what it adds to logits has no part in it */
  }
  dimple_model_free(unshifted);
  order_of_calls();
  biases();
  fixture_close();
  return expect_summary("look");
}
