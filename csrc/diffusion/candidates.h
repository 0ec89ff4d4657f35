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

/* How sure the model is of their tokens, where end of text and end of turn have no share: by `rest`, summaries without these two. */
void candidates_judge(const sampler_step *step, const head_row *rows, const head_row *rest, int32_t count, candidate *out);

/* Candidates of `count` rows from logits [count x vocab], undefined afterwards, and their summary at temperature 0; positions[count]
 * are those rows' response positions. A step may come in several blocks of rows, in sequence order: `first` is the number of
 * rows in the blocks before this one, `total_rows` how many rows the step scores in all. Errors: STATE (replay), MEMORY. */
dimple_status candidates_from_logits(const sampler_step *step, const head_row *rows, float *logits, int32_t count,
                                     int32_t vocab, const int32_t *positions, int32_t first, int32_t total_rows, candidate *out);

/* Whether a filter (top-p, top-k) can change something, and how many of a row's highest logits it may be made of: -1: whole rows. */
bool candidates_are_filtered(const dimple_decoding *d);
int32_t candidates_list_length(const dimple_decoding *d, int32_t vocab);

/* The temperature of a head that lists. */
float candidates_list_temperature(const dimple_decoding *d);

/* The same of `count` rows from lists of their highest logits and summaries, of a head at that temperature; rows' draws become what is taken. Where a list
 * does not show what the filters keep, undecided[i] is set, and the candidate is to be had of whole logits. Confidences with ends: candidates_judge has
 * others. Without recorded draws. Errors: MEMORY. */
dimple_status candidates_from_lists(const sampler_step *step, head_row *rows, const head_list *list, int32_t count, int32_t vocab,
                                    const int32_t *positions, candidate *out, bool *undecided);

#endif
