/* Candidates, confidences and the choice of positions. */
#include "diffusion/sampler.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "diffusion/draws.h"
#include "error.h"

/* Below this, float32 logits divided by the temperature overflow or keep no digit. */
static const float MIN_TEMPERATURE = 1e-6f;

enum { MAX_STEPS = 1 << 20 };

/* ----------------------------------------------------------------------------------------------------------- settings */

void dimple_decoding_defaults(dimple_decoding *decoding) {
  if (!decoding) return;
  *decoding = (dimple_decoding){.pipeline = DIMPLE_PIPELINE_DIM,
                                .algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS,
                                .steps = 64,
                                .original_confidence = 1,
                                .threshold = 0.95f,
                                .top_p = 1.0f,
                                .epsilon = 1e-3f};
}

static dimple_status integer_in(const char *field, int32_t value, int32_t low, int32_t high) {
  if (value >= low && value <= high) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %d, expected %d .. %d", field, value, low, high);
}

static dimple_status finite_from_zero(const char *field, float value) {
  if (value >= 0 && value <= FLT_MAX) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: %s is %g, expected a finite number >= 0", field, (double)value);
}

dimple_status decoding_validate(const dimple_decoding *d) {
  if (!d) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding is null");
  DIMPLE_TRY(integer_in("pipeline", d->pipeline, DIMPLE_PIPELINE_DIM, DIMPLE_PIPELINE_DREAM));
  DIMPLE_TRY(integer_in("algorithm", d->algorithm, DIMPLE_ALGORITHM_ORIGIN, DIMPLE_ALGORITHM_ENTROPY));
  DIMPLE_TRY(integer_in("steps", d->steps, 1, MAX_STEPS));
  DIMPLE_TRY(integer_in("top_k", d->top_k, 0, INT32_MAX));
  DIMPLE_TRY(integer_in("original_confidence", d->original_confidence, 0, 1));
  DIMPLE_TRY(finite_from_zero("threshold", d->threshold));
  DIMPLE_TRY(finite_from_zero("temperature", d->temperature));
  DIMPLE_TRY(finite_from_zero("algorithm_temperature", d->algorithm_temperature));
  if (d->temperature > 0 && d->temperature < MIN_TEMPERATURE) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: temperature is %g, expected 0 (the most likely token) or at least %g",
                       (double)d->temperature, (double)MIN_TEMPERATURE);
  }
  if (!(d->top_p >= 0 && d->top_p <= 1)) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: top_p is %g, expected 0 .. 1", (double)d->top_p);
  }
  if (!(d->epsilon > 0 && d->epsilon < 1)) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "decoding: epsilon is %g, expected more than 0 and less than 1",
                       (double)d->epsilon);
  }
  if (d->algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO && d->pipeline != DIMPLE_PIPELINE_DIM) {
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "decoding: algorithm is origin-ratio (%d) with pipeline %d, expected pipeline dim (%d)",
                       (int)DIMPLE_ALGORITHM_ORIGIN_RATIO, d->pipeline, (int)DIMPLE_PIPELINE_DIM);
  }
  return DIMPLE_OK;
}

bool sampler_chooses_positions_first(const dimple_decoding *d) {
  return d->pipeline == DIMPLE_PIPELINE_DREAM &&
         (d->algorithm == DIMPLE_ALGORITHM_ORIGIN || d->algorithm == DIMPLE_ALGORITHM_AUTOREGRESSIVE);
}

/* The confidence is that of softmax(logits), whatever temperature and filters do. */
static bool judges_original(const dimple_decoding *d) {
  return d->pipeline == DIMPLE_PIPELINE_DIM && d->original_confidence;
}

bool sampler_needs_logits(const sampler_step *step) {
  const dimple_decoding *d = step->decoding;
  if (d->temperature > 0 && step->recorded) return true;
  bool filtered = d->top_p < 1 || d->top_k > 0;
  /* No filter removes the most likely token, so it shows only in a draw or in a confidence taken after it. */
  return filtered && (d->temperature > 0 || !judges_original(d));
}

/* ---------------------------------------------------------------------------------------------------------- selection */

