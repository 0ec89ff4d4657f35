/* Candidates from what a head keeps of rows of logits, which are nowhere whole: summaries, lists of the highest, the best of a constraint's classes. */
#ifndef DIMPLE_SUMMARIES_H
#define DIMPLE_SUMMARIES_H

#include "diffusion/iteration.h"

/* Whether the head itself does to logits what the decoding wants, and lists what its filters select from. */
bool summaries_suffice(const iteration *it, const sampler_step *step, const pass *p);

/* Scores the rows and makes a candidate of each, a block of rows at a time; those whose lists are too short are computed whole. Errors: MEMORY, CANCELLED,
 * MODEL, STATE (replay). */
dimple_status summaries_propose(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions, head_call call);

/* Under a constraint: scores for its path, of `count` rows that have been scored. Errors: as above. */
dimple_status summaries_propose_of_classes(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count, head_call call);

#endif
