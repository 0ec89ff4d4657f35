/* What logits say of the tokens that can stand at a position, class by class. */
#include "constraint/lattice.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "constraint/lattice_draws.h"

/* Logits beyond this are no numbers that a model means, and would not add up. */
static const float LIMIT_LOGIT = 1e30f;

static float usable(float logit) {
  if (!(logit > -LIMIT_LOGIT)) return -LIMIT_LOGIT; /* NaN too */
  return logit < LIMIT_LOGIT ? logit : LIMIT_LOGIT;
}

/* The members of a class at a position: their logits, and the highest of them. */
typedef struct members {
  const int32_t *tokens;
  float *logits; /* [count] -inf: filters drop it */
  int32_t count;
  int32_t best;  /* its number; the first among equals */
  float second;  /* the highest of the others; -inf for none */
} members;

/* Those that filters keep if there are any, otherwise all: *yields. */
static members read_members(const lattice *l, int32_t class, const float *logits, const float *kept, bool *yields) {
  const token_classes *classes = &l->constraint->classes;
  members m = {.tokens = classes->members + classes->first[class], .logits = l->member_logits,
               .count = classes->first[class + 1] - classes->first[class], .second = -INFINITY};
  bool any = false;
  for (int32_t i = 0; i < m.count; i++) {
    bool passes = !kept || kept[m.tokens[i]] > 0;
    m.logits[i] = passes ? usable(logits[m.tokens[i]]) : -INFINITY;
    any |= passes;
  }
  *yields = !any;
  if (!any) return read_members(l, class, logits, NULL, &any);
  for (int32_t i = 1; i < m.count; i++) {
    bool better = m.logits[i] > m.logits[m.best];
    float other = better ? m.logits[m.best] : m.logits[i];
    if (other > m.second) m.second = other;
    if (better) m.best = i;
  }
  return m;
}

/* e^x for x <= 0, 0 below -50: a million tokens less likely than that add less to a sum than it can show. Coefficients of Cephes' expf
 * (Moshier); relative error 1e-7. Compilers make this form instructions on vectors, and of a call of expf they cannot. */
static inline float exponential(float x) {
  const float log2e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, round = 12582912.0f /* 1.5 * 2^23 */;
  float bounded = x > -50 ? x : -50, shifted = bounded * log2e + round, n = shifted - round;
  float r = bounded - n * ln2_high - n * ln2_low;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  union {
    float number;
    uint32_t bits;
  } power = {.number = shifted}, result = {.number = p};
  result.bits += power.bits << 23; /* n to the exponent */
  return x > -50 ? result.number : 0;
}

/* Sums over the members of weights exp((logit - best) / temperature). */
typedef struct weighing {
  double sum;
  double moment; /* of weight * logit */
} weighing;

/* Writes the weights [count] of members, and adds up: in lanes, which compilers make vectors of, and always in this order. */
static weighing weigh_members(const members *m, double temperature, float *weights) {
  enum { LANES = 8 };
  double sums[LANES] = {0}, moments[LANES] = {0};
  float best = m->logits[m->best], scale = (float)(1 / temperature);
  for (int32_t i = 0; i < m->count; i++) weights[i] = exponential((m->logits[i] - best) * scale);
  for (int32_t i = 0; i < m->count; i += LANES) {
    for (int32_t j = 0; j < LANES && i + j < m->count; j++) {
      sums[j] += weights[i + j];
      moments[j] += weights[i + j] > 0 ? (double)weights[i + j] * m->logits[i + j] : 0;
    }
  }
  weighing w = {0};
  for (int32_t j = 0; j < LANES; j++) {
    w.sum += sums[j];
    w.moment += moments[j];
  }
  return w;
}

/* The member where the weights add up to the share `u` of their sum. */
static int32_t member_at(const members *m, const float *weights, double share) {
  double passed = 0;
  int32_t found = m->best;
  for (int32_t i = 0; i < m->count && passed <= share; i++) {
    passed += weights[i];
    if (weights[i] > 0) found = i;
  }
  return found;
}

