/*
 * Integer tiles with VNNI's dot product of four unsigned and four signed bytes, 512 or 256 bits wide. Weights are unsigned,
 * offset by 128; the sums start from -128 times the sum of the activations, which takes the offset off again. Wants product_template.h
 * before it: with simd_avx512.h where the compiler has AVX512-VNNI, with simd_avx2.h where it has AVX-VNNI.
 */
#include "backend/cpu/code_panels.h"
#include "backend/cpu/code_record.h"
#include "backend/cpu/x86/code_planes.h"

#ifdef __AVX512VNNI__
_Static_assert(LANES == 16, "wants simd_avx512.h");
enum { VNNI_ROWS = 6 }; /* 12 integer and 12 float accumulators of 32 registers */
#define FOR_EACH_VNNI_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6)
typedef __m512i vi;
static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline vi vi_set(int32_t v) { return _mm512_set1_epi32(v); }
static inline vi vi_dot(vi sum, vi weights, vi activations) { return _mm512_dpbusd_epi32(sum, weights, activations); }
static inline vf vi_as_float(vi v) { return _mm512_castsi512_ps(v); }
#else
_Static_assert(LANES == 8, "wants simd_avx2.h");
enum { VNNI_ROWS = 3 }; /* 6 and 6 of 16 registers */
#define FOR_EACH_VNNI_ROWS(X) X(1) X(2) X(3)
typedef __m256i vi;
static inline vi vi_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline vi vi_set(int32_t v) { return _mm256_set1_epi32(v); }
static inline vi vi_dot(vi sum, vi weights, vi activations) { return _mm256_dpbusd_avx_epi32(sum, weights, activations); }
static inline vf vi_as_float(vi v) { return _mm256_castsi256_ps(v); }
#endif

#ifndef PEAK_CODES
typedef vi peak_vector;
enum { PEAK_PRODUCTS = sizeof(vi) };
#define PEAK_DOT(sum, v) vi_dot(sum, v, v)
#endif

#define CODE_PACKER unsigned_code_packer
#define CODE_PLANES 1
/* What code_tile_amx.h, which leaves few rows to these loops, has otherwise: tiles and records of more rows, and minima that are added before the rest. */
#ifndef CODE_ROWS
#define CODE_ROWS VNNI_ROWS
#define RECORD_ROWS(rows) ((rows) == 1 ? 1 : CODE_ROWS)
#define VNNI_RECORD(rows) RECORD_ROWS(rows)
#define MULTIPLIES_BY_TILES 0
#define PACKED_ROWS (3 * CODE_ROWS)
#define SHARES_AHEAD 1
#define KEEPS_CODES 1
#endif
enum { CODE_GROUP = 4, SUM_FACTOR = -128 };

static int32_t code_start(const code_layout *l, int64_t rows) {
  (void)l;
  return MULTIPLIES_BY_TILES && rows > PACKED_ROWS ? 0 : SUM_FACTOR;
}

/* The combinations that there are. */
static bool multiplies_packed(const code_layout *l) {
  const int32_t bits = plane_bits(l);
  return bits == 4 || (bits == 5 && l->halves == 1) || (bits == 6 && l->halves == 2);
}

