/*
 * Integer tiles without VNNI. Codes are made unsigned where that lets maddubs multiply them, unsigned by signed bytes, and adds pairs of
 * products in 16 bits: the lowest code is taken off when weights are packed, and put on again as lowest * sum(activations), in integers. How
 * many pairs can be added up in 16 bits hangs on the span of the codes: PAIRS * 2 * span * 127 must not be above 32767.
 *
 *   span    PAIRS   formats
 *    16      8      Q4_0, Q4_1, Q4_K, Q2_K, Q3_K, TQ1_0, TQ2_0
 *    32      4      Q5_0, Q5_1, Q5_K, IQ3_S, IQ1_S, IQ1_M, MXFP4, NVFP4
 *    64      2      Q6_K
 *   128      1      IQ3_XXS, IQ2_XXS, IQ2_XS, IQ2_S
 *   255    WIDE     Q8_0, IQ4_NL, IQ4_XS: of few rows maddubs multiplies a code's magnitude by the activation with the code's sign, and a pair of such products
 *                   fits in 16 bits; of many, see code_tile_avx2_wide.h
 *
 * The sums of integers are exact, so that a result is the same whatever PAIRS its format takes.
 *
 * A tile is 4 rows times 16 columns: 8 accumulators, 2 vectors of codes and one of activations are in registers, and each load of a vector of
 * codes serves 4 multiplications, each of activations 2. There is no place left for the float sums: they stay in memory, touched once per scale.
 * Wants simd_avx2.h and product_template.h before it.
 */
#include "backend/cpu/code_panels.h"
#include "backend/cpu/code_record.h"
#include "backend/cpu/x86/code_planes.h"

#define CODE_PLANES 1
#define MOST_BLOCKS(rows) ((rows) <= 24 ? 8 : CHUNK_BLOCKS) /* of few rows' chunk all, packed and as bytes, stays in the nearest cache */
#define SHARES_AHEAD 1
#define EXPANDED_BITS expanded_bits
#define EXPAND_WIDE expand_wide
#define EXPAND_CODES expand_spans
#define CODE_PACKER span_code_packer
enum { CODE_ROWS = 4, CODE_GROUP = 4, SUM_FACTOR = 1 };
#define FOR_EACH_CODE_ROWS(X) X(1) X(2) X(3) X(4)

enum { WIDE = 0, MOST_VECTORS = PANEL / LANES };

_Static_assert(2 * 128 * 127 <= INT16_MAX, "a pair of wide codes' products");
_Static_assert(8 * 2 * 16 * 127 <= INT16_MAX && 4 * 2 * 32 * 127 <= INT16_MAX && 2 * 2 * 64 * 127 <= INT16_MAX && 2 * WIDEST_SPAN * 127 <= INT16_MAX,
               "sums of 16 bits");

/* Nibbles that stand for themselves, to a byte each; others are looked up (expand_codes). */
static void expand_spans(const uint8_t *nibbles, const int8_t *table, uint8_t *codes) {
  if (!is_linear(table)) {
    expand_codes(nibbles, table, codes);
    return;
  }
  const __m256i low = _mm256_set1_epi8(15);
  for (int i = 0; i < 16; i++) {
    const __m256i pair = _mm256_loadu_si256((const __m256i *)(nibbles + 32 * i));
    uint8_t *target = codes + i / 2 * 128 + i % 2 * 32;
    _mm256_store_si256((__m256i *)target, _mm256_and_si256(pair, low));
    _mm256_store_si256((__m256i *)(target + 64), _mm256_and_si256(_mm256_srli_epi16(pair, 4), low));
  }
}

/* Keeps the compiler from loading and multiplying so far ahead that sums leave their registers; gcc has flags against that, too (kernels.cmake). */
#ifdef __clang__
#define STAY(v) __asm__ volatile("" : "+x"(v) : : "memory")
#else
#define STAY(v) __asm__ volatile("" : "+x"(v))
#endif

/* Likewise for what it would load ahead, or keep a copy of on the stack beside y. */
#define STAY_IN_MEMORY() __asm__ volatile("" : : : "memory")

