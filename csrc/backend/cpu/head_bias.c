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

/* Those of `tokens` [count] that lie in the run of `length` tokens from `first` on. */
typedef struct token_range {
  int32_t first, end;
} token_range;

static token_range range_of(const int32_t *tokens, int32_t count, int64_t first, int64_t length) {
  return (token_range){first_from(tokens, count, first), first_from(tokens, count, first + length)};
}

/* The same of a row's own, counted from the first row's. */
static token_range range_of_row(const head_bias *bias, int64_t at, int64_t first, int64_t length) {
  if (!bias->row_first) return (token_range){0, 0};
  int32_t from = bias->row_first[at];
  token_range own = range_of(bias->row_tokens + from, bias->row_first[at + 1] - from, first, length);
  return (token_range){from + own.first, from + own.end};
}

/* What becomes of logits before sums of them are taken. */
static void prepare(const head_bias *bias, int64_t first, float *z, int64_t count) {
  for (int32_t i = 0; i < bias->forbidden_count; i++)
    if (bias->forbidden[i] >= first && bias->forbidden[i] < first + count) z[bias->forbidden[i] - first] = HEAD_FORBIDDEN;
  if (bias->shift != 0 && bias->shifted >= first && bias->shifted < first + count) z[bias->shifted - first] += bias->shift;
}

/* What becomes of them then. */
static void add(const head_bias *bias, token_range all, token_range own, int64_t first, float *z) {
  for (int32_t i = all.first; i < all.end; i++) {
    float *logit = &z[bias->tokens[i] - first];
    *logit = bias->values[i] == -INFINITY ? HEAD_FORBIDDEN : *logit + bias->values[i];
  }
  for (int32_t i = own.first; i < own.end; i++) z[bias->row_tokens[i] - first] += bias->row_values[i];
}

void cpu_bias_change(const head_bias *bias, int64_t at, int64_t first, float *z, int64_t count) {
  prepare(bias, first, z, count);
  add(bias, range_of(bias->tokens, bias->count, first, count), range_of_row(bias, at, first, count), first, z);
}

bool cpu_bias_apply(const bias_reduction *b, int64_t row, int64_t at, int64_t chunk, float *z, int64_t count) {
  const head_bias *bias = b->call->bias;
  int64_t first = chunk * HEAD_CHUNK;
  prepare(bias, first, z, count);
  token_range all = range_of(bias->tokens, bias->count, first, count), own = range_of_row(bias, at, first, count);
  if (all.first == all.end && own.first == own.end) return false;
  if (b->sums) {
    chunk_summary plain;
    b->kernels->summarize(z, count, 0, 0.5f, &plain);
    b->sums[row * b->chunks + chunk] = (chunk_sum){plain.best, plain.sum};
  }
  add(bias, all, own, first, z);
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
