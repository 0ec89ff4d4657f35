/* Passes of the model: what an iteration sees, cached and recomputed prompts, threads, and looks from outside. */
#include <stdlib.h>
#include <string.h>

#include "test/session_fixture.h"

/* One iteration that reveals everything takes the best token of every scoring row, with its probability. */
static void first_iteration_follows_the_logits(void) {
  for (int32_t unshifted = 0; unshifted < 2; unshifted++) {
    dimple_model *m = random_model((model_shape){.unshifted = unshifted});
    dimple_session *s = text_session(m, 2, 1);
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.steps = 1;
    outcome o = decode(s, &d);
    float *z = logits_of(s, PROMPT + RESPONSE);
    for (int32_t i = 0; i < RESPONSE; i++) {
      const float *row = z + (PROMPT + i - !unshifted) * VOCAB;
      int32_t best = best_of(row);
      EXPECT(o.tokens[i] == best, "position %d: %d, not %d", i, o.tokens[i], best);
      EXPECT(fabs(o.confidence[i] - probability_of(row, best)) < 1e-5, "position %d: %g, not %g", i, (double)o.confidence[i],
             probability_of(row, best));
    }
    free(z);
    dimple_session_free(s);
    dimple_model_free(m);
  }
}

/* Without prefill every iteration is a full pass over the canvas: the same as a fresh session with that canvas as response. */
static void later_iterations_follow_the_logits(void) {
  dimple_session *s = picture_session(vision_model, 1, 0), *fresh = picture_session(vision_model, 1, 0);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  int32_t canvas[RESPONSE], rows = PICTURE_PROMPT + RESPONSE;
  for (int32_t i = 0; i < RESPONSE; i++) canvas[i] = MASK;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done;) {
    EXPECT_OK(dimple_session_set_response(fresh, canvas, RESPONSE));
    float *z = logits_of(fresh, rows);
    if (dimple_session_step(s, &step) != DIMPLE_OK) {
      EXPECT(false, "%s", dimple_last_error());
      free(z);
      break;
    }
    EXPECT(step.revealed_count >= 1, "iteration %d reveals nothing", step.iteration);
    for (int32_t i = 0; i < step.revealed_count; i++) {
      int32_t at = step.revealed[i];
      const float *row = z + (rows - RESPONSE + at - 1) * VOCAB;
      EXPECT(canvas[at] == MASK && step.canvas[at] == best_of(row), "iteration %d position %d: %d", step.iteration, at,
             step.canvas[at]);
      EXPECT(fabs(step.confidence[i] - probability_of(row, step.canvas[at])) < 1e-4, "iteration %d position %d: %g",
             step.iteration, at, (double)step.confidence[i]);
    }
    memcpy(canvas, step.canvas, sizeof canvas);
    free(z);
  }
  dimple_session_free(s);
  dimple_session_free(fresh);
}

/* Whatever the confidence is taken from: of the first iteration, whose logits dimple_session_get_logits gives. */
static void log_probabilities_are_the_models_own(void) {
  dimple_decoding settings[4];
  for (int32_t i = 0; i < 4; i++) settings[i] = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  settings[1].temperature = 0.8f;
  settings[2].temperature = 1.5f;
  settings[2].original_confidence = 0;
  settings[2].top_p = 0.9f;
  settings[3].pipeline = DIMPLE_PIPELINE_DREAM;
  settings[3].algorithm = DIMPLE_ALGORITHM_ENTROPY;
  settings[3].top_k = 3;
  dimple_session *s = picture_session(vision_model, 1, 0);
  int32_t rows = PICTURE_PROMPT + RESPONSE;
  float *z = logits_of(s, rows);
  for (int32_t i = 0; i < 4; i++) {
    settings[i].steps = RESPONSE;
    dimple_step step = {0};
    EXPECT_OK(dimple_session_begin(s, &settings[i]));
    EXPECT_OK(dimple_session_step(s, &step));
    for (int32_t r = 0; r < step.revealed_count; r++) {
      const float *row = z + (rows - RESPONSE + step.revealed[r] - 1) * VOCAB;
      EXPECT(fabs(step.log_probability[r] - log(probability_of(row, step.canvas[step.revealed[r]]))) < 1e-3, "settings %d: %g", i,
             (double)step.log_probability[r]);
    }
  }
  free(z);
  dimple_session_free(s);
}

/* With prefill the first iteration is the same, and later ones cost rows of the response only but give other numbers. */
static void prefill_keeps_the_first_iteration(void) {
  dimple_session *on = picture_session(vision_model, 1, 1), *off = picture_session(vision_model, 1, 0);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  outcome a = decode(on, &d), b = decode(off, &d);
  int32_t first = -1;
  for (int32_t i = 0; i < RESPONSE; i++) first = a.when[i] == 0 ? i : first;
  EXPECT(first >= 0 && b.when[first] == 0 && a.tokens[first] == b.tokens[first] && a.confidence[first] == b.confidence[first],
         "position %d", first);
  EXPECT(memcmp(a.confidence, b.confidence, sizeof a.confidence) != 0, "prefill changes nothing at all");
  EXPECT(a.forward_passes == a.iterations && b.forward_passes == b.iterations, "%d and %d passes", a.forward_passes,
         b.forward_passes);
  dimple_session_free(on);
  dimple_session_free(off);
}

