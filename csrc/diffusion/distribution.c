#include "diffusion/distribution.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

dimple_status distribution_open(int32_t vocab, double temperature, distribution *d) {
  *d = (distribution){.vocab = vocab, .temperature = temperature};
  d->weights = malloc((size_t)vocab * sizeof *d->weights);
  d->items = malloc((size_t)vocab * sizeof *d->items);
  if (d->weights && d->items) return DIMPLE_OK;
  distribution_close(d);
  return dimple_fail_memory((uint64_t)vocab * (sizeof *d->weights + sizeof *d->items), "sampling from a row of logits");
}

void distribution_close(distribution *d) {
  free(d->weights);
  free(d->items);
  *d = (distribution){0};
}

void distribution_weigh(distribution *d, const float *logits, int32_t best) {
  d->logits = logits;
  d->best = best;
  float peak = logits[best], scale = (float)(1 / d->temperature);
  d->sum = 0;
  for (int32_t i = 0; i < d->vocab; i++) {
    float x = (logits[i] - peak) * scale;
    /* A million tokens below exp(-50) add less to the sum than it can show. NaN fails the comparison. */
    d->weights[i] = x > -50 ? expf(x) : 0;
    d->sum += d->weights[i];
  }
}

void distribution_drop(distribution *d, int32_t token) {
  if (token < 0 || token >= d->vocab || d->vocab == 1) return;
  d->sum -= d->weights[token];
  d->weights[token] = 0;
  if (token != d->best) return;
  d->best = token == 0;
  for (int32_t i = d->best + 1; i < d->vocab; i++)
    if (i != token && d->logits[i] > d->logits[d->best]) d->best = i;
  if (d->weights[d->best] > 0) return;
  d->weights[d->best] = 1; /* the token outweighed all others by more than weights can show */
  d->sum = 1;
}

/* Drops what ranks behind `last`; `by_value`: equal logits stay together. */
static void keep_until(distribution *d, ranked last, bool by_value) {
  d->sum = 0;
  for (int32_t i = 0; i < d->vocab; i++) {
    ranked item = {d->logits[i], 0, i};
    if (by_value ? item.key < last.key : selection_before(&last, &item)) d->weights[i] = 0;
    d->sum += d->weights[i];
  }
}

void distribution_keep_top_p(distribution *d, float top_p) {
  /* Tokens no heavier than this weigh at most (1 - top_p) / 2 of the sum together, so they lie behind the cut: in a usual row
   * a handful is left to select from. */
  double least = (1 - (double)top_p) / 2 * d->sum / d->vocab;
  int32_t count = 0;
  for (int32_t i = 0; i < d->vocab; i++) {
    if (d->weights[i] > least) d->items[count++] = (ranked){d->logits[i], d->weights[i], i};
  }
  if (count > 0) keep_until(d, selection_last(d->items, count, top_p * d->sum), false);
}

void distribution_keep_top_k(distribution *d, int32_t top_k) {
  int32_t count = 0;
  for (int32_t i = 0; i < d->vocab; i++) {
    if (d->weights[i] > 0) d->items[count++] = (ranked){d->logits[i], 1, i};
  }
  if (count > top_k) keep_until(d, selection_last(d->items, count, top_k - 1), true);
}

int32_t distribution_token_at(const distribution *d, double u) {
  double passed = 0, target = u * d->sum;
  int32_t token = d->best;
  for (int32_t i = 0; i < d->vocab; i++) {
    if (d->weights[i] == 0) continue;
    token = i;
    passed += d->weights[i];
    if (passed > target) break;
  }
  return token;
}
