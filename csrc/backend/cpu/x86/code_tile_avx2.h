/*
 * Integer tiles without VNNI. maddubs multiplies unsigned by signed bytes and adds pairs, saturating at 16 bits, which decides
 * how codes may look:
 *   narrow codes, 4 bits on an even scale: kept unsigned, 0 .. 15, with the scale's start in the minimum; the 8 pair sums of a block
 *   stay below 8 * 2 * 15 * 127 = 30480 and are added up in 16 bits;
 *   signed bytes: |w| times sign(w) x, at most 2 * 128 * 127 = 32512 a pair, widened at once.
 * Wants simd_avx2.h and product_template.h before it.
 */
#include "backend/cpu/code_panels.h"
#include "backend/cpu/code_record.h"

#define CODE_PACKER signed_code_packer
enum { CODE_ROWS = 4, CODE_GROUP = 4, CODE_FLIP = 0, SUM_FACTOR = 1, NARROW_CODES = 1 };
#define FOR_EACH_CODE_ROWS(X) X(1) X(2) X(3) X(4)

static inline __m256i four_bytes(const int8_t *p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm256_set1_epi32(word);
}

/* 8 columns times one row over `groups` groups of 4 inputs. */
INLINE __m256i dot_narrow(const uint8_t *codes, const int8_t *q, const int groups) {
  __m256i sum = _mm256_setzero_si256();
  for (int g = 0; g < groups; g++)
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_load_si256((const __m256i *)(codes + g * 64)), four_bytes(q + g * 4)));
  return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

INLINE __m256i dot_bytes(const uint8_t *codes, const int8_t *q, const int groups) {
  __m256i sum = _mm256_setzero_si256();
  for (int g = 0; g < groups; g++) {
    __m256i w = _mm256_load_si256((const __m256i *)(codes + g * 64));
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(four_bytes(q + g * 4), w));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  return sum;
}

/* Columns [column, column + 2 * LANES) of the panel. */
INLINE void avx2_tile(const int rows, const int halves, const bool narrow, const bool has_minimum, const code_chunk *chunk,
                      const uint8_t *records, int column, float *y) {
  vf sums[CODE_ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) sums[r][v] = vf_load(y + r * PANEL + column + v * LANES);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    for (int h = 0; h < halves; h++) {
      for (int v = 0; v < 2; v++) {
        int first = column + v * LANES;
        const uint8_t *codes = chunk->codes[b] + first / 16 * 512 + first % 16 * 4 + h * 256;
        int64_t at = (b * halves + h) * PANEL + first;
        vf scale = vf_load(chunk->scale + at);
        vf minimum = has_minimum ? vf_load(chunk->minimum + at) : scale;
        for (int r = 0; r < rows; r++) {
          const int8_t *q = record.q + r * BLOCK + h * 16;
          __m256i dot = narrow ? dot_narrow(codes, q, 8 / halves) : dot_bytes(codes, q, 8 / halves);
          sums[r][v] = vf_fma(_mm256_cvtepi32_ps(dot), vf_mul(scale, vf_set(record.scale[r])), sums[r][v]);
          if (!has_minimum) continue;
          int32_t sum = halves == 1 ? record.total[r] : h == 0 ? record.first[r] : record.total[r] - record.first[r];
          sums[r][v] = vf_fma(minimum, vf_set((float)sum * record.scale[r]), sums[r][v]);
        }
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) vf_store(y + r * PANEL + column + v * LANES, sums[r][v]);
}

/* Narrow codes always come with a minimum. Bytes with a scale for 16 inputs never do: the formats that have both are narrow. */
INLINE void avx2_panel(const int rows, const code_chunk *chunk, const uint8_t *records, float *y) {
  for (int column = 0; column < PANEL; column += 2 * LANES) {
    if (chunk->narrow && chunk->halves == 1)
      avx2_tile(rows, 1, true, true, chunk, records, column, y);
    else if (chunk->narrow)
      avx2_tile(rows, 2, true, true, chunk, records, column, y);
    else if (chunk->halves == 1 && !chunk->has_minimum)
      avx2_tile(rows, 1, false, false, chunk, records, column, y);
    else if (chunk->halves == 1)
      avx2_tile(rows, 1, false, true, chunk, records, column, y);
    else
      avx2_tile(rows, 2, false, false, chunk, records, column, y);
  }
}

static void multiply_code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: avx2_panel(n, chunk, records, y); break;
    FOR_EACH_CODE_ROWS(CASE)
#undef CASE
  }
}
