/* What simd_avx2.h and simd_avx512.h do alike, by vectors of 128 bits. */
#ifndef DIMPLE_CPU_X86_TURN_FOUR_H
#define DIMPLE_CPU_X86_TURN_FOUR_H

#include <immintrin.h>
#include <stdint.h>

/* target [4][target_stride] = four columns of four rows of x. */
static inline void turn_four(const float *x, int64_t stride, float *target, int64_t target_stride) {
  __m128 a = _mm_loadu_ps(x), b = _mm_loadu_ps(x + stride), c = _mm_loadu_ps(x + 2 * stride), d = _mm_loadu_ps(x + 3 * stride);
  _MM_TRANSPOSE4_PS(a, b, c, d);
  _mm_storeu_ps(target, a);
  _mm_storeu_ps(target + target_stride, b);
  _mm_storeu_ps(target + 2 * target_stride, c);
  _mm_storeu_ps(target + 3 * target_stride, d);
}

#endif
