/* Whole rows of logits, of rows that the pass has scored last, some at a time: as the decoding wants them, and candidates from them. What a head's
 * summaries suffice for is done without (summaries.h). */
#ifndef DIMPLE_WHOLE_ROWS_H
#define DIMPLE_WHOLE_ROWS_H

#include "diffusion/changes.h"
#include "diffusion/iteration.h"

enum { SCORED_ROWS = CHANGED_ROWS }; /* at a time, at most */

/* Room for a block of rows [rows x vocab]: those that are scored, without the prompt where there is guidance, and the same of what they are compared
 * with; null: they are not wanted. One allocation, `logits`, which is to be freed. */
typedef struct whole_rows {
  float *logits, *bare, *former, *former_bare;
} whole_rows;

/* How many of `count` rows are taken at a time. */
int32_t whole_rows_at_once(int32_t vocab, int32_t count);

/* `compared`: with former ones, where the algorithm does; otherwise it has seen them. Errors: MEMORY. */
dimple_status whole_rows_open(const iteration *it, int32_t rows, int32_t vocab, bool compared, whole_rows *out);

/* Makes of a row of logits what the decoding does, but for biases and notes; bare: the same without the prompt, null where nothing guides. */
void whole_rows_change(const iteration *it, float *z, const float *bare, int32_t vocab);

/* Rows at..at + rows - 1 of those scored, of these positions, as the decoding wants them, and their summaries, head->results, at head->temperature.
 * Errors, here and below: MEMORY, CANCELLED, MODEL, STATE (replay). */
dimple_status whole_rows_read(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows,
                              const whole_rows *whole, head_call *head);

/* Candidates of all `count` rows; under a constraint their scores, for its path. */
dimple_status whole_rows_propose(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count, head_call head);

/* Another candidate for the rows whose token is the mask, where that is none. */
dimple_status whole_rows_replace_masks(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t count);

/* Candidates of those of the rows at..at + rows - 1 of `total` that a list leaves undecided; of others between them, too, the same but for what a device's
 * sums hang on how many rows share a call. Under a constraint their scores, of a head at this temperature. */
dimple_status whole_rows_settle(iteration *it, const sampler_step *step, pass *p, const int32_t *positions, int32_t at, int32_t rows, int32_t total,
                                float temperature, const bool *undecided);

#endif
