/* LaViDa's decoding on Dream: the first token is the prompt's, what a step reveals, and that the prompt does not see the response. The tokens are
 * ConformanceTest's. */
#include <math.h>
#include <string.h>

#include "diffusion/schedule.h"
#include "test/session_fixture.h"

enum { LENGTH = 12 };

static dimple_decoding decoding_with(int32_t steps, float shift) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LAVIDA_DREAM, DIMPLE_ALGORITHM_TOPK_MARGIN);
  d.steps = steps;
  d.schedule_shift = shift;
  return d;
}

/* Of `masked` positions that are left, `masks` when the schedule began. */
static int32_t due_of(const dimple_decoding *d, int32_t step, int32_t masked, int32_t masks) {
  int32_t steps = d->steps < LENGTH ? d->steps : LENGTH, spread = d->steps < masks ? d->steps : masks;
  if (d->schedule_shift > 0) return schedule_shifted(masks, spread, d->schedule_shift, step);
  if (step == steps - 1) return masked;
  return schedule_count(masked, schedule_level(steps, d->epsilon, step), schedule_level(steps, d->epsilon, step + 1));
}

/* The first position alone, unless it is given; then those of the schedule, of as many steps as there are positions, or masks, at most. */
static void steps_reveal_what_is_due(dimple_session *s) {
  static const float shifts[] = {0, 0.33f, 3};
  for (int32_t steps = 1; steps <= 2 * LENGTH; steps += steps < 4 ? 1 : 4)
    for (int32_t k = 0; k < 3; k++)
      for (int32_t given = 0; given < 2; given++) {
        int32_t response[LENGTH], masks = 0, left = 0;
        for (int32_t i = 0; i < LENGTH; i++) response[i] = i % 5 == 2 || (given && i == 0) ? 7 : MASK;
        for (int32_t i = 1; i < LENGTH; i++) masks += response[i] == MASK;
        EXPECT_OK(dimple_session_set_response(s, response, LENGTH));
        dimple_decoding d = decoding_with(steps, shifts[k]);
        EXPECT_OK(dimple_session_begin(s, &d));
        dimple_step step = {0};
        if (!given) EXPECT_OK(dimple_session_step(s, &step));
        EXPECT(given || (step.revealed_count == 1 && step.revealed[0] == 0), "%d revealed first", step.revealed_count);
        left = masks;
        for (int32_t i = 0; left > 0 && i <= 2 * LENGTH; i++) {
          int32_t due = due_of(&d, i, left, masks);
          EXPECT_OK(dimple_session_step(s, &step));
          EXPECT(step.revealed_count == due, "%d steps, shift %g, step %d: %d revealed, expected %d", steps, (double)shifts[k], i, step.revealed_count, due);
          left -= step.revealed_count;
        }
        EXPECT(step.done == 1 && step.remaining == 0, "%d steps, shift %g: %d remain", steps, (double)shifts[k], step.remaining);
      }
}

/* It is the one that the prompt's last row gives, at any temperature; the others are drawn. No pass is run for it but the prompt's. */
static void the_first_token_is_the_prompts(dimple_model *m) {
  dimple_session *s = text_session(m, 1, 1), *alone = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(alone, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(alone, (int32_t[]){MASK}, 1));
  dimple_decoding single = decoding_with(1, 0);
  outcome expected = decode(alone, &single);
  EXPECT(expected.forward_passes == 1 && expected.iterations == 1, "%d passes, %d iterations", expected.forward_passes, expected.iterations);
  bool differs = false;
  outcome cold = {0};
  for (uint64_t seed = 0; seed < 20; seed++) {
    dimple_decoding d = decoding_with(4, 0);
    d.temperature = seed ? 5 : 0;
    d.seed = seed;
    outcome o = decode(s, &d);
    EXPECT(o.tokens[0] == expected.tokens[0] && o.when[0] == 0 && o.iterations <= 5, "seed %d: token %d, the prompt's is %d", (int)seed, o.tokens[0],
           expected.tokens[0]);
    if (!seed) cold = o;
    differs |= memcmp(cold.tokens + 1, o.tokens + 1, (RESPONSE - 1) * sizeof *o.tokens) != 0;
  }
  EXPECT(differs, "nothing is drawn");
  dimple_session_free(s);
  dimple_session_free(alone);
}

