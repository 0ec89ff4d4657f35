/*
 * The mean of the vocabulary's rows under softmax(z / temperature), which the head takes while it walks the vocabulary: wave by wave the logits
 * are turned into weights relative to the highest so far (an online softmax, as in attention_template.h), the rows are decoded piece by
 * piece, and their weighted sums are float products. So memory is bounded by a wave. A weight below 2^-40 of the highest counts as none; where a
 * piece of the vocabulary has no other weights, its rows are not even decoded.
 */
#ifndef DIMPLE_CPU_HEAD_EXPECTED_H
#define DIMPLE_CPU_HEAD_EXPECTED_H

#include "backend/cpu/operations.h"

typedef struct expected_sums {
  context *c;
  const head_call *call;
  int64_t wave;        /* chunks, at most */
  int64_t rows;        /* that are worked on */
  int64_t tiles;       /* of them, in the kernels' mean_form */
  int64_t tile_size;   /* bytes of a tile of one piece */
  float *logits;       /* [rows x wave * HEAD_CHUNK], then weights */
  uint8_t *weights;    /* [pieces of the wave][tiles] */
  float *sums;         /* relative to `highest`; as products lie, run of columns by run, group of rows by group */
  uint8_t *used;       /* [rows x pieces of the wave] whether a weight is not zero */
  float *highest;      /* [rows] logit so far */
  float *shrink;       /* [rows] what the wave's new highest does to sums so far */
  double *total;       /* [rows] of weights */
} expected_sums;

/* For up to `rows` rows at a time, in waves of at most `chunks`; sets `wave`. A call that does not want it costs nothing. On failure nothing is
 * held. Errors: MEMORY. */
dimple_status cpu_expected_open(context *c, const head_call *call, int64_t rows, int64_t chunks, expected_sums *out);
void cpu_expected_close(expected_sums *e);

/* Before the first wave of `rows` rows. */
void cpu_expected_begin(expected_sums *e, int64_t rows);

/* Takes the logits z [count] of the `place`-th chunk of a wave in row `row` of those that are worked on. */
void cpu_expected_take(const expected_sums *e, int64_t row, int64_t place, const float *z, int64_t count);

/* Adds chunks first .. first + count - 1, whose logits were taken. */
void cpu_expected_add(expected_sums *e, int64_t first, int64_t count);

/* After the last wave: the sums become means, in the call's rows from `first_row` on. */
void cpu_expected_finish(const expected_sums *e, int64_t first_row);

#endif
