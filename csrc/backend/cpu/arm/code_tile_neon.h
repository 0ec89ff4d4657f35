/*
 * Integer tiles without dot products: bytes are multiplied eight at a time into 16 bits. What is added up there must not overflow:
 *   small codes, up to 32: all products of 32 inputs, 8 to a sum, at most 8 * 32 * 127 = 32512; tiny ones, up to 16: two such sums;
 *   others: two products, at most 2 * 128 * 127 = 32512, before they are widened.
 */
enum { CODE_ROWS = 4 }; /* 16 integer and 8 float accumulators of 32 registers */
#define FOR_EACH_CODE_ROWS(X) X(1) X(2) X(3) X(4)

#include "backend/cpu/arm/code_rows.h"

typedef int16x8_t peak_vector;
enum { PEAK_PRODUCTS = 8 };
#define PEAK_DOT(sum, v) vmlal_s8(sum, vget_low_s8(vreinterpretq_s8_s16(v)), vget_low_s8(vreinterpretq_s8_s16(v)))

enum { TINY_CODE = 16, SMALL_CODE = 32 };

typedef enum code_size { TINY, SMALL, LARGE } code_size;

/* Two groups of four inputs, each four times over: one instruction, where GCC makes two of each vdupq_n_s32. */
static inline int32x4x2_t two_groups(const int8_t *p) { return vld2q_dup_s32((const void *)p); }

static inline int8x16_t group(int32x4x2_t groups, int g) { return vreinterpretq_s8_s32(groups.val[g]); }

static inline int8x16_t load_codes(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

/* Two groups of four inputs times 2 * LANES columns: sums += products, or = where they are the first. */
INLINE void add_small(const int rows, const bool fresh, const uint8_t *codes, const int8_t *q, int16x8_t sums[CODE_ROWS][2][2]) {
  int8x16_t w[2][2] = {{load_codes(codes), load_codes(codes + 16)}, {load_codes(codes + 64), load_codes(codes + 80)}};
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) {
    int32x4x2_t inputs = two_groups(q + r * BLOCK);
#pragma GCC unroll 4
    for (int g = 0; g < 2; g++) {
      int8x16_t x = group(inputs, g);
#pragma GCC unroll 4
      for (int v = 0; v < 2; v++) {
        int16x8_t *s = sums[r][v];
        s[0] = fresh && g == 0 ? vmull_s8(vget_low_s8(w[g][v]), vget_low_s8(x)) : vmlal_s8(s[0], vget_low_s8(w[g][v]), vget_low_s8(x));
        s[1] = fresh && g == 0 ? vmull_high_s8(w[g][v], x) : vmlal_high_s8(s[1], w[g][v], x);
      }
    }
  }
}

INLINE void add_bytes(const int rows, const bool fresh, const uint8_t *codes, const int8_t *q, int32x4_t sums[CODE_ROWS][2][2]) {
  int8x16_t w[2][2] = {{load_codes(codes), load_codes(codes + 16)}, {load_codes(codes + 64), load_codes(codes + 80)}};
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++) {
    int32x4x2_t inputs = two_groups(q + r * BLOCK);
    int8x16_t x = group(inputs, 0), y = group(inputs, 1);
#pragma GCC unroll 4
    for (int v = 0; v < 2; v++) {
      int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(w[0][v]), vget_low_s8(x)), vget_low_s8(w[1][v]), vget_low_s8(y));
      int16x8_t high = vmlal_high_s8(vmull_high_s8(w[0][v], x), w[1][v], y);
      int32x4_t *s = sums[r][v];
      s[0] = fresh ? vpaddlq_s16(low) : vpadalq_s16(s[0], low);
      s[1] = fresh ? vpaddlq_s16(high) : vpadalq_s16(s[1], high);
    }
  }
}

/* dots = 32 / halves inputs times 2 * LANES columns. */
INLINE void dot_small(const int rows, const int halves, const bool tiny, const uint8_t *codes, const int8_t *q, int32x4_t dots[CODE_ROWS][2]) {
  int16x8_t sums[CODE_ROWS][2][2];
  add_small(rows, true, codes, q, sums);
  add_small(rows, false, codes + 128, q + 8, sums);
  if (halves == 1) {
    add_small(rows, false, codes + 256, q + 16, sums);
    add_small(rows, false, codes + 384, q + 24, sums);
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < 2; v++) {
      const int16x8_t *s = sums[r][v];
      dots[r][v] = tiny ? vpaddlq_s16(vpaddq_s16(s[0], s[1])) : vpaddq_s32(vpaddlq_s16(s[0]), vpaddlq_s16(s[1]));
    }
}

INLINE void dot_bytes(const int rows, const int halves, const uint8_t *codes, const int8_t *q, int32x4_t dots[CODE_ROWS][2]) {
  int32x4_t sums[CODE_ROWS][2][2];
  add_bytes(rows, true, codes, q, sums);
  add_bytes(rows, false, codes + 128, q + 8, sums);
  if (halves == 1) {
    add_bytes(rows, false, codes + 256, q + 16, sums);
    add_bytes(rows, false, codes + 384, q + 24, sums);
  }
#pragma GCC unroll 4
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int v = 0; v < 2; v++) dots[r][v] = vpaddq_s32(sums[r][v][0], sums[r][v][1]);
}

INLINE void neon_tile(const int rows, const int halves, const bool has_minimum, const code_size size, const code_chunk *chunk,
                      const uint8_t *records, int column, float *y) {
  vf sums[CODE_ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) sums[r][v] = vf_load(y + r * PANEL + column + v * LANES);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    const uint8_t *codes = codes_at(chunk, b, column);
    int32x4_t dots[2][CODE_ROWS][2];
#pragma GCC unroll 4
    for (int h = 0; h < halves; h++) {
      if (size != LARGE)
        dot_small(rows, halves, size == TINY, codes + h * 256, record.q + h * 16, dots[h]);
      else
        dot_bytes(rows, halves, codes + h * 256, record.q + h * 16, dots[h]);
    }
    scale_dots(rows, halves, has_minimum, chunk, &record, b, column, dots, sums);
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) vf_store(y + r * PANEL + column + v * LANES, sums[r][v]);
}

INLINE void code_tile(const int rows, const int halves, const bool has_minimum, const code_chunk *chunk, const uint8_t *records, int column,
                      float *y) {
  if (chunk->largest <= TINY_CODE)
    neon_tile(rows, halves, has_minimum, TINY, chunk, records, column, y);
  else if (chunk->largest <= SMALL_CODE)
    neon_tile(rows, halves, has_minimum, SMALL, chunk, records, column, y);
  else
    neon_tile(rows, halves, has_minimum, LARGE, chunk, records, column, y);
}

#include "backend/cpu/arm/code_cases.h"