/* Something to be ranked: by key, the highest first, and by index, the lowest first, among equal keys. */
typedef struct ranked {
  double key; /* not NaN */
  float weight; /* >= 0 */
  int32_t index;
} ranked;

static bool ranks_before(const ranked *a, const ranked *b) {
  return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static void swap(ranked *a, ranked *b) {
  ranked held = *a;
  *a = *b;
  *b = held;
}

/* The last item, in order of rank, whose predecessors weigh at most `limit` >= 0 together. Everything that does not rank
 * behind it is selected. A quickselect: linear time on average, without sorting; reorders items[count >= 1]. */
static ranked select_last(ranked *items, int32_t count, double limit) {
  double before = 0; /* weight of all items that rank before items[low] .. items[high - 1] */
  int32_t low = 0, high = count;
  ranked last = items[0];
  uint32_t spread = 0; /* a pivot at a varying place: no common order of the items makes it quadratic */
  while (low < high) {
    spread = spread * 1664525u + 1013904223u;
    swap(&items[low + (int32_t)(((uint64_t)spread * (uint32_t)(high - low)) >> 32)], &items[high - 1]);
    ranked pivot = items[high - 1];
    double weight = 0;
    int32_t middle = low;
    for (int32_t i = low; i < high - 1; i++) {
      if (!ranks_before(&items[i], &pivot)) continue;
      weight += items[i].weight;
      swap(&items[i], &items[middle++]);
    }
    if (before + weight <= limit) {
      last = pivot;
      before += weight + pivot.weight;
      swap(&items[middle], &items[high - 1]);
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return last;
}

/* ------------------------------------------------------------------------------------------------ candidates, summary */

typedef enum confidence_kind { KIND_PROBABILITY, KIND_MARGIN, KIND_ENTROPY } confidence_kind;

static confidence_kind kind_of(const dimple_decoding *d) {
  if (d->algorithm == DIMPLE_ALGORITHM_TOPK_MARGIN) return KIND_MARGIN;
  return d->algorithm == DIMPLE_ALGORITHM_ENTROPY ? KIND_ENTROPY : KIND_PROBABILITY;
}

/* Rounding must not carry a confidence out of its range (a threshold of 1 is never passed), nor NaN into the comparisons. */
static float bounded(confidence_kind kind, double confidence) {
  double low = kind == KIND_ENTROPY ? -FLT_MAX : 0, high = kind == KIND_ENTROPY ? 0 : 1;
  return (float)(confidence >= low ? fmin(confidence, high) : low);
}

/* The confidence of a token with this logit. Minus an entropy is sum p log p; the authors add 1e-10 inside the logarithm against
 * log 0, which moves the sum by at most 1e-10 per token of the vocabulary, and here p log p is 0 at p = 0 instead. */
static float summary_confidence(const dimple_decoding *d, const head_row *row, float logit) {
  confidence_kind kind = kind_of(d);
  bool hot = d->temperature > 0 && !judges_original(d);
  double temperature = hot ? d->temperature : 1, log_sum = hot ? row->hot_log_sum : row->log_sum;
  switch (kind) {
    case KIND_MARGIN:
      return bounded(kind, exp(row->best_logit / temperature - log_sum) - exp(row->second_logit / temperature - log_sum));
    case KIND_ENTROPY: return bounded(kind, (hot ? row->hot_mean : row->mean_logit) - log_sum);
    default: return bounded(kind, exp(logit / temperature - log_sum));
  }
}

void sampler_candidates(const sampler_step *step, const head_row *rows, int32_t count, candidate *out) {
  for (int32_t i = 0; i < count; i++) {
    out[i] = (candidate){rows[i].drawn, summary_confidence(step->decoding, &rows[i], rows[i].drawn_logit)};
  }
}

/* ------------------------------------------------------------------------------------------------- candidates, logits */

/* One row of logits and what temperature and filters make of it. */
typedef struct row {
  const float *logits; /* [vocab] */
  int32_t vocab;
  int32_t best;       /* the highest logit; the lowest id among equals */
  double temperature; /* 1 when tokens are not drawn */
  float *weights;     /* [vocab] exp((logit - best logit) / temperature), 0 where filtered out */
  double sum;         /* of the weights; the best one's is 1 */
  ranked *items;      /* [vocab] scratch */
} row;

static void weigh(row *r) {
  float peak = r->logits[r->best], scale = (float)(1 / r->temperature);
  r->sum = 0;
  for (int32_t i = 0; i < r->vocab; i++) {
    float x = (r->logits[i] - peak) * scale;
    /* A million tokens below exp(-50) add less to the sum than it can show. NaN fails the comparison. */
    r->weights[i] = x > -50 ? expf(x) : 0;
    r->sum += r->weights[i];
  }
}

/* Drops what ranks behind `last`; `by_value`: equal logits stay together. */
static void keep_until(row *r, ranked last, bool by_value) {
  r->sum = 0;
  for (int32_t i = 0; i < r->vocab; i++) {
    ranked item = {r->logits[i], 0, i};
    if (by_value ? item.key < last.key : ranks_before(&last, &item)) r->weights[i] = 0;
    r->sum += r->weights[i];
  }
}

/* A token stays if the probability of all tokens before it, in order of falling logits, is at most top_p. */
static void keep_top_p(row *r, float top_p) {
  /* Tokens no heavier than this weigh at most (1 - top_p) / 2 of the sum together, so they lie behind the cut: in a usual row
   * a handful is left to select from. */
  double least = (1 - (double)top_p) / 2 * r->sum / r->vocab;
  int32_t count = 0;
  for (int32_t i = 0; i < r->vocab; i++) {
    if (r->weights[i] > least) r->items[count++] = (ranked){r->logits[i], r->weights[i], i};
  }
  if (count > 0) keep_until(r, select_last(r->items, count, top_p * r->sum), false);
}

/* A token stays if its logit is at least the k-th highest of those left. */
static void keep_top_k(row *r, int32_t top_k) {
  int32_t count = 0;
  for (int32_t i = 0; i < r->vocab; i++) {
    if (r->weights[i] > 0) r->items[count++] = (ranked){r->logits[i], 1, i};
  }
  if (count > top_k) keep_until(r, select_last(r->items, count, top_k - 1), true);
}

/* The token where the cumulative sum of the weights, by id, passes the share `u` of the whole. */
static int32_t draw_token(const row *r, double u) {
  double passed = 0, target = u * r->sum;
  int32_t token = r->best;
  for (int32_t i = 0; i < r->vocab; i++) {
    if (r->weights[i] == 0) continue;
    token = i;
    passed += r->weights[i];
    if (passed > target) break;
  }
  return token;
}

/* The confidence of a token after temperature and filters. */
static float filtered_confidence(const row *r, confidence_kind kind, int32_t token) {
  if (kind == KIND_PROBABILITY) return bounded(kind, r->weights[token] / r->sum);
  if (kind == KIND_MARGIN) {
    float second = 0;
    for (int32_t i = 0; i < r->vocab; i++) {
      if (i != r->best && r->weights[i] > second) second = r->weights[i];
    }
    return bounded(kind, ((double)r->weights[r->best] - second) / r->sum);
  }
  double mean = 0; /* of log weight */
  for (int32_t i = 0; i < r->vocab; i++) {
    if (r->weights[i] > 0) mean += r->weights[i] * ((double)r->logits[i] - r->logits[r->best]) / r->temperature;
  }
  return bounded(kind, mean / r->sum - log(r->sum));
}

/* `recorded` is the token of a recorded draw, -1 without one. */
static candidate row_candidate(const sampler_step *step, const head_row *summary, row *r, int32_t position, int32_t recorded) {
  const dimple_decoding *d = step->decoding;
  r->best = summary->best;
  weigh(r);
  if (d->top_p < 1) keep_top_p(r, d->top_p);
  if (d->top_k > 0) keep_top_k(r, d->top_k);

  int32_t token = r->best;
  if (recorded >= 0) {
    token = recorded;
  } else if (d->temperature > 0) {
    token = draw_token(r, draw_uniform(d->seed, (uint32_t)step->iteration, (uint32_t)position, DRAW_CATEGORICAL, 0));
  }
  return (candidate){token, judges_original(d) ? summary_confidence(d, summary, r->logits[token])
                                               : filtered_confidence(r, kind_of(d), token)};
}

dimple_status sampler_candidates_from_logits(const sampler_step *step, const head_row *rows, const float *logits, int32_t count,
                                             int32_t vocab, const int32_t *positions, int32_t first, int32_t total_rows,
                                             candidate *out) {
  const double *tokens = NULL;
  if (step->recorded && step->decoding->temperature > 0) {
    if (first == 0) {
      DIMPLE_TRY(replay_next(step->recorded, DIMPLE_DRAW_CATEGORICAL, total_rows, &tokens));
      for (int32_t i = 0; i < total_rows; i++) {
        if (tokens[i] < vocab) continue;
        return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: record %d holds token %.0f at %d, expected 0 .. %d",
                           replay_position(step->recorded) - 1, tokens[i], i, vocab - 1);
      }
    }
    tokens = replay_last(step->recorded) + first;
  }
  row r = {.vocab = vocab, .temperature = step->decoding->temperature > 0 ? step->decoding->temperature : 1};
  r.weights = malloc((size_t)vocab * sizeof *r.weights);
  r.items = malloc((size_t)vocab * sizeof *r.items);
  bool enough = r.weights && r.items;
  for (int32_t i = 0; enough && i < count; i++) {
    r.logits = logits + (size_t)i * (size_t)vocab;
    out[i] = row_candidate(step, &rows[i], &r, positions[i], tokens ? (int32_t)tokens[i] : -1);
  }
  free(r.weights);
  free(r.items);
  if (enough) return DIMPLE_OK;
  return dimple_fail_memory((uint64_t)vocab * (sizeof *r.weights + sizeof *r.items), "sampling from a row of logits");
}

/* ---------------------------------------------------------------------------------------------------------- positions */

/* What the choosing functions share: the step, and the output of sampler_choose. */
typedef struct choice {
  const sampler_step *step;
  const candidate *candidates;
  int32_t *chosen;
  int32_t count;
} choice;

static uint32_t position_word(const choice *c, int32_t i, draw_purpose purpose) {
  const sampler_step *step = c->step;
  return draw_word(step->decoding->seed, (uint32_t)step->iteration, (uint32_t)step->positions[i], purpose, 0);
}

static void choose_all(choice *c) {
  for (int32_t i = 0; i < c->step->masked; i++) c->chosen[c->count++] = i;
}

static void choose_above(choice *c, float threshold) {
  for (int32_t i = 0; i < c->step->masked; i++) {
    if (c->candidates[i].confidence > threshold) c->chosen[c->count++] = i;
  }
}

/* Every position with probability 1 - to / from. */
static dimple_status choose_each(choice *c, float from, float to, bool last) {
  float probability = last ? 1.0f : 1.0f - to / from;
  const sampler_step *step = c->step;
  const double *uniform = NULL;
  if (step->recorded) DIMPLE_TRY(replay_next(step->recorded, DIMPLE_DRAW_UNIFORM, step->masked, &uniform));
  for (int32_t i = 0; i < step->masked; i++) {
    double u = uniform ? uniform[i]
                       : draw_uniform(step->decoding->seed, (uint32_t)step->iteration, (uint32_t)step->positions[i],
                                      DRAW_UNIFORM, 0);
    if (u < probability) c->chosen[c->count++] = i;
  }
  return DIMPLE_OK;
}

/* The `count` positions with the highest keys; the lower position among equals. */
static dimple_status choose_highest(choice *c, int32_t count, double (*key)(const choice *c, int32_t i)) {
  int32_t masked = c->step->masked;
  ranked *items = malloc((size_t)masked * sizeof *items);
  if (!items) return dimple_fail_memory((uint64_t)masked * sizeof *items, "ranking the masked positions");
  for (int32_t i = 0; i < masked; i++) items[i] = (ranked){key(c, i), 1, i};
  ranked last = select_last(items, masked, count - 1);
  for (int32_t i = 0; i < masked; i++) {
    if (!ranks_before(&last, &items[i])) c->chosen[c->count++] = items[i].index;
  }
  free(items);
  return DIMPLE_OK;
}

static double confidence_key(const choice *c, int32_t i) { return c->candidates[i].confidence; }

static double permutation_key(const choice *c, int32_t i) { return -(double)position_word(c, i, DRAW_PERMUTATION); }

/* Gumbel noise on the log weights, and then the highest keys: the same distribution as drawing one position after the other
 * without replacement, with weights softmax(confidence / algorithm temperature) (Gumbel-top-k). */
static double subset_key(const choice *c, int32_t i) {
  double u = ((double)position_word(c, i, DRAW_SUBSET) + 0.5) * 0x1p-32;
  return (double)c->candidates[i].confidence / (double)c->step->decoding->algorithm_temperature - log(-log(u));
}

/* The first `count` indices of a recorded permutation or subset. */
static dimple_status choose_recorded(choice *c, int32_t kind, int32_t length, int32_t count) {
  const sampler_step *step = c->step;
  const double *indices;
  DIMPLE_TRY(replay_next(step->recorded, kind, length, &indices));
  for (int32_t i = 0; i < count; i++) {
    if (indices[i] >= step->masked) {
      return dimple_fail(DIMPLE_ERROR_STATE, "recorded draws: record %d holds index %.0f, but only %d positions are masked",
                         replay_position(step->recorded) - 1, indices[i], step->masked);
    }
    c->chosen[c->count++] = (int32_t)indices[i];
  }
  return DIMPLE_OK;
}

static int order_indices(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
  return (x > y) - (x < y);
}

static dimple_status choose_permuted(choice *c, int32_t count) {
  if (c->step->recorded) return choose_recorded(c, DIMPLE_DRAW_PERMUTATION, c->step->masked, count);
  return choose_highest(c, count, permutation_key);
}

static dimple_status choose_confident(choice *c, int32_t count) {
  if (count == 0) return DIMPLE_OK;
  if (c->step->decoding->algorithm_temperature == 0) return choose_highest(c, count, confidence_key);
  if (c->step->recorded) return choose_recorded(c, DIMPLE_DRAW_SUBSET, count, count);
  return choose_highest(c, count, subset_key);
}

static dimple_status choose_dream(choice *c) {
  const sampler_step *step = c->step;
  float from = step->levels[step->iteration], to = step->levels[step->iteration + 1];
  bool last = step->iteration == step->decoding->steps - 1;
  switch (step->decoding->algorithm) {
    case DIMPLE_ALGORITHM_ORIGIN: return choose_each(c, from, to, last);
    case DIMPLE_ALGORITHM_AUTOREGRESSIVE: c->chosen[c->count++] = 0; return DIMPLE_OK;
    default: return choose_confident(c, last ? step->masked : schedule_count(step->masked, from, to));
  }
}

static dimple_status choose_dim(choice *c) {
  const sampler_step *step = c->step;
  const dimple_decoding *d = step->decoding;
  if (d->threshold > 0) { /* confident decoding, paper section 4.1 */
    if (step->iteration == d->steps - 1) {
      choose_all(c);
    } else {
      choose_above(c, d->threshold);
    }
    if (c->count > 0) return DIMPLE_OK;
  }
  float from, to;
  int32_t count = schedule_dim(step->masked, step->total, step->iteration, step->levels, d->steps, &from, &to);
  switch (d->algorithm) {
    case DIMPLE_ALGORITHM_ORIGIN: return choose_permuted(c, count);
    case DIMPLE_ALGORITHM_ORIGIN_RATIO: return choose_each(c, from, to, to <= step->levels[d->steps]);
    case DIMPLE_ALGORITHM_AUTOREGRESSIVE: c->chosen[c->count++] = 0; return DIMPLE_OK;
    default: return choose_confident(c, count);
  }
}

dimple_status sampler_choose(const sampler_step *step, const candidate *candidates, int32_t *chosen, int32_t *chosen_count) {
  choice c = {step, candidates, chosen, 0};
  if (step->masked > 0) {
    DIMPLE_TRY(step->decoding->pipeline == DIMPLE_PIPELINE_DREAM ? choose_dream(&c) : choose_dim(&c));
  }
  qsort(chosen, (size_t)c.count, sizeof *chosen, order_indices);
  *chosen_count = c.count;
  return DIMPLE_OK;
}
