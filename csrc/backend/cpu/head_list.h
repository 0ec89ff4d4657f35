/*
 * The highest logits of rows. The vocabulary is walked in waves of chunks: what a chunk has above the row's bound, below which nothing can
 * be listed any more, is taken by an item of its own, then added row by row, in the order of the chunks; where a row has twice what it is
 * to list, or a quarter more at the end of a wave, its highest stay, and the lowest of them is the new bound. So memory is bounded by a wave
 * and a few lists, and results do not depend on threads.
 */
#ifndef DIMPLE_CPU_HEAD_LIST_H
#define DIMPLE_CPU_HEAD_LIST_H

#include "backend/cpu/operations.h"

typedef struct listed {
  float logit;
  int32_t token;
} listed;

typedef struct list_reduction {
  const head_call *call;
  const cpu_kernels *kernels;
  int64_t wave;    /* chunks, at most */
  int64_t room;    /* of a chunk, and */
  int64_t row_room; /* of a row */
  listed *taken;   /* [rows x wave x room] */
  int32_t *taken_count; /* [rows x wave] */
  listed *kept;    /* [rows x row_room] by ascending tokens */
  int64_t *kept_count; /* [rows] */
  float *bound;    /* [rows] */
  int32_t *classes; /* [vocabulary] the class of each token, -1: none; null: all may be listed */
} list_reduction;

/* For up to `rows` rows at a time. A call without a list has one wave of all chunks. On failure nothing is held. Errors: MEMORY. */
dimple_status cpu_list_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, list_reduction *out);
void cpu_list_close(list_reduction *l);

/* Before the first wave of rows. */
void cpu_list_begin(list_reduction *l, int64_t rows);

/* How many chunks a wave has at most behind `done` of them: few at first, when there is no bound yet. */
int64_t cpu_list_wave(const list_reduction *l, int64_t done);

/* Takes from the logits z [count] of chunk `chunk`, the `place`-th of its wave, in row `row` of those that are worked on, row `at` of the call. */
void cpu_list_take(const list_reduction *l, int64_t row, int64_t at, int64_t chunk, int64_t place, const float *z, int64_t count);

/* Adds a wave of `count` chunks to a row. `scratch`: a thread's. */
void cpu_list_merge(const list_reduction *l, int64_t row, int64_t count, void *scratch);

/* Writes row `row`, row `at` of the call. */
void cpu_list_finish(const list_reduction *l, int64_t row, int64_t at, void *scratch);

#endif