/* What there is to choose from in one class, whose sums are of weights relative to its best token. */
typedef struct choices {
  int32_t best;
  float best_logit, second_logit; /* as in allowed_row */
  weighing w;
} choices;

/* Adds a class to what is known of a position, whose sums are of weights relative to the best token so far. */
static void add_choices(allowed_row *row, const choices *c) {
  bool better = row->best < 0 || c->best_logit > row->best_logit || (c->best_logit == row->best_logit && c->best < row->best);
  double rescale = row->best < 0 ? 0 : exp(-fabs((double)c->best_logit - row->best_logit) / row->temperature);
  double own = better ? 1 : rescale, others = better ? rescale : 1;
  row->sum = row->sum * others + c->w.sum * own;
  row->moment = row->moment * others + c->w.moment * own;
  float second = better ? row->best_logit : c->best_logit;
  if (row->best >= 0 && second > row->second_logit) row->second_logit = second;
  if (c->second_logit > row->second_logit) row->second_logit = c->second_logit;
  if (better) {
    row->best = c->best;
    row->best_logit = c->best_logit;
  }
}

static class_score score_members(const lattice *l, const members *m, int32_t position, int32_t class, const path_settings *s,
                                 allowed_row *row) {
  double judged = row ? row->temperature : s->temperature;
  weighing w = {0};
  if (judged > 0) w = weigh_members(m, judged, l->member_weights);
  float best = m->logits[m->best];
  if (row) add_choices(row, &(choices){m->tokens[m->best], best, m->second, w});
  if (s->temperature == 0) return (class_score){best, best, m->tokens[m->best]};
  if (judged != s->temperature) w = weigh_members(m, s->temperature, l->member_weights);
  int32_t drawn = member_at(m, l->member_weights, lattice_uniform(s, position, DRAW_MEMBER, class) * w.sum);
  return (class_score){best / s->temperature + log(w.sum), m->logits[drawn], m->tokens[drawn]};
}

static allowed_row no_choices(double temperature) {
  return (allowed_row){.temperature = temperature, .best = -1, .best_logit = -INFINITY, .second_logit = -INFINITY};
}

void lattice_score(lattice *l, int32_t position, const float *logits, const float *kept, const path_settings *s, allowed_row *row) {
  int32_t count = l->constraint->classes.count;
  const uint8_t *allowed = lattice_allowed(l, position);
  class_score *scores = l->scores + (int64_t)position * count;
  uint8_t *yielded = l->yielded + (int64_t)position * count;
  if (row) *row = no_choices(row->temperature);
  for (int32_t k = 0; k < count; k++) {
    if (!allowed[k]) continue;
    bool yields;
    members m = read_members(l, k, logits, kept, &yields);
    yielded[k] = yields;
    scores[k] = score_members(l, &m, position, k, s, yields ? NULL : row);
  }
  l->scored[position] = 1;
}

/* The sums of a class as the head keeps them, at temperature 1 or at that of its call. */
static choices choices_of(const head_row *class, double temperature) {
  bool hot = temperature != 1;
  double log_sum = hot ? class->hot_log_sum : class->log_sum, mean = hot ? class->hot_mean * temperature : class->mean_logit;
  double sum = exp(log_sum - class->best_logit / temperature);
  return (choices){class->best, class->best_logit, class->second_logit, {sum, sum * mean}};
}

void lattice_take(lattice *l, int32_t position, const head_row *of_classes, const path_settings *s, allowed_row *row) {
  int32_t count = l->constraint->classes.count;
  const uint8_t *allowed = lattice_allowed(l, position);
  class_score *scores = l->scores + (int64_t)position * count;
  memset(l->yielded + (int64_t)position * count, 0, (size_t)count);
  if (row) *row = no_choices(row->temperature);
  for (int32_t k = 0; k < count; k++) {
    if (!allowed[k]) continue;
    const head_row *of = &of_classes[k];
    scores[k] = s->temperature == 0 ? (class_score){of->best_logit, of->best_logit, of->best}
                                    : (class_score){of->hot_log_sum, of->drawn_logit, of->drawn};
    if (!row) continue;
    choices c = choices_of(of, row->temperature);
    add_choices(row, &c);
  }
  l->scored[position] = 1;
}
