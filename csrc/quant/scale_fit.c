#include "scale_fit.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "families.h"

/* Added to every weight, so that values nobody asked for do not all become zero. */
#define LEAST_WEIGHT 0x1p-20f

void fit_weights(const float *importance, int count, float *weights) {
  float largest = 0;
  for (int i = 0; importance && i < count; i++) largest = importance[i] > largest ? importance[i] : largest;
  float unit = inverse_of(largest);
  for (int i = 0; i < count; i++) weights[i] = unit != 0 ? importance[i] * unit + LEAST_WEIGHT : 1;
}

/* Partial sums of FIT_LANES lanes. A vector type, because compilers are poor at finding it in loops over lanes. */
typedef float lanes __attribute__((vector_size(FIT_LANES * sizeof(float))));

#define LOAD_LANES(vector, source) memcpy(&(vector), (source), sizeof(vector))
#define SUM_LANES(v) ((((v)[0] + (v)[4]) + ((v)[2] + (v)[6])) + (((v)[1] + (v)[5]) + ((v)[3] + (v)[7])))

static inline float clamp(float value, float lowest, float highest) {
  value = value < lowest ? lowest : value;
  return value > highest ? highest : value;
}

/* --------------------------------------------------------------------------------------------------------------- symmetric */

static void nearest_levels(const level_set *set, const float *x, int count, float inverse, float *levels) {
  if (!set->values) {
    for (int i = 0; i < count; i++) levels[i] = round_level(clamp(x[i] * inverse, set->lowest, set->highest));
    return;
  }
  /* Steps up by the distance to the next level at every midpoint below x * inverse. */
  for (int i = 0; i < count; i++) levels[i] = set->lowest;
  for (int k = 1; k < set->count; k++) {
    float midpoint = 0.5f * (float)(set->values[k - 1] + set->values[k]), distance = (float)(set->values[k] - set->values[k - 1]);
    for (int i = 0; i < count; i++) levels[i] += x[i] * inverse > midpoint ? distance : 0;
  }
}

void fit_levels(const level_set *set, const float *x, int count, float inverse, int8_t *levels) {
  for (int i = 0; i < count; i += FIT_LANES) {
    float nearest[FIT_LANES];
    nearest_levels(set, x + i, FIT_LANES, inverse, nearest);
    for (int l = 0; l < FIT_LANES; l++) levels[i + l] = (int8_t)nearest[l];
  }
}

/* Of the levels nearest to x * inverse. A scale s leaves the squared error sum w x x - 2 s xq + s s qq; the best one is
 * xq / qq and lowers it by xq xq / qq. */
typedef struct symmetric_sums {
  float xq, qq; /* sum w x q, sum w q q */
} symmetric_sums;

static symmetric_sums sum_symmetric(const level_set *set, const float *x, const float *weights, int count, float inverse) {
  float q[FIT_MAX_GROUP];
  lanes xq = {0}, qq = {0};
  nearest_levels(set, x, count, inverse, q);
  for (int i = 0; i < count; i += FIT_LANES) {
    lanes value, weight, level;
    LOAD_LANES(value, x + i);
    LOAD_LANES(weight, weights + i);
    LOAD_LANES(level, q + i);
    weight *= level;
    xq += weight * value;
    qq += weight * level;
  }
  return (symmetric_sums){SUM_LANES(xq), SUM_LANES(qq)};
}

