/* Eight floats: AVX2 with FMA and F16C. */
#ifndef DIMPLE_CPU_X86_SIMD_AVX2_H
#define DIMPLE_CPU_X86_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>

#include "backend/cpu/x86/turn_four.h"

enum { LANES = 8, FLOAT_ROWS = 6 };
#define FOR_EACH_FLOAT_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)

typedef __m256 vf;

static inline vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
static inline vf vf_set(float v) { return _mm256_set1_ps(v); }
static inline vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
/* The smaller and the larger; b if one of them is NaN. */
static inline vf vf_min(vf a, vf b) { return _mm256_min_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); } /* a * b + c */
static inline vf vf_abs(vf v) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v); }
static inline vf vf_round(vf v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf vf_copysign(vf magnitude, vf sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
/* a < b ? yes : no */
static inline vf vf_if_less(vf a, vf b, vf yes, vf no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }

/* v * 2^n, n integral, |n| <= 252: in two steps, since 2^n may be out of range where v * 2^n is not. */
static inline vf vf_scale(vf v, vf n) {
  __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
  __m256i a = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  __m256i b = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return vf_mul(vf_mul(v, _mm256_castsi256_ps(a)), _mm256_castsi256_ps(b));
}

/* v * 2^n, n integral, where both are normal numbers or v is NaN. */
static inline vf vf_scale_normal(vf v, vf n) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)));
}

static inline __m256i first_lanes(int64_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
/* The first n <= LANES lanes; the others are 0. All of them without a mask: AMD's processors take some forty operations for a masked store. */
static inline vf vf_load_some(const float *p, int64_t n) { return n == LANES ? vf_load(p) : _mm256_maskload_ps(p, first_lanes(n)); }
static inline void vf_store_some(float *p, vf v, int64_t n) {
  if (n == LANES)
    vf_store(p, v);
  else
    _mm256_maskstore_ps(p, first_lanes(n), v);
}

static inline float vf_sum(vf v) {
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}
/* The larger of two magnitudes; NaN if one is, for as integers magnitudes have the same order, and NaN is above infinity. */
static inline vf vf_larger(vf a, vf b) {
  return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}
/* The largest of magnitudes; NaN if one is. */
static inline float vf_largest(vf v) {
  __m128i a = _mm_castps_si128(_mm256_castps256_ps128(v));
  a = _mm_max_epi32(a, _mm_castps_si128(_mm256_extractf128_ps(v, 1)));
  a = _mm_max_epi32(a, _mm_unpackhi_epi64(a, a));
  return _mm_cvtss_f32(_mm_castsi128_ps(_mm_max_epi32(a, _mm_shuffle_epi32(a, 1))));
}

static inline vf vf_load_half(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
static inline vf vf_load_bfloat16(const uint16_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
static inline vf vf_load_int8(const int8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
static inline vf vf_load_uint8(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline int32_t sum_of_integers(__m256i v) {
  __m128i a = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  a = _mm_add_epi32(a, _mm_unpackhi_epi64(a, a));
  return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 1)));
}

/* q = round(x / scale) for 32 floats, scale = max |x| / 127, which NaN and infinity pass into; the sums of the first 16 and of all 32. */
static inline void quantize_block(const float *x, int8_t *q, float *scale, int32_t *first, int32_t *total) {
  vf a = vf_load(x), b = vf_load(x + 8), c = vf_load(x + 16), d = vf_load(x + 24);
  float highest = vf_largest(vf_larger(vf_larger(vf_abs(a), vf_abs(b)), vf_larger(vf_abs(c), vf_abs(d))));
  vf inverse = vf_set(highest > 0 ? 127.0f / highest : 0);
  __m256i qa = _mm256_cvtps_epi32(vf_mul(a, inverse)), qb = _mm256_cvtps_epi32(vf_mul(b, inverse));
  __m256i qc = _mm256_cvtps_epi32(vf_mul(c, inverse)), qd = _mm256_cvtps_epi32(vf_mul(d, inverse));
  /* Packing works within 128-bit lanes; the permutation puts the groups of four bytes back in order. */
  __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(qa, qb), _mm256_packs_epi32(qc, qd));
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256((__m256i *)q, bytes);
  *scale = highest / 127.0f;
  *first = sum_of_integers(_mm256_add_epi32(qa, qb));
  *total = sum_of_integers(_mm256_add_epi32(_mm256_add_epi32(qa, qb), _mm256_add_epi32(qc, qd)));
}

/* 512 bytes of nibbles to 1024 bytes of table entries, see code_panels.h. */
static inline void expand_codes(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  const __m256i low = _mm256_set1_epi8(15), entries = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
  for (int i = 0; i < 16; i++) {
    __m256i pair = _mm256_loadu_si256((const __m256i *)(nibbles + 32 * i));
    __m256i first = _mm256_and_si256(pair, low), second = _mm256_and_si256(_mm256_srli_epi16(pair, 4), low);
    uint8_t *target = codes + i / 2 * 128 + i % 2 * 32;
    _mm256_store_si256((__m256i *)target, _mm256_shuffle_epi8(entries, first));
    _mm256_store_si256((__m256i *)(target + 64), _mm256_shuffle_epi8(entries, second));
  }
}

#endif
