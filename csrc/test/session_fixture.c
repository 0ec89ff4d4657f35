#include "test/session_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "draws.h"

dimple_model *text_model, *vision_model;

bool fixture_open(void) {
  text_model = random_model((model_shape){.expands = true});
  vision_model = random_model((model_shape){.vision = true});
  return text_model && vision_model;
}

void fixture_close(void) {
  dimple_model_free(text_model);
  dimple_model_free(vision_model);
}

/* ------------------------------------------------------------------------------------------------------------ sessions */

const int32_t prompt_tokens[PROMPT] = {5, 17, 42, 8, 60, 33, 2};

uint8_t picture_bytes[PICTURE_WIDTH * PICTURE_HEIGHT * 3];

dimple_image picture(void) {
  for (uint32_t i = 0; i < sizeof picture_bytes; i++) picture_bytes[i] = (uint8_t)(draw_word(9, i, 0, 0, 0) >> 24);
  return (dimple_image){picture_bytes, PICTURE_WIDTH, PICTURE_HEIGHT, PICTURE_WIDTH * 3};
}

int32_t picture_prompt(int32_t *tokens) {
  int32_t count = 0;
  tokens[count++] = 5;
  tokens[count++] = 6;
  for (int i = 0; i < PICTURE_TOKENS; i++) tokens[count++] = IMAGE;
  for (int i = 0; i < 3; i++) tokens[count++] = 40 + i;
  return count;
}

dimple_session *open_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = NULL;
  EXPECT_OK(dimple_session_create(m, &(dimple_session_options){.threads = threads, .prefill = prefill}, &s));
  return s;
}

void set_masks(dimple_session *s, int32_t count) {
  int32_t response[CONTEXT];
  for (int32_t i = 0; i < count; i++) response[i] = MASK;
  EXPECT_OK(dimple_session_set_response(s, response, count));
}

dimple_session *text_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = open_session(m, threads, prefill);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  set_masks(s, RESPONSE);
  return s;
}

dimple_session *picture_session(dimple_model *m, int32_t threads, int32_t prefill) {
  dimple_session *s = open_session(m, threads, prefill);
  int32_t tokens[CONTEXT], count = picture_prompt(tokens);
  dimple_image image = picture();
  EXPECT_OK(dimple_session_set_prompt(s, tokens, count, &image, 1));
  set_masks(s, RESPONSE);
  return s;
}

dimple_decoding decoding_of(int32_t pipeline, int32_t algorithm) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.pipeline = pipeline;
  d.algorithm = algorithm;
  d.steps = RESPONSE;
  d.threshold = 0;
  return d;
}

/* ----------------------------------------------------------------------------------------------------------- decodings */

outcome fresh_outcome(void) {
  outcome o;
  memset(&o, 0, sizeof o);
  for (int i = 0; i < CONTEXT; i++) o.when[i] = -1;
  return o;
}

void note_step(const dimple_step *step, outcome *o) {
  EXPECT(step->iteration == o->iterations, "iteration %d, not %d", step->iteration, o->iterations);
  EXPECT(step->revealed_count >= 0 && step->revealed_count <= step->canvas_length, "%d revealed", step->revealed_count);
  int32_t masks = 0;
  for (int32_t i = 0; i < step->canvas_length; i++) {
    EXPECT(step->canvas[i] >= 0 && step->canvas[i] < VOCAB, "token %d", step->canvas[i]);
    masks += step->canvas[i] == MASK;
    o->tokens[i] = step->canvas[i];
  }
  EXPECT(o->denoises ? step->remaining >= 0 && step->remaining <= step->canvas_length : step->remaining == masks, "%d remaining, %d masks", step->remaining, masks);
  for (int32_t i = 0; i < step->revealed_count; i++) {
    int32_t at = step->revealed[i];
    EXPECT(at > (i ? step->revealed[i - 1] : -1) && at < step->canvas_length, "revealed %d is %d", i, at);
    EXPECT(step->confidence[i] <= 1 && step->confidence[i] >= -10, "confidence %g", (double)step->confidence[i]);
    o->drawn_masks += step->canvas[at] == MASK;
    o->when[at] = step->iteration;
    o->confidence[at] = step->confidence[i];
  }
  EXPECT(step->forward_passes >= o->forward_passes && step->nanoseconds > 0, "%d passes", step->forward_passes);
  o->forward_passes = step->forward_passes;
  o->remaining = step->remaining;
  o->iterations++;
}

outcome decode(dimple_session *s, const dimple_decoding *d) {
  outcome o = fresh_outcome();
  o.denoises = d->pipeline == DIMPLE_PIPELINE_DIFFUSION_GEMMA;
  EXPECT_OK(dimple_session_begin(s, d));
  /* Under block-causal attention a full block is run once more, and some pipelines' steps are those of a block. */
  bool bounded = d->pipeline < DIMPLE_PIPELINE_MDLM && !d->complete; /* a complete one goes on behind its schedule */
  int32_t most = bounded ? d->steps : 3 * CONTEXT;
  for (dimple_step step = {0}; !step.done && o.iterations < most;) {
    dimple_status status = dimple_session_step(s, &step);
    EXPECT(status == DIMPLE_OK, "step %d: %s", o.iterations, dimple_last_error());
    if (status != DIMPLE_OK) return o;
    note_step(&step, &o);
    EXPECT(step.done || o.iterations < most, "not done after all %d steps", most);
  }
  dimple_step step;
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_STATE, "done");
  return o;
}

bool same_outcome(const outcome *a, const outcome *b) {
  return a->iterations == b->iterations && a->remaining == b->remaining && memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0 &&
         memcmp(a->when, b->when, sizeof a->when) == 0 && memcmp(a->confidence, b->confidence, sizeof a->confidence) == 0;
}

/* -------------------------------------------------------------------------------------------------------------- logits */

float *logits_of(dimple_session *s, int32_t rows) {
  float *z = malloc((size_t)rows * VOCAB * sizeof *z);
  EXPECT_OK(dimple_session_get_logits(s, z, (int64_t)rows * VOCAB));
  return z;
}

int32_t best_of(const float *z) {
  int32_t best = 0;
  for (int32_t i = 1; i < VOCAB; i++) best = z[i] > z[best] ? i : best;
  return best;
}

double probability_of(const float *z, int32_t token) {
  double sum = 0;
  for (int32_t i = 0; i < VOCAB; i++) sum += exp((double)z[i] - z[token]);
  return 1 / sum;
}
