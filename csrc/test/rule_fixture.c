#include "test/rule_fixture.h"

#include <math.h>

#include "test/session_fixture.h"

rule open_rule(uint64_t seed, int32_t least, int32_t most) {
  for (;; seed += 1000) {
    random_numbers r = {.seed = seed};
    rule found = {.words = random_words(&r, VOCAB)};
    int32_t slots = random_below(&r, 2), states = 4 + random_below(&r, 8); /* one after the other: in a call their order is the compiler's */
    found.machine = random_machine(&r, states, slots);
    int32_t shortest = shortest_that_fits(&found.machine, &found.words, RESPONSE);
    if (shortest < least || shortest > most) continue;
    dimple_vocabulary *v = vocabulary_of(&found.words);
    dimple_automaton a = automaton_of(&found.machine);
    EXPECT_OK(dimple_constraint_create(v, &a, &found.constraint));
    dimple_vocabulary_free(v);
    return found;
  }
}

bool can_fit(const rule *r, const int32_t *canvas, int32_t length) {
  int32_t tokens[CONTEXT];
  for (int32_t i = 0; i < length; i++) tokens[i] = canvas[i] == MASK ? -1 : canvas[i];
  return canvas_can_fit(&r->machine, &r->words, tokens, length);
}

double log_probability_in(const float *logits, int32_t row, int32_t token) {
  const float *z = logits + (int64_t)row * VOCAB;
  double sum = 0;
  for (int32_t t = 0; t < VOCAB; t++) sum += exp((double)z[t]);
  return z[token] - log(sum);
}

dimple_decoding varied_decoding(int32_t pipeline, int32_t algorithm, int32_t variant, uint64_t seed) {
  static const float thresholds[] = {0, 0.02f, 0.9f};
  static const int32_t caches[] = {DIMPLE_CACHE_NONE, DIMPLE_CACHE_NONE, DIMPLE_CACHE_PREFIX, DIMPLE_CACHE_DUAL};
  dimple_decoding d = decoding_of(pipeline, algorithm);
  d.threshold = thresholds[variant % 3];
  d.temperature = variant / 3 % 2 ? 1.5f : 0;
  d.top_k = variant / 6 % 2 ? 3 : 0;
  d.top_p = variant / 6 % 2 && variant % 2 ? 0.5f : 1;
  d.original_confidence = variant % 4 < 2;
  d.allowed_confidence = variant % 5 < 3;
  d.algorithm_temperature = variant % 7 == 6 ? 0.3f : 0;
  d.steps = variant % 2 ? 5 : RESPONSE;
  d.seed = seed * 100 + (uint64_t)variant;
  d.complete = variant % 5 < 2;
  if (pipeline == DIMPLE_PIPELINE_DIM) return d;
  if (pipeline == DIMPLE_PIPELINE_DREAM && variant < 12) d.threshold = 0;
  d.block_length = pipeline == DIMPLE_PIPELINE_LLADA || variant >= 12 ? 3 + variant % 4 : 0;
  d.cache = d.block_length ? caches[variant / 3 % 4] : DIMPLE_CACHE_NONE;
  return d;
}