static int32_t code_start(const code_layout *l, int64_t rows) {
  (void)rows;
  return span_code_start(l);
}

/* What a block of activations is multiplied with beside its bytes; by halves, if each has scales of its own. */
typedef struct block_inputs {
  _Alignas(16) int16_t half_start[CODE_ROWS][2]; /* FACTORED: half of start */
  _Alignas(16) int32_t start[2][CODE_ROWS];      /* the code that 0 stands for times the sum of the bytes */
  _Alignas(16) float sum[2][CODE_ROWS];          /* the sum of the inputs */
} block_inputs;

/* The kinds of codes, each with tiles of its own: all that has minima has codes from 0 on. FACTORED: a scale for 16 is d times a factor, which the
 * products of 16 bits are multiplied with in place of 1, so that one conversion serves 32. */
typedef enum code_kind { FROM_ZERO, FROM_START, WITH_MINIMA, FACTORED } code_kind;

INLINE void read_inputs(const code_kind kind, const int halves, const int32_t from, const code_record record, block_inputs *in) {
  const __m128i total = _mm_loadu_si128((const __m128i *)record.total), first = _mm_loadu_si128((const __m128i *)record.first);
  const __m128i sums[2] = {halves == 1 ? total : first, _mm_sub_epi32(total, first)};
  if (kind == FACTORED) {
    const __m128i both = _mm_blend_epi16(first, _mm_slli_epi32(sums[1], 16), 0xaa);
    _mm_store_si128((__m128i *)in->half_start, _mm_mullo_epi16(both, _mm_set1_epi16((int16_t)(from / 2))));
  }
  for (int h = 0; h < halves; h++) {
    if (kind == FROM_START) _mm_store_si128((__m128i *)in->start[h], _mm_mullo_epi32(_mm_set1_epi32(from), sums[h]));
    if (kind == WITH_MINIMA) _mm_store_ps(in->sum[h], _mm_mul_ps(_mm_loadu_ps(record.scale), _mm_cvtepi32_ps(sums[h])));
  }
}

/* Whether codes are FACTORED: |start| / 2 times the sum of 16 activations has to fit into 16 bits, as Q6_K's and Q3_K's does. There are tiles of 8 and of
 * 2 pairs for them. */
static bool keeps_factors(const code_layout *l) {
  const int32_t span = code_span(l), lowest = lowest_code(l);
  if (l->unit_blocks != 8 || l->halves != 2 || l->has_minimum || l->float_scales) return false;
  return (span <= 16 || (span > 32 && span <= 64)) && lowest >= -32 && lowest % 2 == 0;
}

/* The factors of `blocks` blocks, from the beginning of a unit on, and each unit's d. */
static void unpack_factors(const code_layout *l, const unit_layout *u, const uint8_t *unit, int64_t blocks, code_chunk *chunk) {
  for (int64_t b = 0; b < blocks; b += l->unit_blocks, unit += u->size) {
    for (int64_t j = 0; j < PANEL; j += LANES) vf_store(chunk->scale + b / l->unit_blocks * PANEL + j, vf_load_half((const uint16_t *)unit + j));
    for (int64_t k = 0; k < l->unit_blocks; k++)
      for (int64_t j = 0; j < PANEL; j += 8) {
        const uint8_t *first = unit + u->factor + 2 * k * PANEL + j;
        const __m128i pairs = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)first), _mm_loadl_epi64((const __m128i *)(first + PANEL)));
        _mm256_store_si256((__m256i *)chunk->factor[b + k][j], _mm256_cvtepi8_epi16(pairs));
      }
  }
}
#define UNPACK_FACTORS unpack_factors

typedef __m256i peak_vector;
enum { PEAK_PRODUCTS = sizeof(__m256i) };
#define PEAK_DOT(sum, v) _mm256_add_epi16(_mm256_maddubs_epi16(sum, v), v)

/* The four bytes at p, in every lane. */
INLINE __m256i four_bytes(const void *p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm256_set1_epi32(word);
}

/* dots [rows][2] = 32 / halves inputs times 16 columns, and what was in them if `more`: `codes` points to groups of four inputs, 64 bytes each.
 * `factor` is ones, or what the columns' products are multiplied with, a column twice. */
