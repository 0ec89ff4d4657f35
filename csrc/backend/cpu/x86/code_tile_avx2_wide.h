/*
 * Integer tiles without VNNI for codes that span more than 7 bits, in part of code_tile_avx2.h: codes and activations as 16 bits, which madd multiplies
 * and adds in pairs.
 *
 * Four codes of a column, or four inputs, that lie together as bytes a b c d become two pairs of 16 bits, a c and b d, by shifts alone.
 *
 * Many rows take codes that were widened when their chunk was unpacked, and multiply two products at a time (Winograd):
 *   w0 x0 + w1 x1 = (w0 + x1) (w1 + x0) - w0 w1 - x0 x1
 * That is two additions and a multiplication for 32 products where there were two multiplications, which fewer units can do than can add; the sums of w0 w1
 * and x0 x1 are taken off once, from a column's and a row's sums of 32 inputs.
 *
 * Few rows take bytes as they lie in the panel, and leave the shift to the right away: what they add up is 256 times the sum, which 32 bits hold.
 */
_Static_assert(BLOCK * 256 * 128 * 127 <= INT32_MAX, "256 times the sum of a block's products");

enum { WIDE_BITS = 16 };

/* Keeps gcc from holding every distance from the chunk's beginning in a register of its own. */
#define KEEP_ADDRESS(p) __asm__("" : "+r"(p))

/* The chunks of such codes have half as many blocks. */
static int32_t expanded_bits(const code_layout *l) { return code_span(l) > WIDEST_SPAN ? WIDE_BITS : 8; }

INLINE void widen(__m256i bytes, __m256i wide[2]) {
  wide[0] = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
  wide[1] = _mm256_srai_epi16(bytes, 8);
}

/* A block of a panel, [2][8][16][4] bytes or half as many with nibbles, to [2][8][2][16][2] of 16 bits, and the sums of w0 w1 of each column,
 * [halves][PANEL]. */
static void expand_wide(const int32_t bits, const int64_t halves, const uint8_t *block, const int8_t *table, uint8_t *expanded, int32_t *crossed) {
  const plane_values values = {.table = vb_table(table), .lift = vb_set(0)};
  for (int i = 0; i < 4; i++) { /* 8 columns */
    __m256i sum = _mm256_setzero_si256();
    for (int g = 0; g < 8; g += 2) {
      const uint8_t *source = block + i / 2 * 64 * bits + i % 2 * 32;
      uint8_t *target = expanded + i / 2 * 1024 + g * 128 + i % 2 * 32;
      __m256i codes[2];
      if (bits == 4) {
        planes_pair(4, false, source, g / 2, &values, codes);
      } else {
        codes[0] = vb_load(source + g * 64);
        codes[1] = vb_load(source + g * 64 + 64);
      }
      for (int k = 0; k < 2; k++) {
        __m256i wide[2];
        widen(codes[k], wide);
        for (int j = 0; j < 2; j++) vb_store(target + k * 128 + j * 64, wide[j]);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(wide[0], wide[1]));
      }
      if ((g + 2) % (8 / halves) == 0) {
        vb_store(crossed + g / 4 * (halves - 1) * PANEL + i * 8, sum);
        sum = _mm256_setzero_si256();
      }
    }
  }
}

/* The activations of a tile's block, [2][8][2] of each row, and the sums of x0 x1 of all 32, of the first 16 and of the others: kept behind the tile's
 * records, for all panels that it is multiplied with. */
typedef struct wide_inputs {
  _Alignas(64) int16_t x[CODE_ROWS][BLOCK];
  int32_t crossed[4][CODE_ROWS];
} wide_inputs;
_Static_assert(CODE_ROWS == 4, "sums of rows are added up four at a time");

static void widen_inputs(const uint8_t *records, int64_t blocks, void *beside) {
  for (int64_t b = 0; b < blocks; b++) {
    const int8_t *q = code_record_at(records, b, CODE_ROWS).q;
    wide_inputs *in = (wide_inputs *)beside + b;
    __m256i sums[CODE_ROWS];
    for (int r = 0; r < CODE_ROWS; r++) {
      __m256i wide[2];
      widen(vb_load(q + r * BLOCK), wide);
      for (int j = 0; j < 2; j++) vb_store(in->x[r] + j * 16, wide[j]);
      sums[r] = _mm256_madd_epi16(wide[0], wide[1]);
    }
    const __m256i of_rows = _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
    const __m128i first = _mm256_castsi256_si128(of_rows), second = _mm256_extracti128_si256(of_rows, 1);
    _mm_store_si128((__m128i *)in->crossed[0], _mm_add_epi32(first, second));
    _mm_store_si128((__m128i *)in->crossed[1], first);
    _mm_store_si128((__m128i *)in->crossed[2], second);
  }
}

