/*
 * Integer tiles without VNNI for codes that span more than 7 bits, in part of code_tile_avx2.h.
 *
 * Many rows: maddubs multiplies magnitudes of activations by codes, and a pair of products fits in 16 bits. An activation's sign has to go somewhere:
 *   w0 x0 + w1 x1 = sign(x0) (w0 |x0| + sign(x0) sign(x1) w1 |x1|)
 * The sign before the pair is what madd multiplies it with, in place of 1, when it brings it to 32 bits; the sign of w1 chooses between copies of the codes,
 * four for the two pairs of a group of four inputs. So 32 products take three instructions and no sign is worked out for each of them. What makes a tile
 * elsewhere, a vector of codes that stays in a register for several rows, there is not: each row takes its own copies. It goes by itself through a chunk, and its
 * float sums stay in registers. -128 has no opposite among bytes; a chunk with that code is multiplied as for few rows.
 */

enum { COPIES = 4, WIDE_BITS = 8 * COPIES };

/* Of such codes a chunk has a quarter as many blocks. */
static int32_t expanded_bits(const code_layout *l) { return code_span(l) > WIDEST_SPAN ? WIDE_BITS : 8; }

/* Keeps the compiler from adding to an address where it is used: a load that adds two registers is an instruction more for some processors. */
#define KEEP_ADDRESS(p) __asm__("" : "+r"(p))

/* A block of a panel, [2][8][16][4] bytes or half as many with nibbles, to [8][COPIES][PANEL][4]: of four codes copy 1 has the second negated, copy 2 the last and
 * copy 3 both. False if a code has no opposite. */
static bool expand_wide(const int32_t bits, const uint8_t *block, const int8_t *table, uint8_t *expanded) {
  const plane_values values = {.table = vb_table(table), .lift = vb_set(0)};
  const __m256i second = _mm256_set1_epi32(0x0101ff01), last = _mm256_set1_epi32((int32_t)0xff010101), both = _mm256_set1_epi32((int32_t)0xff01ff01);
  __m256i lowest = _mm256_setzero_si256();
  for (int i = 0; i < 4; i++) { /* 8 columns */
    const uint8_t *source = block + i / 2 * 64 * bits + i % 2 * 32;
    for (int g = 0; g < 8; g += 2) {
      __m256i codes[2];
      if (bits == 4) {
        planes_pair(4, false, source, g / 2, &values, codes);
      } else {
        codes[0] = vb_load(source + g * 64);
        codes[1] = vb_load(source + g * 64 + 64);
      }
      for (int k = 0; k < 2; k++) {
        uint8_t *target = expanded + (g + k) * COPIES * PANEL * 4 + i * 32;
        lowest = _mm256_min_epi8(lowest, codes[k]);
        vb_store(target, codes[k]);
        vb_store(target + 1 * PANEL * 4, _mm256_sign_epi8(codes[k], second));
        vb_store(target + 2 * PANEL * 4, _mm256_sign_epi8(codes[k], last));
        vb_store(target + 3 * PANEL * 4, _mm256_sign_epi8(codes[k], both));
      }
    }
  }
  return _mm256_movemask_epi8(_mm256_cmpeq_epi8(lowest, _mm256_set1_epi8(INT8_MIN))) == 0;
}

/* A row's activations of a block, kept behind the tile's records for all panels that it is multiplied with. */
typedef struct wide_inputs {
  uint8_t magnitude[BLOCK];
  int16_t sign[BLOCK / 2]; /* of each pair's first */
  uint8_t copy[BLOCK / 4]; /* where each group's copy of the codes lies, in COPY_UNITs */
  float scale;
  int32_t unused; /* fills up the lines */
} wide_inputs;

enum { COPY_UNIT = 8, /* what an address may multiply by */ INPUT_LINES = 5 /* of memory, that a tile's block takes */ };

_Static_assert(CODE_ROWS * sizeof(wide_inputs) == INPUT_LINES * 64, "whole lines");
_Static_assert(3 * PANEL * 4 / COPY_UNIT <= UINT8_MAX, "places of copies");

static void keep_inputs(const uint8_t *records, int64_t blocks, void *beside) {
  for (int64_t b = 0; b < blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    wide_inputs *in = (wide_inputs *)beside + b * CODE_ROWS;
    for (int r = 0; r < CODE_ROWS; r++, in++) {
      const __m256i x = vb_load(record.q + r * BLOCK), first = _mm256_slli_epi16(x, 8);
      vb_store(in->magnitude, _mm256_abs_epi8(x));
      vb_store(in->sign, _mm256_or_si256(_mm256_srai_epi16(first, 15), _mm256_set1_epi16(1)));
      const __m256i unlike = _mm256_srli_epi16(_mm256_xor_si256(x, first), 15);
      const __m256i copy = _mm256_madd_epi16(unlike, _mm256_set1_epi32((2 * PANEL * 4 / COPY_UNIT) << 16 | PANEL * 4 / COPY_UNIT));
      const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(copy), _mm256_extracti128_si256(copy, 1));
      _mm_storel_epi64((__m128i *)in->copy, _mm_packus_epi16(words, words));
      in->scale = record.scale[r];
    }
  }
}

/* One row's products with a chunk of copies. */
INLINE void multiply_copies(const code_chunk *chunk, const int64_t r, float *y) {
  enum { VECTORS = PANEL / LANES };
  const wide_inputs *in = (const wide_inputs *)chunk->beside + r;
  const float *scale = chunk->scale;
  vf sums[VECTORS];
  for (int v = 0; v < VECTORS; v++) sums[v] = vf_load(y + v * LANES);
  for (int64_t b = 0; b < chunk->blocks; b++, in += CODE_ROWS, scale += PANEL) {
    const uint8_t *codes = chunk->codes[b];
    __m256i dots[VECTORS];
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
      const __m256i x = four_bytes(in->magnitude + g * 4), sign = four_bytes(in->sign + g * 2);
      const uint8_t *w = codes + (uint64_t)in->copy[g] * COPY_UNIT;
      KEEP_ADDRESS(w);
      for (int v = 0; v < VECTORS; v++) {
        __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(x, vb_load(w + g * COPIES * PANEL * 4 + v * 32)), sign);
        if (g > 0) sum = _mm256_add_epi32(dots[v], sum);
        STAY(sum);
        dots[v] = sum;
      }
    }
    const vf row_scale = vf_set(in->scale);
    for (int v = 0; v < VECTORS; v++) sums[v] = vf_fma(_mm256_cvtepi32_ps(dots[v]), vf_mul(vf_load(scale + v * LANES), row_scale), sums[v]);
  }
  for (int v = 0; v < VECTORS; v++) vf_store(y + v * LANES, sums[v]);
}

/* Each row asks for its share of the next tile's activations: those of many rows with many inputs come from farther away than the second cache. */
static void tile_wide(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  (void)records;
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t line = r; line < chunk->blocks * INPUT_LINES; line += CODE_ROWS) __builtin_prefetch(chunk->next_beside + line * 64);
    for (int64_t line = r * 64; line < chunk->blocks * chunk->ahead_size; line += CODE_ROWS * 64) __builtin_prefetch(chunk->ahead + line, 0, 2);
    multiply_copies(chunk, r, y + r * PANEL);
  }
}
