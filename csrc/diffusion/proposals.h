/* What a pass proposes for masked positions: a candidate for each, from a head's summary, from whole logits, or on one path through a
 * constraint. */
#ifndef DIMPLE_PROPOSALS_H
#define DIMPLE_PROPOSALS_H

#include "diffusion/iteration.h"

/* Candidates for response positions[..], one for each of the rows: of the head's summary, where that is enough. They stand in the room.
 * Errors: MEMORY, CANCELLED, MODEL, STATE (replay). */
dimple_status proposals_make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions);

/* Of each of step->positions, whose rows the pass has scored last, the `count` best tokens, the best first, and their log-probabilities:
 * [step->masked x count], -1 and NaN behind the last. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status proposals_list(iteration *it, const sampler_step *step, pass *p, int32_t count, int32_t *tokens, float *log_probability);

/* The same of what the latest iteration_run revealed, in the model's own distribution, as its log-probabilities: [it->listed_count x count], with -1
 * and NaN for what no pass scored. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status proposals_list_revealed(iteration *it, pass *p, int32_t count, int32_t *tokens, float *log_probability);

/* The candidate of step->positions[index], whose rows the pass has scored last, becomes the best token besides the mask and barred[count];
 * where none is left it stays. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status proposals_replace(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count);

/* Beliefs in the tokens of the watched positions, from their shadows: for algorithms with a reviser. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status proposals_judge(iteration *it, pass *p, const canvas *c, pass_rows rows);

#endif
