#include "backend/cpu/head_comparison.h"

#include <math.h>
#include <stdlib.h>

#include "backend/cpu/head_bias.h"
#include "error.h"

/* Of x, so that the former rows begin with a tile of their own: tile_rows divides HEAD_ROWS. */
static int64_t padded(int64_t rows) { return parts(rows, HEAD_ROWS) * HEAD_ROWS; }

int64_t cpu_comparison_rows(const head_call *call, int64_t rows) { return call->comparison ? 2 * padded(rows) : rows; }

dimple_status cpu_comparison_open(context *c, const head_call *call, const prepared_forms *x, int64_t rows, int64_t chunks, comparison_sums *out) {
  *out = (comparison_sums){.c = c, .call = call, .former = *x, .chunks = chunks};
  if (!call->comparison) return DIMPLE_OK;
  for (int i = 0; i < PACKINGS; i++)
    if (x->of[i].form) out->former.of[i].tiles += padded(rows) / x->of[i].form->tile_rows * x->of[i].tile_size;
  size_t bytes = (size_t)(rows * chunks) * sizeof *out->sums;
  out->sums = malloc(bytes ? bytes : 1);
  return out->sums ? DIMPLE_OK : dimple_fail_memory(bytes, "comparisons of rows");
}

void cpu_comparison_close(comparison_sums *k) {
  free(k->sums);
  *k = (comparison_sums){0};
}

void cpu_comparison_begin(const comparison_sums *k, int64_t first, int64_t rows) {
  if (k->sums) cpu_prepare(k->c, &k->former, view_rows(k->call->former, first, rows));
}

/* What sums are taken relative to, so that they are small where little has changed. */
static float reference_of(const comparison_sums *k, int64_t at) {
  float log_sum = k->call->comparison->log_sums[at];
  return log_sum == HEAD_NO_FORMER ? 0 : log_sum;
}

void cpu_comparison_take(const comparison_sums *k, int64_t row, int64_t at, int64_t rows, int64_t chunk, int64_t count, const float *z,
                         const chunk_summary *summaries, float *panels, void *scratch) {
  const head_call *call = k->call;
  const head_comparison *of = call->comparison;
  int64_t first = chunk * HEAD_CHUNK;
  if (!k->sums) return;
  for (int64_t j = 0; j < count; j += RUN_PANELS * PANEL) {
    int64_t run = smaller(RUN_PANELS * PANEL, count - j);
    cpu_multiply(k->c, &k->former, call->w, (first + j) / PANEL, parts(run, PANEL), row, rows, panels, scratch);
    for (int64_t r = 0; r < rows; r++) {
      float former[RUN_PANELS * PANEL], *sum = &k->sums[(row + r) * k->chunks + chunk];
      for (int64_t p = 0; p < parts(run, PANEL); p++) memcpy(former + p * PANEL, panels + (p * GROUP_ROWS + r) * PANEL, PANEL * sizeof(float));
      if (call->softcap > 0) k->c->kernels->cap(former, run, call->softcap);
      if (of->bias) cpu_bias_change(of->bias, at + r, first + j, former, run);
      float part = k->c->kernels->diverge(z + r * HEAD_CHUNK + j, former, run, summaries[r * k->chunks].best, of->log_sums[at + r], reference_of(k, at + r));
      *sum = j == 0 ? part : *sum + part;
    }
  }
}

void cpu_comparison_finish(const comparison_sums *k, int64_t row, int64_t at, const chunk_summary *summaries, double best, double sum) {
  double divergence = 0;
  if (!k->sums) return;
  for (int64_t i = 0; i < k->chunks; i++) divergence += exp(summaries[i].best - best) * k->sums[row * k->chunks + i];
  k->call->comparison->divergences[at] = (float)(divergence / sum - (best + log(sum) - reference_of(k, at)));
}