float fit_symmetric(const level_set *set, const float *x, const float *weights, int count) {
  float largest = 0;
  for (int i = 0; i < count; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  float unit = inverse_of(largest);
  if (unit == 0) return 0;
  /* Starting scales put the largest magnitude at 0.7 to 1.3 times the lowest level: below 1 the range is not used up, above
   * 1 the largest values are clipped. Both signs, as one end of the range is longer. The more levels there are, the more
   * local optima: a denser grid gains nothing for 16 levels and 2 % of the error for 64. */
  int steps = set->count <= 16 ? 5 : 9;
  float best_gain = 0, best_inverse = 0, scale = 0;
  for (int sign = -1; sign <= 1; sign += 2)
    for (int step = -steps; step <= steps; step++) {
      float inverse = (float)sign * set->lowest * (1 + 0.3f / (float)steps * (float)step) * unit;
      symmetric_sums sums = sum_symmetric(set, x, weights, count, inverse);
      if (sums.xq * sums.xq > best_gain * sums.qq) {
        best_gain = sums.xq * sums.xq / sums.qq;
        best_inverse = inverse;
        scale = sums.xq / sums.qq;
      }
    }
  for (float inverse = inverse_of(scale); inverse != best_inverse && inverse != 0; inverse = inverse_of(scale)) {
    symmetric_sums sums = sum_symmetric(set, x, weights, count, inverse);
    if (!(sums.xq * sums.xq > best_gain * sums.qq)) break;
    best_gain = sums.xq * sums.xq / sums.qq;
    best_inverse = inverse;
    scale = sums.xq / sums.qq;
  }
  return scale;
}

/* A group's factor: by how much it lowers the squared error, and the sums of the levels it leads to. Factor 0 gains nothing. */
typedef struct factor_choice {
  float gain, factor;
  symmetric_sums sums;
} factor_choice;

/* The best factor near group scale / super-block scale. */
static factor_choice choose_factor(const level_set *set, const float *x, const float *weights, int count, float group_scale,
                                   float scale, int lowest_factor) {
  float lowest = (float)lowest_factor, highest = -lowest - 1, centre = round_level(clamp(group_scale * inverse_of(scale), lowest, highest));
  factor_choice best = {0};
  for (int step = -1; step <= 1; step++) {
    float factor = clamp(centre + (float)step, lowest, highest), s = scale * factor;
    symmetric_sums sums = sum_symmetric(set, x, weights, count, inverse_of(s));
    float gain = 2 * s * sums.xq - s * s * sums.qq;
    if (gain > best.gain) best = (factor_choice){gain, factor, sums};
  }
  return best;
}

static inline float round_half(float value) { return half_to_float(finite_half(value)); }

enum { REGRESSIONS = 2 }; /* searches of a super-block's factors, each from a better scale; a third changes next to nothing */

float fit_symmetric_groups(const level_set *set, const float *x, const float *weights, int groups, int length, int lowest_factor,
                           uint8_t *stored, int8_t *factors) {
  float group_scales[FIT_MAX_GROUPS], extreme = 0;
  for (int j = 0; j < groups; j++) {
    group_scales[j] = fit_symmetric(set, x + j * length, weights + j * length, length);
    if (fabsf(group_scales[j]) > fabsf(extreme)) extreme = group_scales[j];
  }
  float scale = round_half(extreme / (float)lowest_factor), best_gain = -1, best_scale = 0;
  for (int round = 0; round < REGRESSIONS; round++) {
    int8_t candidate[FIT_MAX_GROUPS];
    float gain = 0, xq = 0, qq = 0;
    for (int j = 0; j < groups; j++) {
      factor_choice choice = choose_factor(set, x + j * length, weights + j * length, length, group_scales[j], scale, lowest_factor);
      candidate[j] = (int8_t)choice.factor;
      gain += choice.gain;
      xq += choice.factor * choice.sums.xq;
      qq += choice.factor * choice.factor * choice.sums.qq;
    }
    if (!(gain > best_gain)) break;
    best_gain = gain;
    best_scale = scale;
    memcpy(factors, candidate, (size_t)groups);
    if (!(qq > 0)) break;
    scale = round_half(xq / qq);
  }
  return store_half(stored, best_scale);
}

/* ------------------------------------------------------------------------------------------------------------------ affine */

void fit_affine_levels(const float *x, int count, float inverse, float offset, int highest, uint8_t *levels) {
  for (int i = 0; i < count; i++) levels[i] = (uint8_t)(int)round_level(clamp((x[i] + offset) * inverse, 0, (float)highest));
}

/* Of a group and the levels nearest to (x + offset) * inverse. */
typedef struct affine_sums {
  float w, x;      /* sum w, sum w x */
  float q, qq, xq; /* sum w q, sum w q q, sum w x q */
} affine_sums;

static affine_sums sum_affine(const float *x, const float *weights, int count, float inverse, float offset, float highest) {
  float q[FIT_MAX_GROUP];
  lanes w_sum = {0}, x_sum = {0}, q_sum = {0}, qq = {0}, xq = {0};
  for (int i = 0; i < count; i++) q[i] = round_level(clamp((x[i] + offset) * inverse, 0, highest));
  for (int i = 0; i < count; i += FIT_LANES) {
    lanes value, weight, level;
    LOAD_LANES(value, x + i);
    LOAD_LANES(weight, weights + i);
    LOAD_LANES(level, q + i);
    w_sum += weight;
    x_sum += weight * value;
    weight *= level;
    q_sum += weight;
    qq += weight * level;
    xq += weight * value;
  }
  return (affine_sums){SUM_LANES(w_sum), SUM_LANES(x_sum), SUM_LANES(q_sum), SUM_LANES(qq), SUM_LANES(xq)};
}

/* By how much scale and offset lower the squared error from sum w x x. */
static float affine_gain(const affine_sums *sums, float scale, float offset) {
  return 2 * (scale * sums->xq - offset * sums->x) - scale * scale * sums->qq + 2 * scale * offset * sums->q -
         offset * offset * sums->w;
}

/* The regression: the gain of its line, or -FLT_MAX if no scale above 0 comes out. */
static float solve_affine(const affine_sums *sums, int offset_not_negative, fit_line *line) {
  float determinant = sums->w * sums->qq - sums->q * sums->q;
  if (determinant > 0) {
    line->scale = (sums->w * sums->xq - sums->x * sums->q) / determinant;
    line->offset = (sums->q * sums->xq - sums->qq * sums->x) / determinant;
  }
  if (!(determinant > 0) || (offset_not_negative && line->offset < 0)) {
    line->offset = 0;
    line->scale = sums->qq > 0 ? sums->xq / sums->qq : 0;
  }
  return line->scale > 0 ? affine_gain(sums, line->scale, line->offset) : -FLT_MAX;
}

fit_line fit_affine(const float *x, const float *weights, int count, int highest, int offset_not_negative) {
  float low = x[0], high = x[0];
  for (int i = 0; i < count; i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  if (offset_not_negative && low > 0) low = 0;
  fit_line best = {0, -low};
  float unit = inverse_of(high - low);
  if (unit == 0) return best;
  best.scale = (high - low) / (float)highest;
  /* Starting scales map the range high - low to 0.7 .. 1.3 times the levels, from the low end. */
  enum { STEPS = 9 };
  float best_gain = -FLT_MAX;
  for (int step = -STEPS; step <= STEPS; step++) {
    fit_line line;
    affine_sums sums = sum_affine(x, weights, count, (float)highest * (1 + 0.3f / STEPS * (float)step) * unit, -low, (float)highest);
    float gain = solve_affine(&sums, offset_not_negative, &line);
    if (gain > best_gain) {
      best_gain = gain;
      best = line;
    }
  }
  for (;;) {
    fit_line line;
    affine_sums sums = sum_affine(x, weights, count, inverse_of(best.scale), best.offset, (float)highest);
    float gain = solve_affine(&sums, offset_not_negative, &line);
    if (!(gain > best_gain)) return best;
    best_gain = gain;
    best = line;
  }
}

/* A group's two factors, as factor_choice. */
typedef struct factors_choice {
  float gain, factor, offset_factor;
  affine_sums sums;
} factors_choice;

/* The best pair of factors near the group's line / the super-block's. */
static factors_choice choose_factors(const float *x, const float *weights, int count, int highest, fit_line group, fit_line line,
                                     int highest_factor) {
  float limit = (float)highest_factor;
  float scale_centre = round_level(clamp(group.scale * inverse_of(line.scale), 0, limit));
  float offset_centre = round_level(clamp(group.offset * inverse_of(line.offset), 0, limit));
  factors_choice best = {0};
  for (int i = -1; i <= 1; i++)
    for (int j = -1; j <= 1; j++) {
      float f = clamp(scale_centre + (float)i, 0, limit), g = clamp(offset_centre + (float)j, 0, limit);
      affine_sums sums = sum_affine(x, weights, count, inverse_of(line.scale * f), line.offset * g, (float)highest);
      float gain = affine_gain(&sums, line.scale * f, line.offset * g);
      if (gain > best.gain) best = (factors_choice){gain, f, g, sums};
    }
  return best;
}

fit_line fit_affine_groups(const float *x, const float *weights, int groups, int length, int highest, int highest_factor,
                           uint8_t *stored, uint8_t *factors, uint8_t *offset_factors) {
  fit_line group_lines[FIT_MAX_GROUPS], line = {0, 0};
  for (int j = 0; j < groups; j++) {
    group_lines[j] = fit_affine(x + j * length, weights + j * length, length, highest, 1);
    line.scale = group_lines[j].scale > line.scale ? group_lines[j].scale : line.scale;
    line.offset = group_lines[j].offset > line.offset ? group_lines[j].offset : line.offset;
  }
  line = (fit_line){round_half(line.scale / (float)highest_factor), round_half(line.offset / (float)highest_factor)};
  fit_line best = {0, 0};
  float best_gain = -1;
  for (int round = 0; round < REGRESSIONS; round++) {
    uint8_t candidate[FIT_MAX_GROUPS], offset_candidate[FIT_MAX_GROUPS];
    float gain = 0;
    affine_sums all = {0}; /* of the regression x ~ scale * (f q) - offset * g over the super-block */
    for (int j = 0; j < groups; j++) {
      factors_choice choice = choose_factors(x + j * length, weights + j * length, length, highest, group_lines[j], line, highest_factor);
      float f = choice.factor, g = choice.offset_factor;
      candidate[j] = (uint8_t)f;
      offset_candidate[j] = (uint8_t)g;
      gain += choice.gain;
      all.w += g * g * choice.sums.w;
      all.x += g * choice.sums.x;
      all.q += f * g * choice.sums.q;
      all.qq += f * f * choice.sums.qq;
      all.xq += f * choice.sums.xq;
    }
    if (!(gain > best_gain)) break;
    best_gain = gain;
    best = line;
    memcpy(factors, candidate, (size_t)groups);
    memcpy(offset_factors, offset_candidate, (size_t)groups);
    if (solve_affine(&all, 1, &line) == -FLT_MAX) break;
    line = (fit_line){round_half(line.scale), round_half(line.offset)};
  }
  store_half(stored, best.scale);
  store_half(stored + 2, best.offset);
  return best;
}
