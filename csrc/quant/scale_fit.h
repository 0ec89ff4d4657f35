/*
 * Weighted least-squares search for the scale of a group of values that share one. Two models of a group x with weights w
 * and integer levels q:
 *   symmetric  x ~ scale * q,            q in lowest .. highest
 *   affine     x ~ scale * q - offset,   q in 0 .. highest
 * For fixed levels the best scale (and offset) is a linear regression; for a fixed scale the best levels are the nearest
 * ones. The search regresses from a grid of starting scales and then alternates the two until nothing improves.
 * Everything here is deterministic and gives the same result on every machine.
 */
#ifndef DIMPLE_SCALE_FIT_H
#define DIMPLE_SCALE_FIT_H

#include <stdint.h>

/* Groups are a multiple of FIT_LANES values: sums run in that many lanes, which the compiler turns into vectors. */
enum { FIT_LANES = 8 };

/* Rounds to nearest, ties to even; |value| < 2^22. Adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline float round_level(float value) { return (value + 12582912.0f) - 12582912.0f; }

/* 1 / scale, or 0 for a scale too small to have a finite reciprocal. */
static inline float inverse_of(float scale) {
  float magnitude = scale < 0 ? -scale : scale;
  return magnitude > 0x1p-126f ? 1 / scale : 0;
}

/* The levels nearest to x * inverse + shift. */
static inline void nearest_levels(const float *x, int count, float inverse, float shift, float lowest, float highest,
                                  int8_t *levels) {
  for (int i = 0; i < count; i++) {
    float level = x[i] * inverse + shift;
    level = level < lowest ? lowest : level;
    level = level > highest ? highest : level;
    levels[i] = (int8_t)round_level(level);
  }
}

/* The weights of a group: `importance` scaled to a largest weight of 1, or ones where it is null or all zero. */
void fit_weights(const float *importance, int count, float *weights);

/* The scale of the symmetric model, of either sign; 0 for a group of zeros. */
float fit_symmetric(const float *x, const float *weights, int count, int lowest, int highest);

typedef struct fit_line {
  float scale;  /* >= 0 */
  float offset; /* subtracted */
} fit_line;

/* Scale and offset of the affine model. With `offset_not_negative` the range of the model contains zero, as the K-quants need. */
fit_line fit_affine(const float *x, const float *weights, int count, int highest, int offset_not_negative);

#endif