INLINE void dot_spans(const int rows, const int pairs, const int halves, const bool more, const uint8_t *codes, const int8_t *q,
                      const __m256i factor[2], __m256i dots[CODE_ROWS][MOST_VECTORS]) {
  const int groups = 8 / halves;
  __m256i sums[CODE_ROWS][2];
#pragma GCC unroll 8
  for (int g = 0; g < groups; g++) {
    const __m256i w[2] = {_mm256_load_si256((const __m256i *)(codes + g * 64)), _mm256_load_si256((const __m256i *)(codes + g * 64 + 32))};
    const bool begins = g % pairs == 0, ends = (g + 1) % pairs == 0 || g + 1 == groups;
    for (int r = 0; r < rows; r++) {
      const __m256i x = four_bytes(q + r * BLOCK + g * 4);
      for (int v = 0; v < 2; v++) {
        __m256i products = _mm256_maddubs_epi16(w[v], x);
        if (!begins) products = _mm256_add_epi16(sums[r][v], products);
        STAY(products);
        sums[r][v] = products;
        if (!ends) continue;
        __m256i sum = _mm256_madd_epi16(products, factor[v]);
        if (more || g >= pairs) sum = _mm256_add_epi32(dots[r][v], sum);
        STAY(sum);
        dots[r][v] = sum;
      }
    }
  }
}

/* The same where at most two groups are added up in 16 bits: row by row, so that there are no such sums of all rows to keep beside the dots. */
INLINE void dot_short_spans(const int rows, const int pairs, const int halves, const bool more, const uint8_t *codes, const int8_t *q,
                            const __m256i factor[2], __m256i dots[CODE_ROWS][MOST_VECTORS]) {
  const int groups = 8 / halves;
#pragma GCC unroll 8
  for (int g = 0; g < groups; g += pairs) {
    __m256i w[2][2];
    for (int i = 0; i < pairs; i++)
      for (int v = 0; v < 2; v++) w[i][v] = _mm256_load_si256((const __m256i *)(codes + (g + i) * 64 + v * 32));
    for (int r = 0; r < rows; r++) {
      __m256i x[2];
      for (int i = 0; i < pairs; i++) x[i] = four_bytes(q + r * BLOCK + (g + i) * 4);
      for (int v = 0; v < 2; v++) {
        __m256i products = _mm256_maddubs_epi16(w[0][v], x[0]);
        if (pairs == 2) products = _mm256_add_epi16(products, _mm256_maddubs_epi16(w[1][v], x[1]));
        __m256i sum = _mm256_madd_epi16(products, factor[v]);
        if (more || g > 0) sum = _mm256_add_epi32(dots[r][v], sum);
        dots[r][v] = sum;
      }
      STAY_IN_MEMORY();
    }
  }
}

/* y += the scaled dots of a stretch of inputs that shares scales, whose scales are at `scale` and `minimum`. */
INLINE void add_scaled_dots(const int rows, const code_kind kind, const int halves, const float *scale, const float *minimum, const float *row_scale,
                            const block_inputs *in, int h, __m256i dots[CODE_ROWS][MOST_VECTORS], float *y) {
  for (int r = 0; r < rows; r++) {
    const __m256i start = kind == FROM_START ? _mm256_set1_epi32(in->start[h][r]) : _mm256_setzero_si256();
    for (int v = 0; v < 2; v++) {
      const __m256i dot = kind == FROM_START ? _mm256_add_epi32(dots[r][v], start) : dots[r][v];
      vf sum = vf_fma(_mm256_cvtepi32_ps(dot), vf_mul(vf_load(scale + v * LANES), vf_set(row_scale[r])), vf_load(y + r * PANEL + v * LANES));
      if (kind == WITH_MINIMA) sum = vf_fma(vf_load(minimum + v * LANES), vf_set(in->sum[h][r]), sum);
      vf_store(y + r * PANEL + v * LANES, sum);
    }
  }
  if (halves == 2) STAY_IN_MEMORY();
}

