/* Four floats: NEON, as every AArch64 processor has it. */
#ifndef DIMPLE_CPU_ARM_SIMD_NEON_H
#define DIMPLE_CPU_ARM_SIMD_NEON_H

#include <arm_neon.h>
#include <stdint.h>

enum { LANES = 4, FLOAT_ROWS = 12 };
#define FOR_EACH_FLOAT_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

typedef float32x4_t vf;

static inline vf vf_load(const float *p) { return vld1q_f32(p); }
static inline void vf_store(float *p, vf v) { vst1q_f32(p, v); }
static inline vf vf_set(float v) { return vdupq_n_f32(v); }
static inline vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
static inline vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
static inline vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
static inline vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
static inline vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); } /* a * b + c */
/* a < b ? yes : no */
static inline vf vf_if_less(vf a, vf b, vf yes, vf no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
/* The smaller and the larger; b if one of them is NaN. */
static inline vf vf_min(vf a, vf b) { return vf_if_less(a, b, a, b); }
static inline vf vf_max(vf a, vf b) { return vf_if_less(b, a, a, b); }
static inline vf vf_abs(vf v) { return vabsq_f32(v); }
static inline vf vf_round(vf v) { return vrndnq_f32(v); }
static inline vf vf_copysign(vf magnitude, vf sign) { return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude); }

/* v * 2^n, n integral, |n| <= 252: in two steps, since 2^n may be out of range where v * 2^n is not. */
static inline vf vf_scale(vf v, vf n) {
  int32x4_t whole = vcvtq_s32_f32(n), half = vshrq_n_s32(whole, 1), bias = vdupq_n_s32(127);
  int32x4_t a = vshlq_n_s32(vaddq_s32(half, bias), 23), b = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
  return vf_mul(vf_mul(v, vreinterpretq_f32_s32(a)), vreinterpretq_f32_s32(b));
}

/* v * 2^n, n integral, where both are normal numbers or v is NaN. */
static inline vf vf_scale_normal(vf v, vf n) {
  return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(v), vshlq_n_s32(vcvtq_s32_f32(n), 23)));
}

/* The first n <= LANES lanes; the others are 0. */
static inline vf vf_load_some(const float *p, int64_t n) {
  if (n >= LANES) return vf_load(p);
  vf v = vf_set(0);
  if (n > 0) v = vld1q_lane_f32(p, v, 0);
  if (n > 1) v = vld1q_lane_f32(p + 1, v, 1);
  if (n > 2) v = vld1q_lane_f32(p + 2, v, 2);
  return v;
}
static inline void vf_store_some(float *p, vf v, int64_t n) {
  if (n >= LANES) {
    vf_store(p, v);
    return;
  }
  if (n > 0) vst1q_lane_f32(p, v, 0);
  if (n > 1) vst1q_lane_f32(p + 1, v, 1);
  if (n > 2) vst1q_lane_f32(p + 2, v, 2);
}

/* Sums of product_template.h, with the numbers of four rows in one vector, of which a product takes one lane. */
#define ADD_PRODUCTS add_products_by_lanes
static inline __attribute__((always_inline)) void add_products_by_lanes(const int rows, const int vectors, const float *a, const int64_t a_row,
                                                                        const vf columns[2], vf sums[FLOAT_ROWS][2]) {
  int r = 0;
  for (; a_row == 1 && r + 4 <= rows; r += 4) {
    vf x = vf_load(a + r);
    for (int v = 0; v < vectors; v++) {
      sums[r][v] = vfmaq_laneq_f32(sums[r][v], columns[v], x, 0);
      sums[r + 1][v] = vfmaq_laneq_f32(sums[r + 1][v], columns[v], x, 1);
      sums[r + 2][v] = vfmaq_laneq_f32(sums[r + 2][v], columns[v], x, 2);
      sums[r + 3][v] = vfmaq_laneq_f32(sums[r + 3][v], columns[v], x, 3);
    }
  }
  for (; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = vfmaq_n_f32(sums[r][v], columns[v], a[r * a_row]);
}

static inline float vf_sum(vf v) { return vaddvq_f32(v); }
/* The larger of two magnitudes; NaN if one is, for as integers magnitudes have the same order, and NaN is above infinity. */
static inline vf vf_larger(vf a, vf b) {
  return vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a), vreinterpretq_s32_f32(b)));
}
/* The largest of magnitudes; NaN if one is. */
static inline float vf_largest(vf v) {
  return vgetq_lane_f32(vreinterpretq_f32_s32(vdupq_n_s32(vmaxvq_s32(vreinterpretq_s32_f32(v)))), 0);
}

