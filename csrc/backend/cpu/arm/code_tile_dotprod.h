/* Integer tiles with dot products of four signed bytes: a vector of weights holds four inputs of four columns, and is multiplied with
 * one of the four groups of four inputs in a vector of activations. */
enum { CODE_ROWS = 4 }; /* 8 integer and 8 float accumulators, 4 vectors of activations and 2 of weights of 32 registers */
#define FOR_EACH_CODE_ROWS(X) X(1) X(2) X(3) X(4)

#include "backend/cpu/arm/code_rows.h"

typedef int32x4_t peak_vector;
enum { PEAK_PRODUCTS = 16 };
#define PEAK_DOT(sum, v) vdotq_s32(sum, vreinterpretq_s8_s32(v), vreinterpretq_s8_s32(v))

/* dots += 16 inputs times 2 * LANES columns. */
INLINE void add_dots(const int rows, const uint8_t *codes, const int8_t *q, int32x4_t dots[CODE_ROWS][2]) {
  int8x16_t x[CODE_ROWS];
  for (int r = 0; r < rows; r++) x[r] = vld1q_s8(q + r * BLOCK);
#define GROUP(g)                                                                                                             \
  do {                                                                                                                       \
    int8x16_t w[2] = {vreinterpretq_s8_u8(vld1q_u8(codes + g * 64)), vreinterpretq_s8_u8(vld1q_u8(codes + g * 64 + 16))}; \
    for (int r = 0; r < rows; r++)                                                                                           \
      for (int v = 0; v < 2; v++) dots[r][v] = vdotq_laneq_s32(dots[r][v], w[v], x[r], g);                                  \
  } while (0)
  GROUP(0);
  GROUP(1);
  GROUP(2);
  GROUP(3);
#undef GROUP
}

INLINE void code_tile(const int rows, const int halves, const bool has_minimum, const code_chunk *chunk, const uint8_t *records, int column,
                      float *y) {
  vf sums[CODE_ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) sums[r][v] = vf_load(y + r * PANEL + column + v * LANES);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    const uint8_t *codes = codes_at(chunk, b, column);
    int32x4_t dots[2][CODE_ROWS][2];
    for (int h = 0; h < halves; h++)
      for (int r = 0; r < rows; r++) dots[h][r][0] = dots[h][r][1] = vdupq_n_s32(0);
    add_dots(rows, codes, record.q, dots[0]);
    add_dots(rows, codes + 256, record.q + 16, dots[halves - 1]);
    scale_dots(rows, halves, has_minimum, chunk, &record, b, column, dots, sums);
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) vf_store(y + r * PANEL + column + v * LANES, sums[r][v]);
}

#include "backend/cpu/arm/code_cases.h"
