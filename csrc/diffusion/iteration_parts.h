/* What an iteration is made of, whoever decides. */
#ifndef DIMPLE_ITERATION_PARTS_H
#define DIMPLE_ITERATION_PARTS_H

#include "diffusion/iteration.h"

/* A decoding in blocks begins with the canvas as it was set, which it is before the first iteration. */
void iteration_begin_blocks(iteration *it, const pass *p, const canvas *c);

/* What one iteration works on; of a pipeline without blocks (`rules` is null): every masked position. */
block_plan iteration_plan(const iteration *it, const canvas *c, const block_rules *rules);

/* What of it the sampler chooses from, and which rows of the pass that takes. */
sampler_step iteration_step(const iteration *it, const canvas *c, const block_plan *plan);
pass_rows iteration_rows(const iteration *it, const block_plan *plan);

/* What the coming iteration adds to a token's logits. */
logit_shift iteration_shift(const iteration *it, const canvas *c);

/* What blocks are to know of an iteration that is about to reveal `count` positions. */
void iteration_tell_blocks(iteration *it, const canvas *c, int32_t count);

/* What follows when `count` positions have been revealed, of blocks by these rules. `leaves`: what is masked behind the schedule stays so. Errors:
 * MEMORY. */
dimple_status iteration_conclude(iteration *it, pass *p, canvas *c, int32_t count, const block_rules *rules, bool leaves);

/* Where the pipeline has it so: what was not given behind the first end of text of the last block. */
void iteration_fill_block(iteration *it, canvas *c);

/* Where the decoding is over behind the end of the text, that is what stands at all positions that are still masked. */
void iteration_fill_behind_end(iteration *it, canvas *c);

#endif
