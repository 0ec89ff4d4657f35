/*
 * Weighted least-squares search for the scale of a group of values that share one. Two models of a group x with weights w
 * and levels q:
 *   symmetric  x ~ scale * q,            q from a set around zero
 *   affine     x ~ scale * q - offset,   q in 0 .. highest
 * For fixed levels the best scale (and offset) is a linear regression; for a fixed scale the best levels are the nearest
 * ones. The search regresses from a grid of starting scales and then alternates the two until nothing improves. Formats
 * whose scales are integers times a scale of the super-block then search the integers near that optimum, and regress the
 * super-block's scale from the levels they lead to.
 * Everything here is deterministic and gives the same result on every machine.
 */
#ifndef DIMPLE_SCALE_FIT_H
#define DIMPLE_SCALE_FIT_H

#include <stdint.h>

/* Groups are a multiple of FIT_LANES values: sums run in that many lanes, which the compiler turns into vectors. */
enum { FIT_LANES = 8, FIT_MAX_GROUP = 32, FIT_MAX_GROUPS = 16 };

/* Rounds to nearest, ties to even; |value| < 2^22. Adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline float round_level(float value) { return (value + 12582912.0f) - 12582912.0f; }

/* 1 / scale, or 0 for a scale too small to have a finite reciprocal. */
static inline float inverse_of(float scale) {
  float magnitude = scale < 0 ? -scale : scale;
  return magnitude > 0x1p-126f ? 1 / scale : 0;
}

/* The `count` levels of a symmetric model: the ascending `values`, or every integer from lowest to highest where that is null. */
typedef struct level_set {
  float lowest, highest;
  int count;
  const int8_t *values;
} level_set;

/* The levels nearest to x * inverse. */
void fit_levels(const level_set *set, const float *x, int count, float inverse, int8_t *levels);

/* The integers of 0 .. highest nearest to (x + offset) * inverse. */
void fit_affine_levels(const float *x, int count, float inverse, float offset, int highest, uint8_t *levels);

/* The weights of a group: `importance` scaled to a largest weight of 1, or ones where it is null or all zero. */
void fit_weights(const float *importance, int count, float *weights);

/* The scale of the symmetric model, of either sign; 0 for a group of zeros. */
float fit_symmetric(const level_set *set, const float *x, const float *weights, int count);

typedef struct fit_line {
  float scale;  /* >= 0 */
  float offset; /* subtracted */
} fit_line;

/* Scale and offset of the affine model. With `offset_not_negative` the range of the model contains zero, as the K-quants need. */
fit_line fit_affine(const float *x, const float *weights, int count, int highest, int offset_not_negative);

/* A super-block of `groups` groups of `length` values, group j with the scale scale * factors[j]: stores the half float `scale` at
 * `stored`, returns its value, and gives the factors, lowest_factor .. -lowest_factor - 1. */
float fit_symmetric_groups(const level_set *set, const float *x, const float *weights, int groups, int length, int lowest_factor,
                           uint8_t *stored, int8_t *factors);

/* The affine counterpart: group j has the scale line.scale * factors[j] and the offset line.offset * offset_factors[j], factors
 * 0 .. highest_factor. Stores both as half floats, the scale first. */
fit_line fit_affine_groups(const float *x, const float *weights, int groups, int length, int highest, int highest_factor,
                           uint8_t *stored, uint8_t *factors, uint8_t *offset_factors);

#endif
