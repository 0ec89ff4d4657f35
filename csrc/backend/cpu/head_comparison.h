/* How far rows are from what they were: while the head walks the vocabulary, former logits of the same rows and tokens are multiplied beside. Of
 * these, a run of panels at a time is held. */
#ifndef DIMPLE_CPU_HEAD_COMPARISON_H
#define DIMPLE_CPU_HEAD_COMPARISON_H

#include "backend/cpu/operations.h"

typedef struct comparison_sums {
  context *c;
  const head_call *call;
  prepared_forms former;
  int64_t chunks;
  float *sums; /* [rows x chunks]; null: nothing is compared */
} comparison_sums;

/* How many rows cpu_reserve is to have room for where a slab has `rows`. */
int64_t cpu_comparison_rows(const head_call *call, int64_t rows);

/* For up to `rows` rows at a time, in the second half of what was reserved for x. On failure nothing is held. Errors: MEMORY. */
dimple_status cpu_comparison_open(context *c, const head_call *call, const prepared_forms *x, int64_t rows, int64_t chunks, comparison_sums *out);
void cpu_comparison_close(comparison_sums *k);

/* Before the first wave of the slab that begins with row `first`. */
void cpu_comparison_begin(const comparison_sums *k, int64_t first, int64_t rows);

/* Rows row .. row + rows - 1 of those that are worked on, the first of them row `at` of the call, of whose chunk logits z [rows x HEAD_CHUNK, `count` of
 * each] are there, and summaries, `chunks` apart from row to row. */
void cpu_comparison_take(const comparison_sums *k, int64_t row, int64_t at, int64_t rows, int64_t chunk, int64_t count, const float *z,
                         const chunk_summary *summaries, float *panels, void *scratch);

/* Writes row `row`, row `at` of the call, from its chunks' summaries, their highest logit and their sum. */
void cpu_comparison_finish(const comparison_sums *k, int64_t row, int64_t at, const chunk_summary *summaries, double best, double sum);

#endif