static void begin_again_repeats(void) {
  for (int32_t prefill = 0; prefill < 2; prefill++) {
    dimple_session *s = picture_session(vision_model, 2, prefill);
    dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS), other = decoding_of(1, DIMPLE_ALGORITHM_ORIGIN);
    d.temperature = other.temperature = 0.7f;
    dimple_timings before, after;
    EXPECT_OK(dimple_session_prefill(s));
    EXPECT_OK(dimple_session_get_timings(s, &before));
    EXPECT(before.vision > 0 && before.prefill > 0 && before.steps == 0 && before.forward_passes == 1, "%d passes",
           (int)before.forward_passes);
    EXPECT(before.kv_bytes == (PICTURE_PROMPT + RESPONSE) * (int64_t)(2 * LAYERS * KV_HEADS * WIDTH / HEADS * 4),
           "%d bytes", (int)before.kv_bytes);
    EXPECT(before.scratch_bytes > 0, "%d bytes", (int)before.scratch_bytes);
    EXPECT_OK(dimple_session_prefill(s)); /* again: nothing to do */
    outcome first = decode(s, &d);
    decode(s, &other);
    EXPECT_OK(dimple_session_begin(s, &d));
    dimple_step step;
    EXPECT_OK(dimple_session_step(s, &step)); /* left half-way */
    outcome again = decode(s, &d);
    EXPECT(same_outcome(&first, &again), "another result the second time");
    EXPECT(again.forward_passes == first.forward_passes, "%d passes, then %d", first.forward_passes, again.forward_passes);
    EXPECT_OK(dimple_session_get_timings(s, &after));
    EXPECT(after.prefill == before.prefill && after.vision == before.vision && after.steps > 0, "the prefill ran again");
    dimple_session_free(s);

    s = picture_session(vision_model, 2, prefill);
    outcome implicit = decode(s, &d);
    EXPECT(same_outcome(&first, &implicit), "prefill by the first step gives another result");
    dimple_session_free(s);
  }
}

/* Looking at logits and features in the middle of a decoding does not disturb it. */
static void looking_changes_nothing(void) {
  dimple_session *s = picture_session(vision_model, 1, 1);
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_TOPK_MARGIN);
  outcome expected = decode(s, &d), o = fresh_outcome();
  float features[PICTURE_TOKENS * WIDTH];
  EXPECT_OK(dimple_session_begin(s, &d));
  for (dimple_step step = {0}; !step.done && o.iterations < d.steps;) {
    free(logits_of(s, PICTURE_PROMPT + RESPONSE));
    EXPECT_OK(dimple_session_get_image_features(s, features, PICTURE_TOKENS * WIDTH));
    EXPECT_OK(dimple_session_step(s, &step));
    note_step(&step, &o);
  }
  EXPECT(same_outcome(&o, &expected), "another result");
  EXPECT_FAILS(dimple_session_get_logits(s, features, 7), DIMPLE_ERROR_ARGUMENT, "count is 7");
  EXPECT_FAILS(dimple_session_get_image_features(s, features, 7), DIMPLE_ERROR_ARGUMENT, "count is 7");
  dimple_session_free(s);
}

static void threads_do_not_matter(void) {
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_ENTROPY);
  d.temperature = 0.7f;
  outcome expected;
  float *z[2];
  int32_t rows = PICTURE_PROMPT + RESPONSE;
  for (int32_t threads = 1; threads <= 7; threads += 2) {
    dimple_session *s = picture_session(vision_model, threads, 1);
    outcome o = decode(s, &d);
    z[threads > 1] = logits_of(s, rows);
    dimple_session_free(s);
    if (threads == 1) {
      expected = o;
      continue;
    }
    EXPECT(same_outcome(&o, &expected), "%d threads give another result", threads);
    EXPECT(memcmp(z[0], z[1], (size_t)rows * VOCAB * sizeof(float)) == 0, "%d threads give other logits", threads);
    free(z[1]);
  }
  free(z[0]);
}

/* In a causally trained model a row knows nothing of what follows it. */
static void causal_models_do_not_look_ahead(void) {
  for (int32_t causal = 0; causal < 2; causal++) {
    dimple_model *m = random_model((model_shape){.causal = causal});
    dimple_session *s = open_session(m, 1, 1);
    int32_t tokens[PROMPT];
    memcpy(tokens, prompt_tokens, sizeof tokens);
    EXPECT_OK(dimple_session_set_prompt(s, tokens, PROMPT, NULL, 0));
    float *before = logits_of(s, PROMPT);
    tokens[PROMPT - 1]++;
    EXPECT_OK(dimple_session_set_prompt(s, tokens, PROMPT, NULL, 0));
    float *after = logits_of(s, PROMPT);
    bool same = memcmp(before, after, (PROMPT - 1) * VOCAB * sizeof *before) == 0;
    EXPECT(same == (causal == 1), "causal %d: earlier rows are the same: %d", causal, same);
    EXPECT(memcmp(before + (PROMPT - 1) * VOCAB, after + (PROMPT - 1) * VOCAB, VOCAB * sizeof *before) != 0, "the last row");
    free(before);
    free(after);
    dimple_session_free(s);
    dimple_model_free(m);
  }
}

int main(void) {
  if (fixture_open()) {
    first_iteration_follows_the_logits();
    later_iterations_follow_the_logits();
    log_probabilities_are_the_models_own();
    prefill_keeps_the_first_iteration();
    begin_again_repeats();
    looking_changes_nothing();
    threads_do_not_matter();
    causal_models_do_not_look_ahead();
  }
  fixture_close();
  return expect_summary("pass");
}