/* The same whatever other decodings of the session have seen; a prompt that sees the response says something else. */
static void the_prompt_stands_apart(dimple_model *m) {
  dimple_session *s = text_session(m, 1, 1), *recomputes = text_session(m, 3, 0);
  dimple_decoding d = decoding_with(8, 0.5f), all = decoding_of(DIMPLE_PIPELINE_DREAM, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome first = decode(s, &d), seen = decode(s, &all), again = decode(s, &d), other = decode(recomputes, &d);
  EXPECT(first.forward_passes == 1 + 8 && first.iterations == 1 + 8 && first.remaining == 0, "%d passes", first.forward_passes);
  EXPECT(same_outcome(&first, &again), "another decoding between changes it");
  EXPECT(same_outcome(&first, &other), "the prompt's keys and values change with the response");
  EXPECT(!same_outcome(&first, &seen), "the prompt sees the response");
  dimple_session_free(s);
  dimple_session_free(recomputes);
}

/* A caller is offered the first position, with the likeliest token; if it leaves it, its row is run with the others'. */
static void a_caller_may_leave_the_first_position(dimple_session *s) {
  int32_t response[LENGTH];
  for (int32_t i = 0; i < LENGTH; i++) response[i] = MASK;
  EXPECT_OK(dimple_session_set_response(s, response, LENGTH));
  dimple_decoding d = decoding_with(6, 0);
  outcome usual = decode(s, &d);
  d.temperature = 5;
  EXPECT_OK(dimple_session_begin(s, &d));
  dimple_step step = {0};
  dimple_candidates found = {0};
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT(found.count == 1 && found.positions[0] == 0 && found.tokens[0] == usual.tokens[0], "%d offered", found.count);
  float sure = found.log_probability[0], sure_again[LENGTH];
  int32_t first = found.tokens[0], best[LENGTH];
  EXPECT_OK(dimple_session_reveal(s, NULL, NULL, 0, &step));
  EXPECT_OK(dimple_session_look(s, &found));
  EXPECT(found.count == LENGTH && found.positions[0] == 0, "%d offered", found.count);
  EXPECT_OK(dimple_session_alternatives(s, 1, best, sure_again));
  EXPECT(best[0] == first && fabsf(sure_again[0] - sure) < 1e-5f, "token %d at %g, before %d at %g", best[0], (double)sure_again[0], first, (double)sure);
  EXPECT_OK(dimple_session_reveal(s, (int32_t[]){0}, best, 1, &step));
}

/* A model that likes the mask best reveals nothing until the schedule's last step, which takes no mask; a shifted one goes on for as long as it takes. */
static void masks_do_not_stay(dimple_session *s) {
  static const float shifts[] = {0, 0.33f};
  int32_t response[LENGTH];
  for (int32_t i = 0; i < LENGTH; i++) response[i] = MASK;
  EXPECT_OK(dimple_session_set_response(s, response, LENGTH));
  for (int32_t steps = 1; steps <= 4 * LENGTH; steps *= 3)
    for (int32_t k = 0; k < 2; k++) {
      dimple_decoding d = decoding_with(steps, shifts[k]);
      EXPECT_OK(dimple_session_begin(s, &d));
      EXPECT_OK(dimple_session_set_bias(s, (int32_t[]){MASK}, (float[]){100}, 1));
      dimple_step step = {0};
      int32_t iterations = 0, least = steps < LENGTH ? steps : LENGTH;
      for (; !step.done && iterations <= 3 * LENGTH; iterations++) EXPECT_OK(dimple_session_step(s, &step));
      EXPECT(step.done && step.remaining == 0, "%d steps, shift %g: %d remain", steps, (double)shifts[k], step.remaining);
      EXPECT(k == 0 ? iterations == 1 + least : iterations <= 2 * LENGTH, "%d steps, shift %g: %d iterations", steps, (double)shifts[k], iterations);
    }
}

static void other_models_are_refused(void) {
  static const model_family families[] = {FAMILY_SDAR, FAMILY_LLADA_V};
  static const char *const messages[] = {"pipeline lavida-dream needs a model whose positions see all others",
                                         "pipeline lavida-dream needs a model whose rows score the next position"};
  for (int i = 0; i < 2; i++) {
    dimple_model *m = random_model((model_shape){.family = families[i]});
    if (!m) continue;
    dimple_session *s = text_session(m, 1, 1);
    dimple_decoding d = decoding_with(4, 0);
    EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, messages[i]);
    dimple_session_free(s);
    dimple_model_free(m);
  }
}

int main(void) {
  if (!fixture_open()) return expect_summary("lavida_dream");
  dimple_model *m = random_model((model_shape){.family = FAMILY_LAVIDA_DREAM});
  if (m) {
    dimple_session *s = open_session(m, 1, 1);
    EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
    steps_reveal_what_is_due(s);
    a_caller_may_leave_the_first_position(s);
    masks_do_not_stay(s);
    dimple_session_free(s);
    the_first_token_is_the_prompts(m);
    the_prompt_stands_apart(m);
  }
  dimple_model_free(m);
  the_prompt_stands_apart(text_model);
  other_models_are_refused();
  fixture_close();
  return expect_summary("lavida_dream");
}
