/* What an iteration's logits are beside the model's own: what its algorithm notes of them, and what notes and bias add. */
#ifndef DIMPLE_NOTES_H
#define DIMPLE_NOTES_H

#include "diffusion/algorithm.h"
#include "diffusion/iteration.h"

/* Of the algorithm; null: it notes nothing. */
const note_keeper *notes_keeper(const iteration *it);

/* Whether the algorithm's notes raise logits. */
bool notes_raise(const iteration *it);

/* Whether logits are other ones than the model's own, of which log-probabilities are: by a bias, or raised. */
bool notes_stray(const iteration *it);

/* Whether the algorithm notes how far distributions are from those of the iteration before. */
bool notes_compare(const iteration *it);

/* The model's own log-probability of a token at a position, of one in the logits as they became: what bias and notes added is taken back. At most 0. */
float notes_own_probability(const iteration *it, const sampler_step *step, float log_probability, int32_t token, int32_t position);

#endif