static inline int32_t four_bytes(const int8_t *p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/*
 * An integer within 2^22 of zero, added to the bits of the float 1.5 * 2^23, is the bits of 1.5 * 2^23 plus that integer; so sums that start there are
 * floats without a conversion, and one multiplication and addition takes the lift off again: sum * scale - LIFT * scale, rounded once. LIFT * scale is
 * exact, for no format's scale has more than 22 bits (quant_test), and finite for scales up to 2^104, which half floats and their factors are far below. A
 * dot product of 32 is within 2^19 of zero.
 */
enum { LIFTED_ZERO = 0x4b400000 };
#define LIFT 0x1.8p23f

/* What is kept of a block of activations, [rows of a record] each: where the sums of 32 products and of the first and last 16 start, lifted, and the sum of the
 * activations. */
typedef struct lifted_starts {
  int32_t *total, *first, *last;
  float *weighted;
} lifted_starts;

static inline lifted_starts lifted_starts_at(const uint8_t *beside, int64_t block, const int64_t record_rows) {
  int32_t *total = (int32_t *)(uintptr_t)beside + block * 4 * record_rows;
  return (lifted_starts){total, total + record_rows, total + 2 * record_rows, (float *)(total + 3 * record_rows)};
}

static void lift_starts(const uint8_t *records, int64_t blocks, int64_t record_rows, uint8_t *beside) {
  for (int64_t b = 0; b < blocks; b++) {
    const lifted_starts starts = lifted_starts_at(beside, b, record_rows);
    const code_record record = code_record_at(records, b, record_rows);
    for (int64_t r = 0; r < record_rows; r++) {
      starts.total[r] = LIFTED_ZERO + record.total[r];
      starts.first[r] = LIFTED_ZERO + record.first[r];
      starts.last[r] = LIFTED_ZERO + (record.total[r] - record.first[r]);
      starts.weighted[r] = (float)record.total[r] * (record.scale[r] * (1.0f / SUM_FACTOR));
    }
  }
}
#define BESIDE_SIZE(record_rows) (4 * (record_rows) * (int64_t)sizeof(int32_t))
#define KEEP_BESIDE lift_starts

/* Columns [column, column + 2 * LANES) of the panel, whose codes are of `bits`: of less than 8, as they are packed, and written to `kept` as bytes if that is not
 * null. */
INLINE void vnni_tile(const int rows, const int bits, const int halves, const bool has_minimum, const code_chunk *chunk,
                      const uint8_t *records, const int from, int column, uint8_t *kept, float *y) {
  plane_values values = {.table = vb_set(0), .lift = vb_set(0)};
  if (bits == 4) values.table = vb_table(chunk->table);
  if (bits == 5 || bits == 6) values.lift = vb_set((int8_t)(uint8_t)chunk->lift);
  vf sums[VNNI_ROWS][2];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) sums[r][v] = vf_load(y + r * PANEL + column + v * LANES);
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, VNNI_RECORD(rows));
    const lifted_starts starts = lifted_starts_at(chunk->beside, b, VNNI_RECORD(rows));
    const int8_t *q = record.q + from * BLOCK;
    const float *row_scale = record.scale + from, *weighted = starts.weighted + from;
    /* Where the two vectors of columns lie in [2][8][16][4], or in [2][4][16][4] and planes. */
    const uint8_t *codes[2];
    uint8_t *bytes[2];
    for (int v = 0; v < 2; v++) {
      int first = column + v * LANES;
      codes[v] = chunk->codes[b] + first / 16 * 64 * bits + first % 16 * 4;
      if (kept) bytes[v] = kept + b * PANEL * BLOCK + first / 16 * 512 + first % 16 * 4;
    }
    if (((bits < 8 && !kept) || chunk->streams) && column == 0) prefetch_ahead(chunk->codes[b], 128 * bits);
    for (int64_t line = 0; !MULTIPLIES_BY_TILES && column == 0 && line < chunk->ahead_size; line += 64)
      __builtin_prefetch(chunk->ahead + b * chunk->ahead_size + line, 0, 2);
    for (int h = 0; h < halves; h++) {
      vi dots[VNNI_ROWS][2];
      const int32_t *start = (halves == 1 ? starts.total : h == 0 ? starts.first : starts.last) + from;
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2; v++) dots[r][v] = vi_set(start[r]);
      int groups = 8 / halves; /* outside the loop's condition: the sanitizers' check of the division keeps it from unrolling */
