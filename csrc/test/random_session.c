#include "test/random_session.h"

#include <math.h>

#include "diffusion/pipeline.h"
#include "model/model.h"

static dimple_constraint *random_constraint(random_numbers *r) {
  words w = random_words(r, VOCAB);
  dimple_vocabulary *vocabulary = vocabulary_of(&w);
  machine m = random_machine(r, 6, 0);
  dimple_automaton automaton = automaton_of(&m);
  dimple_constraint *constraint = NULL;
  if (dimple_constraint_create(vocabulary, &automaton, &constraint) != DIMPLE_OK) constraint = NULL; /* it accepts nothing */
  dimple_vocabulary_free(vocabulary);
  return constraint;
}

/* How many rows prompt and response have. */
static int32_t set_random_prompt(dimple_model *m, dimple_session *s, random_numbers *r, bool picture_allowed) {
  int32_t prompt[CONTEXT], response[CONTEXT], rows;
  if (picture_allowed && random_below(r, 2)) {
    dimple_image image = picture();
    dimple_image_grid grid;
    EXPECT_OK(dimple_model_get_image_grid(m, image.width, image.height, &grid));
    for (int32_t i = 0; i < grid.tokens + 5; i++) prompt[i] = i < 2 ? 5 + i : i < 2 + grid.tokens ? IMAGE : 40 + i - grid.tokens;
    rows = grid.tokens + 5;
    EXPECT_OK(dimple_session_set_prompt(s, prompt, rows, &image, 1));
  } else {
    rows = 1 + random_below(r, 12);
    for (int32_t i = 0; i < rows; i++) prompt[i] = random_below(r, IMAGE);
    EXPECT_OK(dimple_session_set_prompt(s, prompt, rows, NULL, 0));
  }
  int32_t count = 1 + random_below(r, 20);
  for (int32_t i = 0; i < count; i++) { /* where positions move, nothing is given behind a mask */
    bool masked = random_below(r, 5) || (m->text.delete_token >= 0 && i > 0 && response[i - 1] == MASK);
    response[i] = masked ? MASK : random_below(r, IMAGE);
  }
  EXPECT_OK(dimple_session_set_response(s, response, count));
  return rows + count;
}

static dimple_decoding random_denoising(random_numbers *r) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_DIFFUSION_GEMMA, DIMPLE_ALGORITHM_ENTROPY_BOUND);
  d.steps = 1 + random_below(r, 6);
  d.seed = (uint64_t)random_below(r, 1000);
  d.gamma = 0.5f + (float)random_below(r, 20);
  d.stability_threshold = random_below(r, 3);
  d.confidence_threshold = random_below(r, 2) ? 10 : 0.01f;
  d.block_length = random_below(r, 2) ? 0 : 3 + random_below(r, 9);
  d.complete = random_below(r, 2);
  return d;
}

static dimple_decoding random_unmasking(random_numbers *r) {
  int32_t algorithm = random_below(r, ALGORITHM_COUNT), pipeline = random_below(r, PIPELINE_COUNT);
  dimple_decoding d = decoding_of(pipeline, algorithm);
  float thresholds[] = {0, 0.02f, 0.3f, 0.9f};
  d.threshold = thresholds[random_below(r, 4)];
  d.steps = 1 + random_below(r, 24);
  d.temperature = random_below(r, 2) ? 0.5f + 0.25f * (float)random_below(r, 4) : 0;
  d.top_k = random_below(r, 4) ? 0 : 5;
  d.top_p = random_below(r, 4) ? 1 : 0.7f;
  d.seed = (uint64_t)random_below(r, 1000);
  d.block_length = random_below(r, 2) ? 0 : 1 + random_below(r, 9);
  d.cache = random_below(r, 4);
  d.complete = random_below(r, 2);
  d.guidance_scale = random_below(r, 3) ? 0 : 0.7f;
  d.factor = random_below(r, 4) ? 0 : 1;
  d.original_confidence = random_below(r, 2);
  d.algorithm_temperature = random_below(r, 4) ? 0 : 0.5f;
  d.no_eos_logits = d.pipeline == DIMPLE_PIPELINE_LLADA && random_below(r, 4) == 0;
  if (d.algorithm == DIMPLE_ALGORITHM_KLASS) d.kl_threshold = 0.5f;
  if (d.algorithm == DIMPLE_ALGORITHM_WINO) d.threshold_back = 0.05f;
  if (d.pipeline == DIMPLE_PIPELINE_LAVIDA || d.pipeline == DIMPLE_PIPELINE_LAVIDA_DREAM) d.schedule_shift = random_below(r, 2) ? 0 : 0.33f;
  if (d.pipeline == DIMPLE_PIPELINE_DREAMON) {
    d.grow_to = random_below(r, 2) ? 0 : 30;
    d.number_transfer_tokens = 1 + random_below(r, 3);
  }
  return d;
}

static dimple_decoding random_editing(random_numbers *r) {
  dimple_decoding d = decoding_of(DIMPLE_PIPELINE_LLADA22, DIMPLE_ALGORITHM_TOKEN_EDITING);
  float thresholds[] = {0.02f, 0.1f, 0.5f, 0.9f};
  d.threshold = thresholds[random_below(r, 4)];
  d.editing_threshold = random_below(r, 2) ? 0 : 0.1f;
  d.max_post_steps = random_below(r, 5);
  d.num_to_transfer = 1 + random_below(r, 2);
  d.block_length = 2 * random_below(r, 4);
  d.complete = random_below(r, 2);
  return d;
}

dimple_decoding random_decoding(const dimple_model *m, random_numbers *r) {
  if (m->text.delete_token >= 0) return random_editing(r);
  return m->text.canvases ? random_denoising(r) : random_unmasking(r);
}

static void set_bias(random_session *s) {
  int32_t tokens[] = {3, 40};
  float values[] = {2, -INFINITY};
  if (!s->biased) return;
  if (s->decoding.pipeline == DIMPLE_PIPELINE_DREAMON) {
    tokens[1] = EXPAND;
    values[1] = 5;
  }
  EXPECT_OK(dimple_session_set_bias(s->session, tokens, values, 2));
}

bool random_session_open(dimple_model *m, bool pictures, uint64_t seed, random_session *out) {
  random_numbers r = {.seed = seed};
  dimple_session_options o = {.threads = 1 + random_below(&r, 3)};
  o.prefill = random_below(&r, 4) > 0;
  o.kv_type = random_below(&r, 3) == 0 ? DIMPLE_TENSOR_F16 : DIMPLE_TENSOR_F32;
  *out = (random_session){0};
  EXPECT_OK(dimple_session_create(m, &o, &out->session));
  out->rows = set_random_prompt(m, out->session, &r, pictures);
  if (random_below(&r, 4) == 0 && m->text.delete_token < 0) {
    dimple_constraint *constraint = random_constraint(&r);
    dimple_session_set_constraint(out->session, constraint); /* what is fixed may not fit it: then without */
    dimple_constraint_free(constraint);
  }
  out->decoding = random_decoding(m, &r);
  for (int32_t tries = 0; dimple_session_begin(out->session, &out->decoding) != DIMPLE_OK; tries++) {
    if (tries == 5000) return false;
    out->decoding = random_decoding(m, &r);
  }
  out->biased = random_below(&r, 4) == 0 && !m->text.canvases;
  set_bias(out);
  return true;
}

void random_session_begin(random_session *s) {
  EXPECT_OK(dimple_session_begin(s->session, &s->decoding));
  set_bias(s);
}
