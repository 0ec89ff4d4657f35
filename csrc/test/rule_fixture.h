/* What tests of decodings under constraints share: rules, and what fits them. */
#ifndef DIMPLE_TEST_RULE_FIXTURE_H
#define DIMPLE_TEST_RULE_FIXTURE_H

#include "test/constraint_fixture.h"

/* An automaton over a vocabulary of VOCAB tokens, and the constraint of both, which is to be freed. */
typedef struct rule {
  words words;
  machine machine;
  dimple_constraint *constraint;
} rule;

/* The first rule from the seed on whose shortest response has `least` to `most` tokens. */
rule open_rule(uint64_t seed, int32_t least, int32_t most);

/* Whether some response fits that agrees with the canvas [length]. */
bool can_fit(const rule *r, const int32_t *canvas, int32_t length);

/* In softmax(logits) of a row [VOCAB]. */
double log_probability_in(const float *logits, int32_t row, int32_t token);

/* Settings of one of 24 variants: thresholds, temperatures, filters, confidences, steps, blocks and caches by turns. */
dimple_decoding varied_decoding(int32_t pipeline, int32_t algorithm, int32_t variant, uint64_t seed);

#endif
