/* A token for every scored position, and how sure the model is of it. */
#ifndef DIMPLE_CANDIDATES_H
#define DIMPLE_CANDIDATES_H

#include "backend/backend.h"
#include "diffusion/sampler.h"

/* Whether candidates need whole rows of logits instead of head_row: recorded draws at temperature > 0, a filter (top-p, top-k) that can
 * change something, or logits that the decoding changes. */
bool candidates_need_logits(const sampler_step *step);

/* Candidates of `count` rows from the head's summary. */
void candidates_from_summary(const sampler_step *step, const head_row *rows, int32_t count, candidate *out);

/* Candidates of `count` rows from logits [count x vocab], undefined afterwards, and their summary at temperature 0; positions[count]
 * are those rows' response positions. A step may come in several blocks of rows, in sequence order: `first` is the number of
 * rows in the blocks before this one, `total_rows` how many rows the step scores in all. Errors: STATE (replay), MEMORY. */
dimple_status candidates_from_logits(const sampler_step *step, const head_row *rows, float *logits, int32_t count,
                                     int32_t vocab, const int32_t *positions, int32_t first, int32_t total_rows, candidate *out);

#endif
