/* LaViDa's decoding: what a step reveals, that the prompt does not see the response, and what it leaves to other pipelines. The tokens are
 * ConformanceTest's. */
#include "diffusion/schedule.h"
#include "test/session_fixture.h"

enum { LENGTH = 12 };

static dimple_decoding decoding_with(int32_t block, int32_t steps, float shift) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LAVIDA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.block_length = block;
  d.steps = steps;
  d.schedule_shift = shift;
  return d;
}

/* Every block by its own schedule, whatever of it is given; a block without masks is passed over. */
static void steps_reveal_what_is_due(dimple_session *s) {
  static const float shifts[] = {0, 0.33f, 3};
  for (int32_t block = 1; block <= LENGTH; block += block < 5 ? 2 : 7)
    for (int32_t steps = 1; steps <= 2 * LENGTH; steps += 2)
      for (int32_t k = 0; k < 3; k++) {
        int32_t response[LENGTH], masked = 0, blocks = (LENGTH + block - 1) / block;
        for (int32_t i = 0; i < LENGTH; i++) response[i] = i % 5 == 2 || i < 2 ? 7 : MASK;
        EXPECT_OK(dimple_session_set_response(s, response, LENGTH));
        dimple_decoding d = decoding_with(block, steps, shifts[k]);
        EXPECT_OK(dimple_session_begin(s, &d));
        dimple_step step = {0};
        for (int32_t b = 0; b < blocks; b++) {
          int32_t end = (b + 1) * block < LENGTH ? (b + 1) * block : LENGTH, share = steps / blocks + (b < steps % blocks);
          masked = 0;
          for (int32_t i = b * block; i < end; i++) masked += response[i] == MASK;
          if (share < 1) share = 1;
          if (share > masked) share = masked;
          for (int32_t i = 0; i < share; i++) {
            int32_t due = shifts[k] > 0 ? schedule_shifted(masked, share, shifts[k], i) : schedule_quota(masked, share, i);
            EXPECT_OK(dimple_session_step(s, &step));
            EXPECT(step.revealed_count == due && step.block == b && step.revealed[0] >= b * block && step.revealed[due - 1] < end,
                   "blocks of %d, %d steps, shift %g: %d revealed in block %d, expected %d in %d", block, steps, (double)shifts[k], step.revealed_count, step.block,
                   due, b);
          }
        }
        EXPECT(step.done == 1 && step.remaining == 0, "blocks of %d, %d steps, shift %g: %d remain", block, steps, (double)shifts[k], step.remaining);
      }
}

/* A first pass over the prompt, and one over the response an iteration; what other decodings of the session have seen changes nothing, and a response
 * that can be seen does. */
static void the_prompt_stands_apart(dimple_model *m) {
  dimple_session *s = text_session(m, 1, 1), *recomputes = text_session(m, 3, 0);
  dimple_decoding d = decoding_with(4, RESPONSE, 0), all = decoding_of(DIMPLE_PIPELINE_LLADA, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  all.block_length = 4;
  outcome first = decode(s, &d), seen = decode(s, &all), again = decode(s, &d), other = decode(recomputes, &d);
  EXPECT(first.forward_passes == 1 + RESPONSE && first.remaining == 0, "%d passes", first.forward_passes);
  EXPECT(same_outcome(&first, &again), "another decoding between changes it");
  EXPECT(same_outcome(&first, &other), "the prompt's keys and values change with the response");
  EXPECT(!same_outcome(&first, &seen), "the prompt sees the response");
  dimple_session_free(s);
  dimple_session_free(recomputes);
}

/* Also behind the position, and outside its block. */
static void the_response_sees_what_is_given_of_it(dimple_model *m) {
  dimple_session *s = open_session(m, 1, 1), *t = open_session(m, 1, 1);
  dimple_decoding d = decoding_with(1, 2, 0);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_prompt(t, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, (int32_t[]){MASK, 9}, 2));
  EXPECT_OK(dimple_session_set_response(t, (int32_t[]){MASK, 11}, 2));
  outcome one = decode(s, &d), two = decode(t, &d);
  EXPECT(one.confidence[0] != two.confidence[0], "the response does not see what is given of it");
  dimple_session_free(s);
  dimple_session_free(t);
}

static void models_in_blocks_are_refused(void) {
  dimple_model *m = random_model((model_shape){.family = FAMILY_SDAR});
  if (!m) return;
  dimple_session *s = text_session(m, 1, 1);
  dimple_decoding d = decoding_with(4, 4, 0);
  EXPECT_FAILS(dimple_session_begin(s, &d), DIMPLE_ERROR_UNSUPPORTED, "pipeline lavida needs a model whose positions see all others");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(void) {
  if (!fixture_open()) return expect_summary("lavida");
  dimple_model *m = random_model((model_shape){.family = FAMILY_LLADA_V});
  if (m) {
    dimple_session *s = open_session(m, 1, 1);
    EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
    steps_reveal_what_is_due(s);
    dimple_session_free(s);
    the_prompt_stands_apart(m);
    the_response_sees_what_is_given_of_it(m);
  }
  the_prompt_stands_apart(text_model); /* rows that score the next position */
  dimple_model_free(m);
  models_in_blocks_are_refused();
  fixture_close();
  return expect_summary("lavida");
}