#pragma GCC unroll 4
      for (int g = h * groups; g < (h + 1) * groups; g += 2) {
        vi w[2][2];
        for (int v = 0; v < 2; v++) {
          if (bits < 8)
            planes_pair(bits, false, codes[v], g / 2, &values, w[v]);
          else
            for (int i = 0; i < 2; i++) w[v][i] = vi_load(codes[v] + (g + i) * 64);
          for (int i = 0; kept && i < 2; i++) vb_store(bytes[v] + (g + i) * 64, w[v][i]);
        }
        for (int i = 0; i < 2; i++)
          for (int r = 0; r < rows; r++) {
            vi x = vi_set(four_bytes(q + r * BLOCK + (g + i) * 4));
            for (int v = 0; v < 2; v++) dots[r][v] = vi_dot(dots[r][v], w[v][i], x);
          }
      }
      for (int v = 0; v < 2; v++) {
        const int64_t at = (b * halves + h) * PANEL + column + v * LANES;
        const vf scale = vf_load(chunk->scale + at), lifted = vf_mul(scale, vf_set(-LIFT));
        for (int r = 0; r < rows; r++)
          sums[r][v] = vf_fma(vf_fma(vi_as_float(dots[r][v]), scale, lifted), vf_set(row_scale[r]), sums[r][v]);
        if (!has_minimum) continue;
        const vf minimum = vf_load(chunk->minimum + at);
        for (int r = 0; r < rows; r++) {
          const float sum = halves == 1 ? weighted[r] : (float)(start[r] - LIFTED_ZERO) * (row_scale[r] * (1.0f / SUM_FACTOR));
          sums[r][v] = vf_fma(minimum, vf_set(sum), sums[r][v]);
        }
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) vf_store(y + r * PANEL + column + v * LANES, sums[r][v]);
}

INLINE void vnni_panel(const int rows, const code_chunk *chunk, const uint8_t *records, const int from, uint8_t *kept, float *y) {
  const bool two = chunk->halves == 2, minima = chunk->has_minimum && !MULTIPLIES_BY_TILES;
  for (int column = 0; column < PANEL; column += 2 * LANES) {
    if (chunk->bits == 4 && two)
      vnni_tile(rows, 4, 2, minima, chunk, records, from, column, kept, y);
    else if (chunk->bits == 4)
      vnni_tile(rows, 4, 1, minima, chunk, records, from, column, kept, y);
    else if (chunk->bits == 5)
      vnni_tile(rows, 5, 1, minima, chunk, records, from, column, kept, y);
    else if (kept)
      return; /* no others are kept */
    else if (chunk->bits == 6)
      vnni_tile(rows, 6, 2, minima, chunk, records, from, column, NULL, y);
    else if (!two && !minima)
      vnni_tile(rows, 8, 1, false, chunk, records, from, column, NULL, y);
    else if (!two)
      vnni_tile(rows, 8, 1, true, chunk, records, from, column, NULL, y);
    else if (!minima)
      vnni_tile(rows, 8, 2, false, chunk, records, from, column, NULL, y);
    else
      vnni_tile(rows, 8, 2, true, chunk, records, from, column, NULL, y);
  }
}

/* `rows` rows of a tile from `from` on, VNNI_ROWS at most. */
INLINE void vnni_rows(const code_chunk *chunk, const uint8_t *records, const int from, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: vnni_panel(n, chunk, records, from, NULL, y); break;
    FOR_EACH_VNNI_ROWS(CASE)
#undef CASE
  }
}

#if !MULTIPLIES_BY_TILES
/* Like many rows' first tile, which is a whole one. */
static void keep_code_tile(code_chunk *chunk, const uint8_t *records, float *y) { vnni_panel(VNNI_ROWS, chunk, records, 0, chunk->expanded, y); }

static void multiply_code_tile(code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  if (chunk->keeps)
    keep_code_tile(chunk, records, y);
  else
    vnni_rows(chunk, records, 0, rows, y);
}

#ifdef __AVX512VNNI__
#include "backend/cpu/x86/code_tiles_vnni.h"
#endif

#include "backend/cpu/x86/code_stream_vnni.h"
#endif
