/*
 * One iteration's decisions: which masked positions are revealed, and as what. Pure functions of their arguments (recorded draws
 * excepted, which move on); canvas and model are the session's. Behaviour: the authors' generation code, edge cases included.
 *
 *     positions first:  sampler_choose(candidates null), head over the chosen rows, candidates of these rows
 *     otherwise:        head over all masked rows, candidates, sampler_choose
 *
 * How is the business of a pipeline (pipeline.h: how many, and when the decoding is done) and an algorithm (algorithm.h: which).
 */
#ifndef DIMPLE_SAMPLER_H
#define DIMPLE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#include "diffusion/logits.h"
#include "diffusion/replay.h"
#include "dimple.h"

typedef struct candidate {
  int32_t token;
  float confidence; /* probability or margin in 0 .. 1, or minus an entropy (<= 0, nats); never NaN */
  float log_probability; /* of the token in softmax(logits), whatever temperature and filters do: <= 0, nats; NaN if no
                          * pass scored the position */
  float entropy;    /* of the row's softmax, nats; never NaN */
} candidate;

/* The entropy of softmax(logits), whatever temperature and filters do. */
static inline float row_entropy(const head_row *row) {
  float entropy = row->log_sum - row->mean_logit;
  return entropy > 0 ? entropy : 0; /* 0 for NaN */
}

/* What one iteration decides on. positions[masked] are the response positions that are masked and may be revealed now, ascending. Random
 * numbers are keyed by (decoding->seed, iteration, response position) unless `recorded` replaces them. */
typedef struct sampler_step {
  const dimple_decoding *decoding;
  const float *levels; /* [steps + 1] */
  int32_t iteration;
  int32_t total;  /* masks at the start */
  int32_t masked;
  const int32_t *positions;
  replay *recorded; /* null: the generator */
  int32_t due;      /* pipelines that decode in blocks: the quota, */
  float share;      /* and what else the plan says of it (blocks.h) */
  bool likeliest;
  int32_t block_iteration; /* the same: in the block, from 0 */
  const int32_t *canvas; /* tokens by position; `positions` of algorithms that edit may hold others than the mask */
  void *notes;      /* of the algorithm; null: it keeps none */
  special_tokens tokens;
  logit_shift shift; /* of this iteration */
} sampler_step;

/* Where the iteration is in the schedule: one behind its end is as the last. */
static inline int32_t step_scheduled(const sampler_step *s) {
  return s->iteration < s->decoding->steps ? s->iteration : s->decoding->steps - 1;
}

/* Whether positions are chosen before tokens (pipeline dream with origin or autoregressive): then sampler_choose is called with
 * candidates null, and only the chosen rows go through the head. */
bool sampler_chooses_positions_first(const dimple_decoding *decoding);

/* The positions to reveal: chosen[*chosen_count] indices into positions, ascending; `chosen` has room for `masked`. `candidates`
 * [masked], or null when positions come first. Errors: STATE (replay), MEMORY. */
dimple_status sampler_choose(const sampler_step *step, const candidate *candidates, int32_t *chosen, int32_t *chosen_count);

#endif