/* The same of a FACTORED block's 32 inputs, whose dots are multiplied with their factors; `pair` is these, two for each column, and `scale` the d's. */
INLINE void add_factored_dots(const int rows, const float *scale, const __m256i pair[2], const float *row_scale, const block_inputs *in,
                              __m256i dots[CODE_ROWS][MOST_VECTORS], float *y) {
  const __m256i twice[2] = {_mm256_add_epi16(pair[0], pair[0]), _mm256_add_epi16(pair[1], pair[1])};
  for (int r = 0; r < rows; r++) {
    const __m256i start = four_bytes(in->half_start[r]);
    for (int v = 0; v < 2; v++) {
      const __m256i dot = _mm256_add_epi32(dots[r][v], _mm256_madd_epi16(twice[v], start));
      vf_store(y + r * PANEL + v * LANES,
               vf_fma(_mm256_cvtepi32_ps(dot), vf_mul(vf_load(scale + v * LANES), vf_set(row_scale[r])), vf_load(y + r * PANEL + v * LANES)));
    }
  }
}

#include "backend/cpu/x86/code_tile_avx2_wide.h"

#define BESIDE_SIZE(record_rows) (CODE_ROWS * (int64_t)sizeof(wide_inputs))
#define KEEP_BESIDE(records, blocks, record_rows, beside) keep_inputs(records, blocks, beside)

/* The factors of 16 columns, two for each. */
INLINE void load_factors(const int16_t factors[][2], __m256i pair[2]) {
  for (int v = 0; v < 2; v++) pair[v] = _mm256_load_si256((const __m256i *)factors[v * LANES]);
}

/* What sums of 16 bits are multiplied with: FACTORED ones by each column's first or second factor, twice, others by 1. */
INLINE __m256i factor_of(const code_kind kind, const __m256i pair, const int h) {
  const __m256i first = _mm256_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
  const __m256i second = _mm256_setr_epi8(2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15, 2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15);
  return kind == FACTORED ? _mm256_shuffle_epi8(pair, h == 0 ? first : second) : _mm256_set1_epi16(1);
}

/* Half `h` of block `b` goes to y; of FACTORED ones both halves with the last. */
INLINE void add_dots(const int rows, const code_kind kind, const int halves, const code_chunk *chunk, const float *row_scale, const block_inputs *in,
                     const __m256i pair[2], int64_t b, int h, int column, __m256i dots[CODE_ROWS][MOST_VECTORS], float *y) {
  const int64_t at = (b * halves + h) * PANEL + column;
  if (kind != FACTORED)
    add_scaled_dots(rows, kind, halves, chunk->scale + at, chunk->minimum + at, row_scale, in, h, dots, y);
  else if (h + 1 == halves)
    add_factored_dots(rows, chunk->scale + b / 8 * PANEL + column, pair, row_scale, in, dots, y);
}

/* A panel's chunk, block by block and half by half of its columns: the float sums, for which there is no register, are touched once for each scale. */
INLINE void avx2_panel(const int rows, const code_kind kind, const int pairs, const int halves, const code_chunk *chunk, const uint8_t *records, float *y) {
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    block_inputs in;
    read_inputs(kind, halves, chunk->start, record, &in);
    for (int line = 0; line < 3; line++) __builtin_prefetch(chunk->next_records + b * code_record_size(CODE_ROWS) + line * 64);
    for (int64_t line = 0; line < chunk->ahead_size; line += 64) __builtin_prefetch(chunk->ahead + b * chunk->ahead_size + line, 0, 2);
    for (int column = 0; column < PANEL; column += 2 * LANES) {
      __m256i dots[CODE_ROWS][MOST_VECTORS], pair[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
      if (kind == FACTORED) load_factors(chunk->factor[b] + column, pair);
#pragma GCC unroll 2
      for (int h = 0; h < halves; h++) {
        const uint8_t *codes = chunk->codes[b] + column / 16 * 512 + h * 256;
        const __m256i factor[2] = {factor_of(kind, pair[0], h), factor_of(kind, pair[1], h)};
        if (pairs <= 2)
          dot_short_spans(rows, pairs, halves, kind == FACTORED && h > 0, codes, record.q + h * 16, factor, dots);
        else
          dot_spans(rows, pairs, halves, kind == FACTORED && h > 0, codes, record.q + h * 16, factor, dots);
        add_dots(rows, kind, halves, chunk, record.scale, &in, pair, b, h, column, dots, y + column);
      }
    }
  }
}

