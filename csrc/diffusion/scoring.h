/* How likely the model finds given tokens at positions of a response that is not the session's. */
#ifndef DIMPLE_SCORING_H
#define DIMPLE_SCORING_H

#include "diffusion/pass.h"

typedef struct scoring_call {
  const int32_t *response; /* [count] what the model sees */
  const int32_t *targets;  /* [count] the token asked for; -1: none */
  int32_t count;
  int32_t mask_token;
  float guidance_scale;    /* as dimple_decoding's */
} scoring_call;

/* Writes log_probability [count] of the targets, NaN where there is none. One pass behind the prompt of `session`, with guidance two, in a
 * cache of its own: nothing of the session's changes. After features_ensure. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status scoring_run(const pass *session, const scoring_call *call, float *log_probability);

/* How many of an answer's `length` tokens each row of a round masks, from the round's one random number k in 1 .. length: the ratios lie
 * evenly spread over the rows. counts [rows]. */
void scoring_counts(int32_t k, int32_t rows, int32_t length, int32_t *counts);

#endif
