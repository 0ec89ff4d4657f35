#include "backend/cpu/head_bias.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

dimple_status cpu_bias_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, bias_reduction *out) {
  *out = (bias_reduction){.call = call, .kernels = kernels, .chunks = chunks};
  if (!call->bias || !call->bias->log_sums) return DIMPLE_OK;
  size_t bytes = (size_t)(rows * chunks) * sizeof *out->sums;
  out->sums = malloc(bytes ? bytes : 1);
  return out->sums ? DIMPLE_OK : dimple_fail_memory(bytes, "sums without a bias");
}

void cpu_bias_close(bias_reduction *b) {
  free(b->sums);
  *b = (bias_reduction){0};
}

/* The first of the tokens [count] that is not below `token`. */
static int32_t first_from(const int32_t *tokens, int32_t count, int64_t token) {
  int32_t low = 0, high = count;
  while (low < high) {
    int32_t middle = low + (high - low) / 2;
    if (tokens[middle] < token) low = middle + 1;
    else high = middle;
  }
  return low;
}

bool cpu_bias_apply(const bias_reduction *b, int64_t row, int64_t chunk, float *z, int64_t count) {
  const head_bias *bias = b->call->bias;
  int64_t first = chunk * HEAD_CHUNK;
  for (int32_t i = 0; i < bias->forbidden_count; i++)
    if (bias->forbidden[i] >= first && bias->forbidden[i] < first + count) z[bias->forbidden[i] - first] = HEAD_FORBIDDEN;
  int32_t i = first_from(bias->tokens, bias->count, first), end = first_from(bias->tokens, bias->count, first + count);
  if (i == end) return false;
  if (b->sums) {
    chunk_summary plain;
    b->kernels->summarize(z, count, 0, 0.5f, &plain);
    b->sums[row * b->chunks + chunk] = (chunk_sum){plain.best, plain.sum};
  }
  for (; i < end; i++) {
    float *logit = &z[bias->tokens[i] - first];
    *logit = bias->values[i] == -INFINITY ? HEAD_FORBIDDEN : *logit + bias->values[i];
  }
  return true;
}

void cpu_bias_take(const bias_reduction *b, int64_t row, int64_t chunk, const chunk_summary *s) {
  if (b->sums) b->sums[row * b->chunks + chunk] = (chunk_sum){s->best, s->sum};
}

void cpu_bias_finish(const bias_reduction *b, int64_t row, int64_t at) {
  if (!b->sums) return;
  const chunk_sum *of = b->sums + row * b->chunks;
  double best = of[0].best, sum = 0;
  for (int64_t i = 1; i < b->chunks; i++) best = of[i].best > best ? of[i].best : best;
  for (int64_t i = 0; i < b->chunks; i++) sum += exp(of[i].best - best) * of[i].sum;
  b->call->bias->log_sums[at] = (float)(best + log(sum));
}
