#include "test/filters_fixture.h"

#include <math.h>
#include <string.h>

#include "draws.h"
#include "model/model.h"

static dimple_decoding filtered(uint32_t n) {
  static const float top_ps[] = {0.95f, 0.3f, 1, 0.999f, 0}, temperatures[] = {0.7f, 0, 1.5f};
  static const int32_t top_ks[] = {0, 5, 40, 1};
  int32_t pipeline = n % 3 == 2 ? DIMPLE_PIPELINE_LLADA : (int32_t)(n % 3);
  dimple_decoding d = decoding_of(pipeline, (int32_t)(draw_word(3, n, 0, 0, 0) % (DIMPLE_ALGORITHM_ENTROPY + 1)));
  if (d.pipeline == DIMPLE_PIPELINE_DREAM && d.algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) d.algorithm = DIMPLE_ALGORITHM_ENTROPY;
  uint32_t noting = draw_word(3, n, 9, 0, 0) % 4; /* algorithms that keep notes of rows */
  if (d.pipeline == DIMPLE_PIPELINE_LLADA) d.algorithm = noting == 0 ? DIMPLE_ALGORITHM_CREDIT : DIMPLE_ALGORITHM_MASKGIT_PLUS;
  if (d.pipeline != DIMPLE_PIPELINE_DIM && noting == 1) d.algorithm = DIMPLE_ALGORITHM_KLASS;
  if (d.algorithm == DIMPLE_ALGORITHM_CREDIT) d.threshold = 0.9f;
  if (d.algorithm == DIMPLE_ALGORITHM_KLASS) {
    d.kl_threshold = 0.1f; /* of a random model some settle so far, and some do not */
    d.threshold = 0.05f;
    d.unmask = n % 2 ? DIMPLE_UNMASK_MIN_KL : DIMPLE_UNMASK_ALL;
    d.block_length = d.pipeline == DIMPLE_PIPELINE_LLADA && n % 5 ? 5 : 0;
  }
  d.top_p = top_ps[draw_word(3, n, 1, 0, 0) % 5];
  d.top_k = top_ks[draw_word(3, n, 2, 0, 0) % 4];
  d.temperature = temperatures[draw_word(3, n, 3, 0, 0) % 3];
  if (d.pipeline == DIMPLE_PIPELINE_DREAM && d.algorithm != DIMPLE_ALGORITHM_KLASS && draw_word(3, n, 8, 0, 0) % 2) d.eos_penalty = 3;
  if (d.eos_penalty != 0 && n % 2) { /* alone */
    d.top_p = 1;
    d.top_k = 0;
  }
  d.original_confidence = (int32_t)(draw_word(3, n, 5, 0, 0) % 2);
  d.seed = n;
  return d;
}

filtered_round free_round(uint32_t n, bool guided) {
  dimple_decoding d = filtered(n);
  bool llada = d.pipeline == DIMPLE_PIPELINE_LLADA;
  if (n % 5 == 0) d.no_mask_logits = llada;
  d.no_eos_confidence = llada && n % 7 < 4;
  d.guidance_scale = guided && llada ? 0.5f * (float)(n % 4) : 0;
  if ((d.no_eos_confidence || d.guidance_scale > 0) && n % 2) d.temperature = 0;
  return (filtered_round){d, n % 4 == 3};
}

filtered_round held_round(uint32_t n, bool guided) {
  dimple_decoding d = filtered(n);
  bool llada = d.pipeline == DIMPLE_PIPELINE_LLADA;
  d.allowed_confidence = n % 2;
  d.no_eos_logits = llada && n % 5 == 1;
  d.no_mask_logits = llada && n % 7 == 2;
  d.no_eos_confidence = llada && draw_word(3, n, 6, 0, 0) % 4 > 0;
  d.guidance_scale = guided && llada ? 0.5f * (float)(n % 4) : 0;
  if (d.no_eos_confidence && n % 4 == 1) { /* ends among what the filter keeps, which confidences are without */
    d.original_confidence = 0;
    d.temperature = 1.5f;
    d.top_p = 0.999f;
    d.top_k = 0;
  } else if (d.no_eos_confidence && n % 4 >= 2) { /* without a filter */
    d.top_p = 1;
    d.top_k = 0;
  }
  return (filtered_round){d, draw_word(3, n, 7, 0, 0) % 3 == 0};
}

trail play_round(dimple_model *m, const filtered_round *round, dimple_constraint *held) {
  static const int32_t tokens[] = {3, 17, 60};
  const float values[] = {1.5f, held ? -INFINITY : -65536, -2};
  trail t = {0};
  dimple_session *s = open_session(m, 2, 1);
  int32_t masks[RESPONSE];
  for (int i = 0; i < RESPONSE; i++) masks[i] = m->text.mask_token;
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, masks, RESPONSE));
  if (held) EXPECT_OK(dimple_session_set_constraint(s, held));
  EXPECT_OK(dimple_session_begin(s, &round->decoding));
  if (round->biased) EXPECT_OK(dimple_session_set_bias(s, tokens, values, 3));
  dimple_step step = {0};
  for (; t.iterations < 4 * RESPONSE && !step.done; t.iterations++) {
    EXPECT_OK(dimple_session_step(s, &step));
    for (int32_t i = 0; i < step.revealed_count; i++) t.confidence[step.revealed[i]] += step.confidence[i] * (float)(1 + t.iterations);
  }
  memcpy(t.tokens, step.canvas, sizeof t.tokens);
  EXPECT(step.done, "it does not end");
  dimple_session_free(s);
  return t;
}

bool nearly_same(const trail *a, const trail *b, float off) {
  bool same = a->iterations == b->iterations && memcmp(a->tokens, b->tokens, sizeof a->tokens) == 0;
  for (int i = 0; i < RESPONSE; i++) same &= a->confidence[i] - b->confidence[i] <= off && b->confidence[i] - a->confidence[i] <= off;
  return same;
}