/* target [4][target_stride] = four columns of four rows of x. */
static inline void turn_four(const float *x, int64_t stride, float *target, int64_t target_stride) {
  const float32x4x2_t even = vtrnq_f32(vld1q_f32(x), vld1q_f32(x + stride)), odd = vtrnq_f32(vld1q_f32(x + 2 * stride), vld1q_f32(x + 3 * stride));
  for (int i = 0; i < 2; i++) {
    vst1q_f32(target + i * target_stride, vcombine_f32(vget_low_f32(even.val[i]), vget_low_f32(odd.val[i])));
    vst1q_f32(target + (i + 2) * target_stride, vcombine_f32(vget_high_f32(even.val[i]), vget_high_f32(odd.val[i])));
  }
}

static inline vf vf_load_half(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
static inline vf vf_load_bfloat16(const uint16_t *p) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16)); }
/* Four bytes in the low half of a vector of eight. */
static inline uint8x8_t load_four_bytes(const void *p) { return vreinterpret_u8_u32(vld1_lane_u32(p, vdup_n_u32(0), 0)); }
static inline vf vf_load_int8(const int8_t *p) {
  return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_four_bytes(p))))));
}
static inline vf vf_load_uint8(const uint8_t *p) {
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(load_four_bytes(p)))));
}

/* Sixteen floats times `factor` to bytes, to the nearest, NaN to 0. */
static inline int8x16_t round_to_bytes(const float *x, vf factor) {
  int16x8_t words[2];
  for (int i = 0; i < 2; i++) {
    int32x4_t a = vcvtnq_s32_f32(vf_mul(vf_load(x + 8 * i), factor)), b = vcvtnq_s32_f32(vf_mul(vf_load(x + 8 * i + 4), factor));
    words[i] = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
  }
  return vcombine_s8(vqmovn_s16(words[0]), vqmovn_s16(words[1]));
}

/* q = round(x / scale) for 32 floats, scale = max |x| / 127, which NaN and infinity pass into; the sums of the first 16 and of all 32. */
static inline void quantize_block(const float *x, int8_t *q, float *scale, int32_t *first, int32_t *total) {
  vf most = vf_set(0);
  for (int i = 0; i < 32; i += LANES) most = vf_larger(most, vf_abs(vf_load(x + i)));
  float highest = vf_largest(most);
  vf inverse = vf_set(highest > 0 ? 127.0f / highest : 0);
  int8x16_t head = round_to_bytes(x, inverse), tail = round_to_bytes(x + 16, inverse);
  vst1q_s8(q, head);
  vst1q_s8(q + 16, tail);
  *scale = highest / 127.0f;
  *first = vaddlvq_s8(head);
  *total = vaddlvq_s8(head) + vaddlvq_s8(tail);
}

/* 16 bytes of nibbles to the table entries of the low ones and of the high ones. */
static inline uint8x16x2_t look_up(const uint8_t *nibbles, uint8x16_t entries) {
  uint8x16_t pair = vld1q_u8(nibbles);
  uint8x16x2_t found = {{vqtbl1q_u8(entries, vandq_u8(pair, vdupq_n_u8(15))), vqtbl1q_u8(entries, vshrq_n_u8(pair, 4))}};
  return found;
}

/* 512 bytes of nibbles to 1024 bytes of table entries, see code_panels.h. */
static inline void expand_codes(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  const uint8x16_t entries = vreinterpretq_u8_s8(vld1q_s8(table));
  for (int i = 0; i < 32; i++) {
    uint8x16x2_t found = look_up(nibbles + 16 * i, entries);
    uint8_t *target = codes + i / 4 * 128 + i % 4 * 16;
    vst1q_u8(target, found.val[0]);
    vst1q_u8(target + 64, found.val[1]);
  }
}

#endif
