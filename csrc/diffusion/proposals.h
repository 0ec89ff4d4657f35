/* What a pass proposes for masked positions: a candidate for each, from a head's summary, from whole logits, or on one path through a
 * constraint. */
#ifndef DIMPLE_PROPOSALS_H
#define DIMPLE_PROPOSALS_H

#include "diffusion/iteration.h"

/* Candidates for response positions[..], one for each of the rows: of the head's summary, where that is enough. They stand in the room.
 * Errors: MEMORY, CANCELLED, MODEL, STATE (replay). */
dimple_status proposals_make(iteration *it, const sampler_step *step, pass *p, pass_rows rows, const int32_t *positions);

/* Beliefs in the tokens of the watched positions, from their shadows: for algorithms with a reviser. Errors: MEMORY, CANCELLED, MODEL. */
dimple_status proposals_judge(iteration *it, pass *p, const canvas *c, pass_rows rows);

#endif
