#include "diffusion/distribution.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

typedef union float_bits {
  float value;
  uint32_t bits;
} float_bits;

/* exp x within 2 ulp for x in (-50, 0], and 0 for all other x and NaN, without branches, so that compilers make vector code of it.
 * exp x = 2^n exp r, |r| <= log(2) / 2. */
static inline float weight_of(float x) {
  const float magic = 0x1.8p23f; /* added, it leaves the nearest integer in the lowest bits */
  const float_bits shifted = {x * 1.44269504f + magic};
  const float n = shifted.value - magic, r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  const float p = ((((0x1.6a23d0p-10f * r + 0x1.123a20p-7f) * r + 0x1.5558f2p-5f) * r + 0x1.555492p-3f) * r + 0x1.fffffcp-2f) * (r * r) + r;
  const float_bits power = {.bits = (shifted.bits << 23) + 0x3f800000u};
  float_bits e = {p * power.value + power.value};
  e.bits &= 0u - (uint32_t)(x > -50);
  return e.value;
}

enum { LANES = 8 };

/* In LANES sums, which are independent of each other. */
static double sum_of(const float *weights, int32_t count) {
  double lanes[LANES] = {0}, sum = 0;
  int32_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int j = 0; j < LANES; j++) lanes[j] += weights[i + j];
  for (; i < count; i++) sum += weights[i];
  for (int j = 0; j < LANES; j++) sum += lanes[j];
  return sum;
}

void distribution_weigh(distribution *d, const float *logits, int32_t best) {
  d->logits = logits;
  d->best = best;
  const float peak = logits[best], scale = (float)(1 / d->temperature);
  float *weights = d->weights;
  /* A million tokens below exp(-50) add less to the sum than it can show. */
  for (int32_t i = 0; i < d->vocab; i++) weights[i] = weight_of((logits[i] - peak) * scale);
  d->sum = sum_of(weights, d->vocab);
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
  const float key = (float)last.key;
  const float *logits = d->logits;
  float *weights = d->weights;
  int32_t equal = by_value ? d->vocab : last.index + 1; /* up to where an equal logit stays */
  for (int32_t i = 0; i < equal; i++) weights[i] = logits[i] >= key ? weights[i] : 0;
  for (int32_t i = equal; i < d->vocab; i++) weights[i] = logits[i] > key ? weights[i] : 0;
  d->sum = sum_of(weights, d->vocab);
}

/* Lists the tokens that weigh more than `least` >= 0, with these weights or 1 each; returns their number. */
static int32_t list_above(distribution *d, double least, bool weighed) {
  const float *weights = d->weights, bound = nextafterf((float)least, 0); /* not above `least` */
  int32_t count = 0;
  for (int32_t first = 0, end; first < d->vocab; first = end) {
    end = d->vocab - first < 2 * LANES ? d->vocab : first + 2 * LANES;
    int32_t above = 0;
    for (int32_t i = first; i < end; i++) above += weights[i] >= bound;
    if (above == 0) continue;
    for (int32_t i = first; i < end; i++)
      if (weights[i] > least) d->items[count++] = (ranked){d->logits[i], weighed ? weights[i] : 1, i};
  }
  return count;
}

void distribution_keep_top_p(distribution *d, float top_p) {
  /* Tokens no heavier than this weigh at most (1 - top_p) / 2 of the sum together, so they lie behind the cut: in a usual row
   * a handful is left to select from. */
  int32_t count = list_above(d, (1 - (double)top_p) / 2 * d->sum / d->vocab, true);
  if (count > 0) keep_until(d, selection_last(d->items, count, top_p * d->sum), false);
}

void distribution_keep_top_k(distribution *d, int32_t top_k) {
  int32_t count = list_above(d, 0, false);
  if (count > top_k) keep_until(d, selection_last(d->items, count, top_k - 1), true);
}

row_part distribution_part(const distribution *d, double log_sum, bool whole) {
  double rounding = 2e-5 + 2.4e-7 * fabs(log_sum), sum = exp(log_sum - d->logits[d->best] / d->temperature);
  row_part part = {.whole = whole, .lowest = d->logits[0], .least_sum = sum * (1 - rounding), .most_sum = sum * (1 + rounding)};
  for (int32_t i = 1; i < d->vocab; i++) part.lowest = d->logits[i] < part.lowest ? d->logits[i] : part.lowest;
  return part;
}

bool distribution_part_top_p(distribution *d, row_part *part, float top_p) {
  if (part->whole) {
    distribution_keep_top_p(d, top_p);
    return true;
  }
  int32_t count = list_above(d, 0, true);
  if (count == 0) return false;
  ranked last = selection_last(d->items, count, top_p * part->least_sum);
  if (!(last.key > part->lowest)) return true; /* it keeps the part, and maybe more */
  if (last.index != selection_last(d->items, count, top_p * part->most_sum).index) return false;
  part->whole = true;
  keep_until(d, last, false);
  return true;
}

bool distribution_part_top_k(distribution *d, row_part *part, int32_t top_k) {
  int32_t count = list_above(d, 0, false);
  if (count > top_k) {
    ranked last = selection_last(d->items, count, top_k - 1);
    part->whole |= last.key > part->lowest;
    if (part->whole) keep_until(d, last, true);
  } else if (weight_of((part->lowest - d->logits[d->best]) * (float)(1 / d->temperature)) == 0) {
    part->whole = true;
  }
  return part->whole;
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
