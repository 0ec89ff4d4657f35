/* Sixteen floats: AVX-512 F, BW, DQ, VL. */
#ifndef DIMPLE_CPU_X86_SIMD_AVX512_H
#define DIMPLE_CPU_X86_SIMD_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>

#include "backend/cpu/x86/turn_four.h"

enum { LANES = 16, FLOAT_ROWS = 12 };
#define PAIR_ROWS 6
#define FOR_EACH_PAIR_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define STREAM_ROWS GROUP_ROWS /* a panel that is left alone: AMD has units beside those that multiply to widen halves with */
#define FOR_EACH_FLOAT_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

typedef __m512 vf;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
static inline vf vf_set(float v) { return _mm512_set1_ps(v); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
/* The smaller and the larger; b if one of them is NaN. */
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); } /* a * b + c */
static inline vf vf_abs(vf v) { return _mm512_abs_ps(v); }
static inline vf vf_round(vf v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_scale(vf v, vf n) { return _mm512_scalef_ps(v, n); } /* v * 2^n, n integral */
static inline vf vf_scale_normal(vf v, vf n) { return vf_scale(v, n); }                   /* the same where both are normal numbers or v is NaN */
static inline vf vf_copysign(vf magnitude, vf sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}
/* a < b ? yes : no */
static inline vf vf_if_less(vf a, vf b, vf yes, vf no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

/* The first n <= LANES lanes; the others are 0. */
static inline vf vf_load_some(const float *p, int64_t n) { return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p); }
static inline void vf_store_some(float *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v); }

static inline float vf_sum(vf v) { return _mm512_reduce_add_ps(v); }
/* The larger of two magnitudes; NaN if one is, for as integers magnitudes have the same order, and NaN is above infinity. */
static inline vf vf_larger(vf a, vf b) {
  return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}
/* The largest of magnitudes; NaN if one is. */
static inline float vf_largest(vf v) { return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(_mm512_castps_si512(v))))); }

static inline vf vf_load_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
static inline vf vf_load_bfloat16(const uint16_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
static inline vf vf_load_int8(const int8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline vf vf_load_uint8(const uint8_t *p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* q = round(x / scale) for 32 floats, scale = max |x| / 127, which NaN and infinity pass into; the sums of the first 16 and of all 32. */
static inline void quantize_block(const float *x, int8_t *q, float *scale, int32_t *first, int32_t *total) {
  vf a = vf_load(x), b = vf_load(x + 16);
  float highest = vf_largest(vf_larger(vf_abs(a), vf_abs(b)));
  if (!isfinite(highest)) a = b = vf_set(0); /* the scale says it; what NaN becomes as an integer could not be added up */
  vf inverse = vf_set(highest > 0 ? 127.0f / highest : 0);
  __m512i qa = _mm512_cvtps_epi32(vf_mul(a, inverse)), qb = _mm512_cvtps_epi32(vf_mul(b, inverse));
  _mm_storeu_si128((__m128i *)q, _mm512_cvtsepi32_epi8(qa));
  _mm_storeu_si128((__m128i *)(q + 16), _mm512_cvtsepi32_epi8(qb));
  *scale = highest / 127.0f;
  *first = _mm512_reduce_add_epi32(qa);
  *total = _mm512_reduce_add_epi32(_mm512_add_epi32(qa, qb));
}

/* 512 bytes of nibbles to 1024 bytes of table entries, see code_panels.h. */
static inline void expand_codes(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  const __m512i low = _mm512_set1_epi8(15), entries = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)table));
  for (int i = 0; i < 8; i++) {
    __m512i pair = _mm512_loadu_si512(nibbles + 64 * i);
    __m512i first = _mm512_and_si512(pair, low), second = _mm512_and_si512(_mm512_srli_epi16(pair, 4), low);
    _mm512_store_si512(codes + 128 * i, _mm512_shuffle_epi8(entries, first));
    _mm512_store_si512(codes + 128 * i + 64, _mm512_shuffle_epi8(entries, second));
  }
}

#endif
