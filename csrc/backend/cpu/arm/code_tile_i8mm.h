/*
 * Integer tiles with products of 2 x 8 by 8 x 2 bytes: a vector of activations holds eight inputs of two rows, one of weights eight
 * inputs of two columns, and a vector of sums (row 0, column 0), (0, 1), (1, 0), (1, 1). Wants simd_neon.h and product_template.h before it.
 */
#include "backend/cpu/code_panels.h"
#include "backend/cpu/code_record.h"

#define CODE_PACKER signed_pair_packer
#define EXPAND_CODES expand_pairs
/* 8 integer and 8 float accumulators, 4 vectors of weights and 2 of activations of 32 registers. */
enum { CODE_ROWS = 4, CODE_GROUP = 8, SUM_FACTOR = 1 };

typedef int32x4_t peak_vector;
enum { PEAK_PRODUCTS = 32 };
#define PEAK_DOT(sum, v) vmmlaq_s32(sum, vreinterpretq_s8_s32(v), vreinterpretq_s8_s32(v))

static int32_t code_start(const code_layout *l, int64_t rows) {
  (void)l, (void)rows;
  return 0;
}
#define FOR_EACH_CODE_ROWS(X) X(1) X(2) X(3) X(4)
enum { ROW_PAIRS = CODE_ROWS / 2, COLUMN_PAIRS = 4 };

/* expand_codes for columns whose groups lie together in eights, [2][4][16][8]. */
static inline void expand_pairs(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  const uint8x16_t entries = vreinterpretq_u8_s8(vld1q_s8(table));
  for (int i = 0; i < 32; i++) {
    uint8x16x2_t found = look_up(nibbles + 16 * i, entries);
    uint32x4_t low = vreinterpretq_u32_u8(found.val[0]), high = vreinterpretq_u32_u8(found.val[1]);
    vst1q_u8(codes + 32 * i, vreinterpretq_u8_u32(vzip1q_u32(low, high)));
    vst1q_u8(codes + 32 * i + 16, vreinterpretq_u8_u32(vzip2q_u32(low, high)));
  }
}

static inline vf low_halves(vf a, vf b) { return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }
static inline vf high_halves(vf a, vf b) { return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }

/* Four columns of a pair of rows, as sums lie; the second row may be missing. */
INLINE void load_pair(const bool second, const float *y, vf sums[2]) {
  vf a = vf_load(y), b = second ? vf_load(y + PANEL) : vf_set(0);
  sums[0] = low_halves(a, b);
  sums[1] = high_halves(a, b);
}

INLINE void store_pair(const bool second, const vf sums[2], float *y) {
  vf_store(y, low_halves(sums[0], sums[1]));
  if (second) vf_store(y + PANEL, high_halves(sums[0], sums[1]));
}

/* Numbers of eight columns and of four rows, as sums want them. */
INLINE void spread_columns(const float *numbers, vf spread[COLUMN_PAIRS]) {
  for (int c = 0; c < COLUMN_PAIRS; c += 2) {
    vf four = vf_load(numbers + c * 2);
    spread[c] = low_halves(four, four);
    spread[c + 1] = high_halves(four, four);
  }
}

INLINE void spread_rows(vf numbers, vf spread[ROW_PAIRS]) {
  spread[0] = vzip1q_f32(numbers, numbers);
  spread[1] = vzip2q_f32(numbers, numbers);
}

/* dots += 16 inputs times 2 * LANES columns. */
INLINE void add_dots(const int pairs, const uint8_t *codes, const int8_t *q, int32x4_t dots[ROW_PAIRS][COLUMN_PAIRS]) {
  for (int g = 0; g < 2; g++) {
    int8x16_t x[ROW_PAIRS];
    for (int r = 0; r < pairs; r++) x[r] = vld1q_s8(q + r * 2 * BLOCK + g * 16);
    for (int c = 0; c < COLUMN_PAIRS; c++) {
      int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(codes + g * 128 + c * 16));
      for (int r = 0; r < pairs; r++) dots[r][c] = vmmlaq_s32(dots[r][c], x[r], w);
    }
  }
}

/* sums += the integer sums of the halves of block b times the scales of columns and rows, and the minima. */
INLINE void scale_dots(const int pairs, const int halves, const bool has_minimum, const code_chunk *chunk, const code_record *record,
                       int64_t b, int column, const int32x4_t dots[2][ROW_PAIRS][COLUMN_PAIRS], vf sums[ROW_PAIRS][COLUMN_PAIRS]) {
  const vf row_scale = vf_load(record->scale);
  const int64_t at = b * halves * PANEL + column;
  vf scales[2][COLUMN_PAIRS], row_scales[ROW_PAIRS];
  for (int h = 0; h < halves; h++) spread_columns(chunk->scale + at + h * PANEL, scales[h]);
  spread_rows(row_scale, row_scales);
  for (int c = 0; c < COLUMN_PAIRS; c++)
    for (int r = 0; r < pairs; r++) {
      vf scaled = vf_mul(vcvtq_f32_s32(dots[0][r][c]), scales[0][c]);
      if (halves == 2) scaled = vf_fma(vcvtq_f32_s32(dots[1][r][c]), scales[1][c], scaled);
      sums[r][c] = vf_fma(scaled, row_scales[r], sums[r][c]);
    }
  if (!has_minimum) return;
  const int32x4_t first = vld1q_s32(record->first), total = vld1q_s32(record->total);
  for (int h = 0; h < halves; h++) {
    vf minima[COLUMN_PAIRS], inputs[ROW_PAIRS]; /* inputs: their sums */
    spread_columns(chunk->minimum + at + h * PANEL, minima);
    spread_rows(vf_mul(row_scale, vcvtq_f32_s32(halves == 1 ? total : h == 0 ? first : vsubq_s32(total, first))), inputs);
    for (int c = 0; c < COLUMN_PAIRS; c++)
      for (int r = 0; r < pairs; r++) sums[r][c] = vf_fma(minima[c], inputs[r], sums[r][c]);
  }
}

INLINE void code_tile(const int rows, const int halves, const bool has_minimum, const code_chunk *chunk, const uint8_t *records, int column,
                      float *y) {
  const int pairs = (rows + 1) / 2;
  vf sums[ROW_PAIRS][COLUMN_PAIRS];
  for (int r = 0; r < pairs; r++)
    for (int c = 0; c < COLUMN_PAIRS; c += 2) load_pair(2 * r + 1 < rows, y + 2 * r * PANEL + column + c * 2, &sums[r][c]);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    const uint8_t *codes = chunk->codes[b] + column / 16 * 512 + column % 16 * 8;
    int32x4_t dots[2][ROW_PAIRS][COLUMN_PAIRS];
    for (int h = 0; h < halves; h++)
      for (int r = 0; r < pairs; r++)
        for (int c = 0; c < COLUMN_PAIRS; c++) dots[h][r][c] = vdupq_n_s32(0);
    add_dots(pairs, codes, record.q, dots[0]);
    add_dots(pairs, codes + 256, record.q + 32, dots[halves - 1]);
    scale_dots(pairs, halves, has_minimum, chunk, &record, b, column, dots, sums);
  }
  for (int r = 0; r < pairs; r++)
    for (int c = 0; c < COLUMN_PAIRS; c += 2) store_pair(2 * r + 1 < rows, &sums[r][c], y + 2 * r * PANEL + column + c * 2);
}

#include "backend/cpu/arm/code_cases.h"
