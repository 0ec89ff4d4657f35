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

/* Members of a class at a position, ascending: their logits, and the highest of them. */
typedef struct members {
  const int32_t *tokens;
  float *logits;
  int32_t count;
  int32_t best; /* its number; the first among equals */
  float second; /* the highest of the others; -inf for none */
  bool all;     /* of the class; otherwise those that filters keep */
} members;

static void find_best(members *m) {
  m->second = -INFINITY;
  for (int32_t i = 1; i < m->count; i++) {
    bool better = m->logits[i] > m->logits[m->best];
    float other = better ? m->logits[m->best] : m->logits[i];
    if (other > m->second) m->second = other;
    if (better) m->best = i;
  }
}

/* Those that filters keep if there are any, otherwise all. */
static members read_members(const lattice *l, int32_t class, const float *logits, const float *kept) {
  const token_classes *classes = &l->constraint->classes;
  const int32_t *tokens = classes->members + classes->first[class];
  int32_t count = classes->first[class + 1] - classes->first[class];
  members m = {.tokens = l->members, .logits = l->member_logits};
  for (int32_t i = 0; i < count && kept; i++) {
    if (!(kept[tokens[i]] > 0)) continue;
    l->members[m.count] = tokens[i];
    m.logits[m.count++] = usable(logits[tokens[i]]);
  }
  m.all = m.count == 0;
  if (m.all) {
    m.tokens = tokens;
    m.count = count;
    for (int32_t i = 0; i < count; i++) m.logits[i] = usable(logits[tokens[i]]);
  }
  find_best(&m);
  return m;
}

/* Of what filters keep, token by token, those of each class in a chain. */
static void chain_kept(lattice *l, const kept_tokens *kept) {
  const int32_t *classes = l->constraint->classes.of;
  for (int32_t k = 0; k < l->constraint->classes.count; k++) l->first_kept[k] = -1;
  for (int32_t i = kept->count - 1; i >= 0; i--) {
    int32_t class = classes[kept->tokens[i]];
    if (class < 0) continue;
    l->next_kept[i] = l->first_kept[class];
    l->first_kept[class] = i;
  }
}

static members kept_members(const lattice *l, int32_t class, const kept_tokens *kept) {
  members m = {.tokens = l->members, .logits = l->member_logits};
  for (int32_t i = l->first_kept[class]; i >= 0; i = l->next_kept[i]) {
    l->members[m.count] = kept->tokens[i];
    m.logits[m.count++] = usable(kept->logits[i]);
  }
  find_best(&m);
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

/* The member that is drawn of a whole class as a head draws it: a segment by its sum, and of that a member. */
static int32_t segment_member(const lattice *l, const members *m, int32_t position, int32_t class, const path_settings *s) {
  const float *weights = l->member_weights;
  uint32_t iteration = (uint32_t)s->iteration, at = (uint32_t)position;
  double best_score = -INFINITY;
  int32_t drawn = m->best, first = 0;
  for (int32_t i = l->first_segment[class]; i < l->first_segment[class + 1]; i++) {
    int32_t segment = l->segments[i], end = first + l->partition.segment_first[segment + 1] - l->partition.segment_first[segment], t = first;
    double sum = 0;
    for (int32_t j = first; j < end; j++) sum += weights[j];
    double score = log(sum) - log(-log(draw_uniform(s->seed, iteration, at, DRAW_SEGMENT, (uint32_t)segment)));
    if (score > best_score) {
      double left = draw_uniform(s->seed, iteration, at, DRAW_SEGMENT_TOKEN, (uint32_t)segment) * sum;
      for (; t + 1 < end; t++) {
        left -= weights[t];
        if (left < 0) break;
      }
      best_score = score;
      drawn = t;
    }
    first = end;
  }
  return drawn;
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
  int32_t drawn = m->all ? segment_member(l, m, position, class, s)
                         : member_at(m, l->member_weights, lattice_uniform(s, position, DRAW_MEMBER, class) * w.sum);
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
    members m = read_members(l, k, logits, kept);
    yielded[k] = kept && m.all;
    scores[k] = score_members(l, &m, position, k, s, yielded[k] ? NULL : row);
  }
  l->scored[position] = 1;
}

/* The sums of a class of `size` tokens as the head keeps them, at temperature 1 or at that of its call. Of tokens that are forbidden logits are so far down that
 * a logarithm of floats says nothing of the sum; relative to the best one it is 1 at least, and no more than there are tokens. */
static choices choices_of(const head_row *class, int32_t size, double temperature) {
  bool hot = temperature != 1;
  double log_sum = hot ? class->hot_log_sum : class->log_sum, mean = hot ? class->hot_mean * temperature : class->mean_logit;
  double sum = fmin(fmax(1, exp(log_sum - class->best_logit / temperature)), size);
  return (choices){class->best, class->best_logit, class->second_logit, {sum, sum * mean}};
}

void lattice_take(lattice *l, int32_t position, const head_row *of_classes, const kept_tokens *kept, const path_settings *s, allowed_row *row) {
  int32_t count = l->constraint->classes.count;
  const uint8_t *allowed = lattice_allowed(l, position);
  class_score *scores = l->scores + (int64_t)position * count;
  uint8_t *yielded = l->yielded + (int64_t)position * count;
  if (kept) chain_kept(l, kept);
  if (row) *row = no_choices(row->temperature);
  for (int32_t k = 0; k < count; k++) {
    if (!allowed[k]) continue;
    yielded[k] = kept && l->first_kept[k] < 0;
    if (kept && !yielded[k]) {
      members m = kept_members(l, k, kept);
      scores[k] = score_members(l, &m, position, k, s, row);
      continue;
    }
    const head_row *of = &of_classes[k];
    scores[k] = s->temperature == 0 ? (class_score){of->best_logit, of->best_logit, of->best}
                                    : (class_score){of->hot_log_sum, of->drawn_logit, of->drawn};
    if (!row || yielded[k]) continue;
    const int32_t *first = l->constraint->classes.first;
    choices c = choices_of(of, first[k + 1] - first[k], row->temperature);
    add_choices(row, &c);
  }
  l->scored[position] = 1;
}
