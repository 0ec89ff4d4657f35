/*
 * What the integer tiles of NEON without and with dot products share: the sums of four columns are a vector. Wants simd_neon.h and
 * product_template.h before it, and CODE_ROWS, 2 or 4.
 */
#include "backend/cpu/code_panels.h"
#include "backend/cpu/code_record.h"

#define CODE_PACKER signed_code_packer
enum { CODE_GROUP = 4, SUM_FACTOR = 1 };

static int32_t code_start(const code_layout *l, int64_t rows) {
  (void)l, (void)rows;
  return 0;
}

/* Numbers of the rows of a tile. */
static inline vf load_rows(const float *p) { return CODE_ROWS == 4 ? vld1q_f32(p) : vcombine_f32(vld1_f32(p), vdup_n_f32(0)); }
static inline vf load_row_sums(const int32_t *p) {
  return vcvtq_f32_s32(CODE_ROWS == 4 ? vld1q_s32(p) : vcombine_s32(vld1_s32(p), vdup_n_s32(0)));
}

/* Where the codes of block b begin for the columns from `column` on; those of its second half are 256 bytes behind. */
static inline const uint8_t *codes_at(const code_chunk *chunk, int64_t b, int column) {
  return chunk->codes[b] + column / 16 * 512 + column % 16 * 4;
}

/* sums += the integer sums of the halves of block b times the scales of columns and rows, and the minima. */
INLINE void scale_dots(const int rows, const int halves, const bool has_minimum, const code_chunk *chunk, const code_record *record,
                       int64_t b, int column, const int32x4_t dots[2][CODE_ROWS][2], vf sums[CODE_ROWS][2]) {
  const vf row_scale = load_rows(record->scale);
  vf inputs[2]; /* the sums of the rows' inputs, in the halves */
  if (has_minimum) {
    vf first = load_row_sums(record->first), total = load_row_sums(record->total);
    inputs[0] = vf_mul(row_scale, halves == 1 ? total : first);
    inputs[1] = vf_mul(row_scale, vf_sub(total, first));
  }
  for (int v = 0; v < 2; v++) {
    int64_t at = b * halves * PANEL + column + v * LANES;
    for (int r = 0; r < rows; r++) {
      vf scaled = vf_mul(vcvtq_f32_s32(dots[0][r][v]), vf_load(chunk->scale + at));
      if (halves == 2) scaled = vf_fma(vcvtq_f32_s32(dots[1][r][v]), vf_load(chunk->scale + at + PANEL), scaled);
      sums[r][v] = vf_fma(scaled, vf_set(row_scale[r]), sums[r][v]);
      for (int h = 0; has_minimum && h < halves; h++)
        sums[r][v] = vf_fma(vf_load(chunk->minimum + at + h * PANEL), vf_set(inputs[h][r]), sums[r][v]);
    }
  }
}
