/* The best tokens of positions, beside the candidate that was taken or in its place: from whole rows of logits. */
#ifndef DIMPLE_ALTERNATIVES_H
#define DIMPLE_ALTERNATIVES_H

#include "diffusion/iteration.h"

/* Of each of step->positions, whose rows the pass has scored last, the `count` best tokens, the best first, and their log-probabilities:
 * [step->masked x count], -1 and NaN behind the last. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status alternatives_list(iteration *it, const sampler_step *step, pass *p, int32_t count, int32_t *tokens, float *log_probability);

/* The same of what the latest iteration_run revealed, in the model's own distribution, as its log-probabilities: [it->listed_count x count], with -1
 * and NaN for what no pass scored. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status alternatives_of_revealed(iteration *it, pass *p, int32_t count, int32_t *tokens, float *log_probability);

/* The candidate of step->positions[index], whose rows the pass has scored last, becomes the best token besides the mask and barred[count];
 * where none is left it stays. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status alternatives_replace(iteration *it, const sampler_step *step, pass *p, int32_t index, const int32_t *barred, int32_t count);

#endif