enum { BYTES_AHEAD = 6 << 10, MOST_TILES = 2, MOST_STREAMED = MOST_TILES * CODE_ROWS };

/* Lines of memory that are asked for while others are multiplied, in turn with them: all at once would hold them up. */
typedef struct lines_ahead {
  const uint8_t *from;
  int lines;
} lines_ahead;

/* The bytes of row r of a block of as many tiles as there are records. */
INLINE const int8_t *inputs_of(const code_record *records, const int r) { return records[r / CODE_ROWS].q + r % CODE_ROWS * BLOCK; }

/* dots [rows][vectors] of the inputs of half `h` of a block, or of all, as in dot_spans, from codes as they are packed: each is used once or twice, so that writing
 * it to memory as a byte would take longer than multiplying. `linear`: as in planes_pair. */
INLINE void dot_packed(const int rows, const int vectors, const int bits, const bool linear, const int pairs, const int halves, const int h, const bool more,
                       const plane_values *values, const uint8_t *codes, const code_record *records, const __m256i *factor, const lines_ahead *ahead,
                       __m256i dots[][MOST_VECTORS]) {
  const int groups = 8 / halves;
  __m256i sums[MOST_STREAMED][MOST_VECTORS];
#pragma GCC unroll 4
  for (int g = 0; g < groups; g += 2) {
    const int j = (h * groups + g) / 2;
    for (int v = 0; v < vectors; v++) {
      for (int line = j * vectors + v; line < ahead->lines; line += 4 * vectors) __builtin_prefetch(ahead->from + line * 64, 0, 3);
      const uint8_t *at = codes + v / 2 * 64 * bits + v % 2 * 32;
      vb w[2];
      planes_pair(bits, linear, at, j, values, w);
      for (int i = 0; i < 2; i++) {
        const bool begins = (g + i) % pairs == 0, ends = (g + i + 1) % pairs == 0 || g + i + 1 == groups;
        for (int r = 0; r < rows; r++) {
          const __m256i x = four_bytes(inputs_of(records, r) + (2 * j + i) * 4);
          __m256i products = _mm256_maddubs_epi16(w[i], x);
          if (!begins) products = _mm256_add_epi16(sums[r][v], products);
          sums[r][v] = products;
          if (!ends) continue;
          __m256i sum = _mm256_madd_epi16(products, factor[v]);
          if (more || g + i >= pairs) sum = _mm256_add_epi32(dots[r][v], sum);
          STAY(sum);
          dots[r][v] = sum;
        }
      }
    }
  }
}

/* The same of wide codes, each of which is used once or twice. The rows take a vector of codes in turn, so that a row's inputs are read but once for all of them. */
INLINE void dot_wide(const int rows, const int vectors, const int bits, const plane_values *values, const uint8_t *codes, const code_record *records, const lines_ahead *ahead,
                     __m256i dots[][MOST_VECTORS]) {
  const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int g = 0; g < 8; g++) {
    vb w[MOST_VECTORS], magnitude[MOST_VECTORS];
    for (int v = 0; v < vectors; v++) {
      if (g % 2 == 0)
        for (int line = g / 2 * vectors + v; line < ahead->lines; line += 4 * vectors) __builtin_prefetch(ahead->from + line * 64, 0, 3);
      const uint8_t *at = codes + v / 2 * 64 * bits + v % 2 * 32;
      if (bits == 8) {
        w[v] = vb_load(at + g * 64);
      } else {
        vb both[2];
        planes_pair(4, false, at, g / 2, values, both);
        w[v] = both[g % 2];
      }
      magnitude[v] = _mm256_abs_epi8(w[v]);
    }
    for (int r = 0; r < rows; r++) {
      const __m256i x = four_bytes(inputs_of(records, r) + g * 4);
      for (int v = 0; v < vectors; v++) {
        __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude[v], _mm256_sign_epi8(x, w[v])), ones);
        if (g > 0) sum = _mm256_add_epi32(dots[r][v], sum);
        STAY(sum);
        dots[r][v] = sum;
      }
    }
  }
}

