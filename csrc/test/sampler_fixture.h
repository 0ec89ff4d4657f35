/* What tests of the sampler share: plain settings, one step without a model, and candidates from logits. */
#ifndef DIMPLE_TEST_SAMPLER_FIXTURE_H
#define DIMPLE_TEST_SAMPLER_FIXTURE_H

#include "diffusion/candidates.h"
#include "diffusion/schedule.h"
#include "test/expect.h"

enum { MAX_LENGTH = 64, MAX_VOCAB = 64, MAX_STEPS = 64 };

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))

extern float levels[MAX_STEPS + 1]; /* of the step made last */

/* The defaults, without a threshold. */
dimple_decoding plain_decoding(int32_t algorithm);

/* A step over positions 0 .. masked - 1. */
sampler_step plain_step(const dimple_decoding *d, int32_t masked);

/* What the head says of a row of logits [vocab], in double precision; the draw is given. */
head_row summarise(const float *z, int32_t vocab, float temperature, int32_t drawn);

/* Candidates of all rows of logits [count x vocab] in one block. */
dimple_status candidates_of(const sampler_step *step, const float *z, int32_t count, int32_t vocab, candidate *out);

/* Chooses among the step's positions with the given confidences [masked]; returns how many. */
int32_t choose(const sampler_step *step, const float *confidence, int32_t *chosen);

#endif
