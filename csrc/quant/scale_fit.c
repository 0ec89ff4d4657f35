#include "scale_fit.h"

#include <math.h>

void fit_weights(const float *importance, int count, float *weights) {
  float largest = 0;
  for (int i = 0; importance && i < count; i++) largest = importance[i] > largest ? importance[i] : largest;
  float unit = inverse_of(largest);
  for (int i = 0; i < count; i++) weights[i] = unit != 0 ? importance[i] * unit : 1;
}

static inline float sum_lanes(const float lanes[FIT_LANES]) {
  return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static inline float clamped_level(float value, float lowest, float highest) {
  value = value < lowest ? lowest : value;
  value = value > highest ? highest : value;
  return round_level(value);
}

/* sum w x q and sum w q q for the levels nearest to x * inverse. The regression's scale is their quotient and lowers the
 * squared error from sum w x x by xq^2 / qq. */
typedef struct symmetric_sums {
  float xq, qq;
} symmetric_sums;

static symmetric_sums sum_symmetric(const float *x, const float *weights, int count, float inverse, float lowest, float highest) {
  float xq[FIT_LANES] = {0}, qq[FIT_LANES] = {0};
  for (int i = 0; i < count; i += FIT_LANES)
    for (int l = 0; l < FIT_LANES; l++) {
      float q = clamped_level(x[i + l] * inverse, lowest, highest);
      float wq = weights[i + l] * q;
      xq[l] += wq * x[i + l];
      qq[l] += wq * q;
    }
  return (symmetric_sums){sum_lanes(xq), sum_lanes(qq)};
}

float fit_symmetric(const float *x, const float *weights, int count, int lowest, int highest) {
  float largest = 0;
  for (int i = 0; i < count; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  float unit = inverse_of(largest);
  if (unit == 0) return 0;
  /* Starting scales put the largest magnitude at 0.7 to 1.3 times the lowest level: below 1 the range is not used up, above
   * 1 the largest values are clipped. Both signs, as one end of the range is one level longer. */
  enum { STEPS = 9 };
  float best_gain = 0, best_inverse = 0, scale = 0;
  for (int sign = -1; sign <= 1; sign += 2)
    for (int step = -STEPS; step <= STEPS; step++) {
      float inverse = (float)(sign * lowest) * (1 + 0.3f / STEPS * (float)step) * unit;
      symmetric_sums sums = sum_symmetric(x, weights, count, inverse, (float)lowest, (float)highest);
      if (sums.xq * sums.xq > best_gain * sums.qq) {
        best_gain = sums.xq * sums.xq / sums.qq;
        best_inverse = inverse;
        scale = sums.xq / sums.qq;
      }
    }
  for (float inverse = inverse_of(scale); inverse != best_inverse && inverse != 0; inverse = inverse_of(scale)) {
    symmetric_sums sums = sum_symmetric(x, weights, count, inverse, (float)lowest, (float)highest);
    if (!(sums.xq * sums.xq > best_gain * sums.qq)) break;
    best_gain = sums.xq * sums.xq / sums.qq;
    best_inverse = inverse;
    scale = sums.xq / sums.qq;
  }
  return scale;
}

/* Sums of the regression of x on the levels nearest to (x - origin) * inverse. */
typedef struct affine_sums {
  float q, qq, xq;
} affine_sums;

static affine_sums sum_affine(const float *x, const float *weights, int count, float inverse, float origin, float highest) {
  float q_sum[FIT_LANES] = {0}, qq[FIT_LANES] = {0}, xq[FIT_LANES] = {0};
  for (int i = 0; i < count; i += FIT_LANES)
    for (int l = 0; l < FIT_LANES; l++) {
      float q = clamped_level((x[i + l] - origin) * inverse, 0, highest);
      float wq = weights[i + l] * q;
      q_sum[l] += wq;
      qq[l] += wq * q;
      xq[l] += wq * x[i + l];
    }
  return (affine_sums){sum_lanes(q_sum), sum_lanes(qq), sum_lanes(xq)};
}

/* Group sums that do not depend on the levels. */
typedef struct group_sums {
  float w, x;
} group_sums;

/* Solves for scale and offset; returns by how much they lower the squared error from sum w x x, or -1 if no scale above 0
 * comes out. */
static float solve_affine(group_sums group, affine_sums sums, int offset_not_negative, fit_line *line) {
  float determinant = group.w * sums.qq - sums.q * sums.q;
  if (determinant > 0) {
    line->scale = (group.w * sums.xq - group.x * sums.q) / determinant;
    line->offset = (sums.q * sums.xq - sums.qq * group.x) / determinant;
  }
  if (!(determinant > 0) || (offset_not_negative && line->offset < 0)) {
    line->offset = 0;
    line->scale = sums.qq > 0 ? sums.xq / sums.qq : 0;
  }
  return line->scale > 0 ? line->scale * sums.xq - line->offset * group.x : -1;
}

fit_line fit_affine(const float *x, const float *weights, int count, int highest, int offset_not_negative) {
  float low = x[0], high = x[0];
  float w_sum[FIT_LANES] = {0}, x_sum[FIT_LANES] = {0};
  for (int i = 0; i < count; i += FIT_LANES)
    for (int l = 0; l < FIT_LANES; l++) {
      low = x[i + l] < low ? x[i + l] : low;
      high = x[i + l] > high ? x[i + l] : high;
      w_sum[l] += weights[i + l];
      x_sum[l] += weights[i + l] * x[i + l];
    }
  if (offset_not_negative && low > 0) low = 0;
  group_sums group = {sum_lanes(w_sum), sum_lanes(x_sum)};
  fit_line best = {0, -low};
  float unit = inverse_of(high - low);
  if (unit == 0) return best;
  best.scale = (high - low) / (float)highest;
  /* Starting scales map the range high - low to 0.7 .. 1.3 times the levels, from the low end. */
  enum { STEPS = 9 };
  float best_gain = -1;
  for (int step = -STEPS; step <= STEPS; step++) {
    fit_line line;
    float inverse = (float)highest * (1 + 0.3f / STEPS * (float)step) * unit;
    float gain = solve_affine(group, sum_affine(x, weights, count, inverse, low, (float)highest), offset_not_negative, &line);
    if (gain > best_gain) {
      best_gain = gain;
      best = line;
    }
  }
  for (;;) {
    fit_line line;
    float inverse = inverse_of(best.scale);
    float gain = solve_affine(group, sum_affine(x, weights, count, inverse, -best.offset, (float)highest), offset_not_negative, &line);
    if (!(gain > best_gain)) return best;
    best_gain = gain;
    best = line;
  }
}
