/* Sessions of all settings at random: prompt, response, constraint and decoding of a seed. */
#ifndef DIMPLE_TEST_RANDOM_SESSION_H
#define DIMPLE_TEST_RANDOM_SESSION_H

#include "test/constraint_fixture.h"
#include "test/session_fixture.h"

typedef struct random_session {
  dimple_session *session;
  dimple_decoding decoding;
  int32_t rows; /* of prompt and response */
  bool biased;
} random_session;

/* A decoding of any settings, which the model may refuse. */
dimple_decoding random_decoding(const dimple_model *m, random_numbers *r);

/* A session whose decoding has begun; false: the model does not decode so. `pictures`: the prompt may have one. */
bool random_session_open(dimple_model *m, bool pictures, uint64_t seed, random_session *out);

/* Begins its decoding once more. */
void random_session_begin(random_session *s);

#endif
