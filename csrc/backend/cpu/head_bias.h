/* What is added to the head's logits, chunk by chunk, and the log-sums of rows without it. */
#ifndef DIMPLE_CPU_HEAD_BIAS_H
#define DIMPLE_CPU_HEAD_BIAS_H

#include "backend/cpu/operations.h"

/* Of a chunk, without what is added: the sum of exp(z - best). */
typedef struct chunk_sum {
  float best, sum;
} chunk_sum;

typedef struct bias_reduction {
  const head_call *call;
  const cpu_kernels *kernels;
  int64_t chunks;
  chunk_sum *sums; /* [rows x chunks]; null: not wanted */
} bias_reduction;

/* For up to `rows` rows at a time. On failure nothing is held. Errors: MEMORY. */
dimple_status cpu_bias_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, bias_reduction *out);
void cpu_bias_close(bias_reduction *b);

/* Changes the logits z [count] of a chunk of row `row` of those that are worked on, row `at` of the call. Whether anything was added of which sums are
 * without, and the chunk's sum is taken. */
bool cpu_bias_apply(const bias_reduction *b, int64_t row, int64_t at, int64_t chunk, float *z, int64_t count);

/* The same for the logits z [count] from token `first` on, without sums. */
void cpu_bias_change(const head_bias *bias, int64_t at, int64_t first, float *z, int64_t count);

/* The sum of a chunk to which nothing was added is its summary's. */
void cpu_bias_take(const bias_reduction *b, int64_t row, int64_t chunk, const chunk_summary *s);

/* Writes the log-sum of row `row`, row `at` of the call. */
void cpu_bias_finish(const bias_reduction *b, int64_t row, int64_t at);

#endif