/* A panel's chunk, as avx2_panel, of wide codes as they are packed: one of them has no copies. */
INLINE void packed_panel(const int rows, const int bits, const code_chunk *chunk, const uint8_t *records, float *y) {
  const plane_values values = {.table = vb_set(0), .lift = vb_set(0)};
  const lines_ahead nothing = {NULL, 0};
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    for (int column = 0; column < PANEL; column += 2 * LANES) {
      __m256i dots[CODE_ROWS][MOST_VECTORS];
      dot_wide(rows, 2, bits, &values, chunk->codes[b] + column / 16 * 64 * bits, &record, &nothing, dots);
      add_scaled_dots(rows, FROM_ZERO, 1, chunk->scale + b * PANEL + column, NULL, record.scale, NULL, 0, dots, y + column);
    }
  }
}

typedef void code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y);

#define TILE(name, panel, ...)                                                                \
  static void name(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) { \
    switch (rows) {                                                                           \
      case 1: panel(1, __VA_ARGS__, chunk, records, y); break;                                \
      case 2: panel(2, __VA_ARGS__, chunk, records, y); break;                                \
      case 3: panel(3, __VA_ARGS__, chunk, records, y); break;                                \
      case 4: panel(4, __VA_ARGS__, chunk, records, y); break;                                \
    }                                                                                         \
  }
/* The combinations that there are. */
TILE(tile_8_pairs, avx2_panel, FROM_START, 8, 1)
TILE(tile_8_pairs_halves, avx2_panel, FROM_START, 8, 2)
TILE(tile_8_pairs_minima, avx2_panel, WITH_MINIMA, 8, 1)
TILE(tile_8_pairs_halves_minima, avx2_panel, WITH_MINIMA, 8, 2)
TILE(tile_4_pairs, avx2_panel, FROM_START, 4, 1)
TILE(tile_4_pairs_halves, avx2_panel, FROM_START, 4, 2)
TILE(tile_4_pairs_minima, avx2_panel, WITH_MINIMA, 4, 1)
TILE(tile_2_pairs, avx2_panel, FROM_START, 2, 1)
TILE(tile_2_pairs_halves, avx2_panel, FROM_START, 2, 2)
TILE(tile_8_pairs_factors, avx2_panel, FACTORED, 8, 2)
TILE(tile_2_pairs_factors, avx2_panel, FACTORED, 2, 2)
TILE(tile_1_pair, avx2_panel, FROM_START, 1, 1)
TILE(tile_1_pair_halves, avx2_panel, FROM_START, 1, 2)
TILE(packed_8_wide, packed_panel, 8)
#undef TILE

/* A format that is none of the combinations has no tile here, and stops where it is first multiplied. */
static code_tile *whole_tile(const code_chunk *chunk) {
  static code_tile *const tiles[][2][2] = {{{tile_8_pairs, tile_8_pairs_minima}, {tile_8_pairs_halves, tile_8_pairs_halves_minima}},
                                           {{tile_4_pairs, tile_4_pairs_minima}, {tile_4_pairs_halves}},
                                           {{tile_2_pairs}, {tile_2_pairs_halves}},
                                           {{tile_1_pair}, {tile_1_pair_halves}},
                                           {{tile_wide}}};
  const int32_t span = chunk->span;
  if (chunk->factors) return span <= 16 ? tile_8_pairs_factors : tile_2_pairs_factors;
  return tiles[span <= 16 ? 0 : span <= 32 ? 1 : span <= 64 ? 2 : span <= WIDEST_SPAN ? 3 : 4][chunk->halves - 1][chunk->has_minimum];
}

static void multiply_code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  code_tile *tile = chunk->packed ? packed_8_wide : whole_tile(chunk);
  tile(chunk, records, rows, y);
}

#include "backend/cpu/x86/code_stream_avx2.h"
