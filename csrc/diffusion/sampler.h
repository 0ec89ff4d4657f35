/*
 * Choosing what to reveal: the noise schedule, candidates and confidences, and the selection of positions. Pure functions of their
 * arguments (recorded draws excepted, which move on); the session owns canvas and model. Behaviour: the authors' generation
 * code, edge cases included.
 *
 * One iteration of the session:
 *     positions first:  sampler_choose(candidates null), head over the chosen rows, candidates of these rows
 *     otherwise:        head over all masked rows, candidates, sampler_choose
 */
#ifndef DIMPLE_SAMPLER_H
#define DIMPLE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "dimple.h"

/* Checks every field of a decoding. Errors: ARGUMENT; the message names the field, its value and its range. */
dimple_status decoding_validate(const dimple_decoding *decoding);

/* ----------------------------------------------------------------------------------------------------------- schedule */

/* Fills levels[steps + 1]: from 1 down to epsilon, equal steps, rounded as torch.linspace does in float32. */
void schedule_levels(int32_t steps, float epsilon, float *levels);

/* How many of `masked` >= 1 positions pipeline dim reveals at `iteration` when nothing passes the threshold, `total` masks at the
 * start; at least 1. *from and *to receive the levels t and s of the transition; *to is levels[steps] when everything goes. */
int32_t schedule_dim(int32_t masked, int32_t total, int32_t iteration, const float *levels, int32_t steps, float *from,
                     float *to);

/* int(masked * (1 - to / from)) in float32, truncating. */
int32_t schedule_count(int32_t masked, float from, float to);

/* ------------------------------------------------------------------------------------------------------------- replay */

/* Recorded draws, see dimple_session_replay_draws. */
typedef struct replay replay;

/* Copies the records. Errors: ARGUMENT (an unknown kind, lengths that disagree with value_count, a value that no such draw can
 * have), MEMORY. */
dimple_status replay_create(const int32_t *kinds, const int32_t *lengths, int32_t record_count, const double *values,
                            int64_t value_count, replay **out);
void replay_free(replay *r); /* null is allowed */

/* The next record's number, and a way back to it: 0 for a new decoding, the number before an iteration that failed. */
int32_t replay_position(const replay *r);
void replay_seek(replay *r, int32_t position);

/* The values of the next record, which must have this kind (dimple_draw) and length. Errors: STATE. */
dimple_status replay_next(replay *r, int32_t kind, int32_t length, const double **values);

/* The values of the record that replay_next gave last. */
const double *replay_last(const replay *r);

/* ------------------------------------------------------------------------------------------------------------ sampler */

typedef struct candidate {
  int32_t token;
  float confidence; /* probability or margin in 0 .. 1, or minus an entropy (<= 0, nats); never NaN */
} candidate;

/* One decoding step. positions[masked] are the response positions still masked, ascending. Random numbers are keyed by
 * (decoding->seed, iteration, response position) unless `recorded` replaces them. */
typedef struct sampler_step {
  const dimple_decoding *decoding;
  const float *levels; /* [steps + 1] */
  int32_t iteration;
  int32_t total;  /* masks at the start */
  int32_t masked;
  const int32_t *positions;
  replay *recorded; /* null: the generator */
} sampler_step;

/* Whether positions are chosen before tokens (pipeline dream with origin or autoregressive): then sampler_choose is called with
 * candidates null, and only the chosen rows go through the head. */
bool sampler_chooses_positions_first(const dimple_decoding *decoding);

/* Whether candidates need whole rows of logits instead of head_row: recorded draws at temperature > 0, or a filter (top-p, top-k) that
 * can change something. */
bool sampler_needs_logits(const sampler_step *step);

/* Candidates of `count` rows from the head's summary. */
void sampler_candidates(const sampler_step *step, const head_row *rows, int32_t count, candidate *out);

/* Candidates of `count` rows from logits [count x vocab] and the same head call's summary (at temperature 0); positions[count]
 * are those rows' response positions. A step may come in several blocks of rows, in sequence order: `first` is the number of
 * rows in the blocks before this one, `total_rows` how many rows the step scores in all. Errors: STATE (replay), MEMORY. */
dimple_status sampler_candidates_from_logits(const sampler_step *step, const head_row *rows, const float *logits, int32_t count,
                                             int32_t vocab, const int32_t *positions, int32_t first, int32_t total_rows,
                                             candidate *out);

/* The positions to reveal: chosen[*chosen_count] indices into positions, ascending; `chosen` has room for `masked`. `candidates`
 * [masked], or null when positions come first. Errors: STATE (replay), MEMORY. */
dimple_status sampler_choose(const sampler_step *step, const candidate *candidates, int32_t *chosen, int32_t *chosen_count);

#endif