/* dots [rows][2] = 32 / halves inputs times 16 columns: `codes` points to groups of four inputs, 128 bytes each. */
INLINE void dot_wide(const int rows, const int halves, const uint8_t *codes, const int16_t *x, const int32_t *crossed, const int32_t *x_crossed,
                     __m256i dots[CODE_ROWS][2]) {
  const int groups = 8 / halves;
#pragma GCC unroll 8
  for (int g = 0; g < groups; g++) {
    __m256i w[2][2];
    for (int i = 0; i < 4; i++) w[i / 2][i % 2] = vb_load(codes + g * 128 + i * 32);
    for (int r = 0; r < rows; r++) {
      const __m256i x0 = four_bytes(x + r * BLOCK + g * 2), x1 = four_bytes(x + r * BLOCK + g * 2 + 16);
      for (int v = 0; v < 2; v++) {
        __m256i sum = _mm256_madd_epi16(_mm256_add_epi16(w[0][v], x1), _mm256_add_epi16(w[1][v], x0));
        sum = g == 0 ? _mm256_sub_epi32(sum, vb_load(crossed + v * 8)) : _mm256_add_epi32(dots[r][v], sum);
        STAY(sum);
        STAY_IN_MEMORY();
        dots[r][v] = sum;
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) dots[r][v] = _mm256_sub_epi32(dots[r][v], _mm256_set1_epi32(x_crossed[r]));
}

/* The same for bytes as they are packed, groups of 64. */
INLINE void dot_packed_wide(const int rows, const int halves, const uint8_t *codes, const int16_t *x, __m256i dots[CODE_ROWS][2]) {
  const int groups = 8 / halves;
#pragma GCC unroll 8
  for (int g = 0; g < groups; g++) {
    const __m256i w[2] = {vb_load(codes + g * 64), vb_load(codes + g * 64 + 32)};
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      __m256i wide[2]; /* times 256 */
      for (int v = 0; v < 2; v++) wide[v] = j == 0 ? _mm256_slli_epi16(w[v], 8) : _mm256_and_si256(w[v], _mm256_set1_epi16(-256));
      for (int r = 0; r < rows; r++) {
        const __m256i two = four_bytes(x + r * BLOCK + g * 2 + j * 16);
        for (int v = 0; v < 2; v++) {
          __m256i sum = _mm256_madd_epi16(wide[v], two);
          if (g + j > 0) sum = _mm256_add_epi32(dots[r][v], sum);
          STAY(sum);
          STAY_IN_MEMORY();
          dots[r][v] = sum;
        }
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) dots[r][v] = _mm256_srai_epi32(dots[r][v], 8);
}

/* A panel's chunk, as avx2_panel: codes of WIDE_BITS, or of 8 as they are packed. */
INLINE void wide_panel(const int rows, const int bits, const int halves, const code_chunk *chunk, const uint8_t *records, float *y) {
  const block_inputs none = {.start = {{0}}};
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const wide_inputs *in = (const wide_inputs *)chunk->beside + b;
    const float *row_scale = code_record_at(records, b, CODE_ROWS).scale;
    if (bits < WIDE_BITS && chunk->streams) prefetch_ahead(chunk->codes[b], 128 * bits);
    for (int column = 0; column < PANEL; column += 2 * LANES) {
      const uint8_t *codes = chunk->codes[b] + column / 16 * 64 * bits;
      KEEP_ADDRESS(codes);
#pragma GCC unroll 2
      for (int h = 0; h < halves; h++) {
        const int64_t at = (b * halves + h) * PANEL + column;
        __m256i dots[CODE_ROWS][2];
        if (bits == WIDE_BITS)
          dot_wide(rows, halves, codes + h * 512, in->x[0] + h * 8, chunk->crossed + at, in->crossed[h + halves - 1], dots);
        else
          dot_packed_wide(rows, halves, codes + h * 256, in->x[0] + h * 8, dots);
        add_scaled_dots(rows, FROM_ZERO, halves, chunk->scale + at, NULL, row_scale, &none, h, dots, y + column);
      }
    }
  }
}
