/* What tests of the head's work share: decodings under filters, biases, guidance and constraints, numbered, and what they come to. */
#ifndef DIMPLE_TEST_FILTERS_FIXTURE_H
#define DIMPLE_TEST_FILTERS_FIXTURE_H

#include "test/session_fixture.h"

typedef struct filtered_round {
  dimple_decoding decoding;
  bool biased; /* three tokens are */
} filtered_round;

/* `guided`: whether there is guidance among them. */
filtered_round free_round(uint32_t n, bool guided);
filtered_round held_round(uint32_t n, bool guided); /* for a response under a constraint */

/* What a decoding made of the response, and how sure it was. */
typedef struct trail {
  int32_t iterations, tokens[RESPONSE];
  float confidence[RESPONSE];
} trail;

/* `held`: null, or what the response has to fit. */
trail play_round(dimple_model *m, const filtered_round *round, dimple_constraint *held);

/* The same tokens in as many iterations, with confidences that are at most this far apart. */
bool nearly_same(const trail *a, const trail *b, float off);

#endif
