/*
 * Four floats, in the compiler's portable vectors: SSE2, NEON or scalar code, as the target has it.
 *
 * What this file defines, every simd_*.h does; the templates are written in it.
 *   LANES                     floats in a vector `vf`: 4, 8 or 16, so that two vectors divide a panel
 *   FLOAT_ROWS                rows of a float tile: a divisor of 96 for which 2 FLOAT_ROWS sums, two vectors of weights and one of
 *                             activations fit the registers
 *   FOR_EACH_FLOAT_ROWS(X)    X(1) .. X(FLOAT_ROWS)
 *   vf_*                      arithmetic, loads and stores of vectors, with NaN and infinity as the processor has them
 *   quantize_block            32 activations to bytes with a common scale
 *   expand_codes              4-bit codes of a block of a panel to the bytes they stand for
 */
#ifndef DIMPLE_CPU_SIMD_PLAIN_H
#define DIMPLE_CPU_SIMD_PLAIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/block_formats.h"

enum { LANES = 4, FLOAT_ROWS = 4 };
#define FOR_EACH_FLOAT_ROWS(X) X(1) X(2) X(3) X(4)

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));

static inline vf vf_load(const float *p) {
  vf v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void vf_store(float *p, vf v) { memcpy(p, &v, sizeof v); }
static inline vf vf_set(float v) { return (vf){v, v, v, v}; }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_div(vf a, vf b) { return a / b; }
static inline vf vf_fma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vf_select(vi mask, vf yes, vf no) { return (vf)((mask & (vi)yes) | (~mask & (vi)no)); }
/* a < b ? yes : no */
static inline vf vf_if_less(vf a, vf b, vf yes, vf no) { return vf_select(a < b, yes, no); }
/* The smaller and the larger; b if one of them is NaN. */
static inline vf vf_min(vf a, vf b) { return vf_if_less(a, b, a, b); }
static inline vf vf_max(vf a, vf b) { return vf_if_less(b, a, a, b); }
static inline vi sign_bits(void) { return (vi){INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}; }
static inline vf vf_abs(vf v) { return (vf)((vi)v & ~sign_bits()); }
/* The larger of two magnitudes; NaN if one is, for as integers magnitudes have the same order, and NaN is above infinity. */
static inline vf vf_larger(vf a, vf b) { return vf_select((vi)a > (vi)b, a, b); }
static inline vf vf_copysign(vf magnitude, vf sign) { return vf_select(sign_bits(), sign, magnitude); }
/* To the nearest integer, for |v| < 2^22: adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline vf vf_round(vf v) { return (v + vf_set(0x1.8p23f)) - vf_set(0x1.8p23f); }

/* v * 2^n, n integral, |n| <= 252: in two steps, since 2^n may be out of range where v * 2^n is not. */
static inline vf vf_scale(vf v, vf n) {
  vi whole = __builtin_convertvector(n, vi), half = whole >> 1;
  return v * (vf)((half + 127) << 23) * (vf)((whole - half + 127) << 23);
}

/* v * 2^n, n integral, where both are normal numbers or v is NaN. */
static inline vf vf_scale_normal(vf v, vf n) { return (vf)((vi)v + (__builtin_convertvector(n, vi) << 23)); }

/* The first n <= LANES lanes; the others are 0. */
static inline vf vf_load_some(const float *p, int64_t n) {
  vf v = vf_set(0);
  memcpy(&v, p, (size_t)n * sizeof(float));
  return v;
}
static inline void vf_store_some(float *p, vf v, int64_t n) { memcpy(p, &v, (size_t)n * sizeof(float)); }

static inline float vf_sum(vf v) { return (v[0] + v[2]) + (v[1] + v[3]); }
/* The largest of magnitudes; NaN if one is. */
static inline float vf_largest(vf v) {
  vf pairs = vf_larger(v, (vf){v[2], v[3], v[0], v[1]});
  return vf_larger(pairs, (vf){pairs[1], pairs[0], pairs[3], pairs[2]})[0];
}

/* target [4][target_stride] = four columns of four rows of x. */
static inline void turn_four(const float *x, int64_t stride, float *target, int64_t target_stride) {
  for (int k = 0; k < 4; k++)
    for (int r = 0; r < 4; r++) target[k * target_stride + r] = x[r * stride + k];
}

static inline vf vf_load_half(const uint16_t *p) {
  return (vf){half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3])};
}
static inline vf vf_load_bfloat16(const uint16_t *p) {
  return (vf)((vi){p[0], p[1], p[2], p[3]} << 16);
}
static inline vf vf_load_int8(const int8_t *p) { return (vf){p[0], p[1], p[2], p[3]}; }
static inline vf vf_load_uint8(const uint8_t *p) { return (vf){p[0], p[1], p[2], p[3]}; }

/* q = round(x / scale) for 32 floats, scale = max |x| / 127, which NaN and infinity pass into; the sums of the first 16 and of all 32. */
static inline void quantize_block(const float *x, int8_t *q, float *scale, int32_t *first, int32_t *total) {
  vf most = vf_set(0);
  for (int i = 0; i < 32; i += LANES) most = vf_larger(most, vf_abs(vf_load(x + i)));
  float highest = vf_largest(most);
  float inverse = highest > 0 ? 127.0f / highest : 0;
  int32_t sums[2] = {0, 0};
  for (int i = 0; i < 32; i += LANES) {
    vf scaled = vf_min(vf_max(vf_round(vf_load(x + i) * vf_set(inverse)), vf_set(-127)), vf_set(127));
    for (int j = 0; j < LANES; j++) {
      int32_t rounded = (int32_t)scaled[j];
      q[i + j] = (int8_t)rounded;
      sums[i / 16] += rounded;
    }
  }
  *scale = highest / 127.0f;
  *first = sums[0];
  *total = sums[0] + sums[1];
}

/* 512 bytes of nibbles to 1024 bytes of table entries, see code_panels.h. */
static inline void expand_codes(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  for (int i = 0; i < 512; i++) {
    codes[i / 64 * 128 + i % 64] = (uint8_t)table[nibbles[i] & 15];
    codes[i / 64 * 128 + 64 + i % 64] = (uint8_t)table[nibbles[i] >> 4];
  }
}

#endif
