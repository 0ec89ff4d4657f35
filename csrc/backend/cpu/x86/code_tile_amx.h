/*
 * Products of quantized weights that have a scale for 32 inputs, for AMX: the numbers, the order of sums and the panels are VNNI's (code_tile_vnni.h), so that
 * a result has the same bits whichever of the two multiplies. Few rows are left to VNNI's loops; more are multiplied by tiles, a block of 32 inputs
 * for up to 16 rows and 16 columns at a time. The sums, exact integers, go through memory to the vector units, which scale them and add them up in registers.
 *
 * A tile of up to PACKED_ROWS rows has records of so many rows, others of TILE_ROWS. Wants simd_avx512.h, product_template.h and amx_tiles.h before it.
 */
#define CODE_ROWS TILE_ROWS
#define PACKED_ROWS 8
#define RECORD_ROWS(rows) ((rows) <= PACKED_ROWS ? PACKED_ROWS : TILE_ROWS)
#define VNNI_RECORD(rows) PACKED_ROWS
#define MULTIPLIES_BY_TILES 1
#define PEAK_CODES peak_tiles
#include "backend/cpu/x86/code_tile_vnni.h"

/* The sums of a product, [rows][16]. */
typedef int32_t tile_sums[TILE_ROWS * LANES];

/* Scales the products of block `b` and adds them to sums. */
INLINE void add_tile(const int rows, const code_chunk *chunk, const uint8_t *records, int64_t b, const int column, const int32_t *dots, vf sums[TILE_ROWS]) {
  const float *row_scale = code_record_at(records, b, RECORD_ROWS(rows)).scale;
  const vf scale = vf_load(chunk->scale + b * PANEL + column), lifted = vf_mul(scale, vf_set(-LIFT));
  const vi zero = vi_set(LIFTED_ZERO);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    const vf dot = vi_as_float(_mm512_add_epi32(zero, vi_load(dots + r * LANES)));
    sums[r] = vf_fma(vf_fma(dot, scale, lifted), vf_set(row_scale[r]), sums[r]);
  }
}

/* Starts to multiply block `b` in register `c`, 0 or 1. */
#define START_BLOCK(c, b, column)                                                   \
  do {                                                                              \
    _tile_zero(c);                                                                  \
    _tile_loadd(2, code_record_at(records, b, RECORD_ROWS(rows)).q, BLOCK);         \
    _tile_loadd(3, chunk->codes[b] + (column) / 16 * 512, 64);                      \
    _tile_dpbssd(c, 2, 3);                                                          \
  } while (0)

/* Each product is started before the sums of the one before leave their register, across both halves of the columns. What the next chunk wants is asked for
 * meanwhile, evenly, by the first tile of rows. */
INLINE void amx_tile(const int rows, const code_chunk *chunk, const uint8_t *records, float *y) {
  _Alignas(64) tile_sums dots[2];
  const int64_t count = chunk->blocks;
  for (int column = 0; column < PANEL; column += LANES) {
    vf sums[TILE_ROWS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) sums[r] = vf_load(y + r * PANEL + column);
    if (column == 0 || count % 2) START_BLOCK(0, 0, column);
    for (int64_t b = 0; b < count; b += 2) {
      const uint8_t *ahead = chunk->ahead + (column == 0 ? b : b + count) * chunk->ahead_size;
      for (int64_t line = 0; line < 2 * chunk->ahead_size; line += 64) __builtin_prefetch(ahead + line, 0, 2);
      if (b + 1 < count) START_BLOCK(1, b + 1, column);
      _tile_stored(0, dots[0], 64);
      if (b > 0) add_tile(rows, chunk, records, b - 1, column, dots[1], sums);
      if (b + 2 < count)
        START_BLOCK(0, b + 2, column);
      else if (b + 2 == count && column == 0)
        START_BLOCK(0, 0, LANES);
      if (b + 1 < count) _tile_stored(1, dots[1], 64);
      add_tile(rows, chunk, records, b, column, dots[0], sums);
    }
    if (count % 2 == 0) add_tile(rows, chunk, records, count - 1, column, dots[1], sums);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) vf_store(y + r * PANEL + column, sums[r]);
  }
}

/* y += minima times sums of activations, of all blocks: the same products in the same order for any number of rows. */
static void add_minima(const code_chunk *chunk, int64_t rows, float *y) {
  const int64_t record_rows = RECORD_ROWS(rows);
  for (int64_t r = 0; r < rows; r += 8) {
    const float *weighted = lifted_starts_at(chunk->beside, 0, record_rows).weighted + r;
    switch (rows - r) {
#define ADD_MINIMA(n, record) product_rows(n, PANEL, false, weighted, 1, 4 * (record), chunk->minimum, PANEL, chunk->blocks, y + r * PANEL, PANEL)
      case 1: ADD_MINIMA(1, record_rows); break;
      case 2: ADD_MINIMA(2, record_rows); break;
      case 3:
      case 4: ADD_MINIMA(4, record_rows); break;
      default: ADD_MINIMA(8, record_rows); break;
#undef ADD_MINIMA
    }
  }
}

static void multiply_code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  if (chunk->has_minimum) add_minima(chunk, rows, y);
  if (chunk->start) {
    vnni_rows(chunk, records, 0, rows < VNNI_ROWS ? rows : VNNI_ROWS, y);
    if (rows > VNNI_ROWS) vnni_rows(chunk, records, VNNI_ROWS, rows - VNNI_ROWS, y + VNNI_ROWS * PANEL);
    return;
  }
  switch ((rows + 3) / 4) {
    case 1: amx_tile(4, chunk, records, y); break;
    case 2: amx_tile(8, chunk, records, y); break;
    case 3: amx_tile(12, chunk, records, y); break;
    case 4: amx_tile(16, chunk, records, y); break;
  }
}

/* The tile unit multiplies signed codes, which begin at 0, VNNI those that are made unsigned by adding 128. */
static void flip_codes(const uint8_t *codes, uint8_t *flipped) {
  const vb top = vb_set(-128);
  for (int i = 0; i < PANEL * BLOCK; i += 64) vb_store(flipped + i, _mm512_xor_si512(vb_load(codes + i), top));
}
#define FLIP_CODES flip_codes
#define FLIPS_CODES(chunk) ((chunk)->start == 0)

/* A tile unit that has been idle takes some 250 ns to wake up, so that it gets products, of no use, while a chunk is unpacked. */
static inline void keep_awake(const code_chunk *chunk) {
  if (chunk->start == 0) _tile_dpbssd(1, 2, 3);
}
#define KEEP_AWAKE keep_awake

/* Registers 0 and 1 for sums, 2 for activations and 3 for weights of a block: few registers are in use (docs/performance.md). */
static void begin_tiles(int64_t rows) {
  static const tile_configuration of_blocks = {.palette = 1, .row_bytes = {64, 64, BLOCK, 64}, .rows = {TILE_ROWS, TILE_ROWS, TILE_ROWS, BLOCK / 4}};
  if (rows > PACKED_ROWS) _tile_loadconfig(&of_blocks);
}

static void end_tiles(int64_t rows) {
  if (rows > PACKED_ROWS) _tile_release();
}
#define ASKS_AHEAD(rows) ((rows) > PACKED_ROWS)
#define BEGIN_CODES begin_tiles
#define END_CODES end_tiles

/* Peaks (peak_template.h): as many sums as hide a product's latency. */
static int64_t peak_tiles(int64_t turns, void *scratch) {
  configure_all_tiles();
  _tile_loadd(6, scratch, 64);
  _tile_loadd(7, scratch, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t t = 0; t < turns; t++) {
    _tile_dpbssd(0, 6, 7);
    _tile_dpbssd(1, 6, 7);
    _tile_dpbssd(2, 6, 7);
    _tile_dpbssd(3, 6, 7);
  }
  _tile_stored(0, scratch, 64);
  _tile_stored(1, scratch, 64);
  _tile_stored(2, scratch, 64);
  _tile_stored(3, scratch, 64);
  _tile_release();
  return turns * 4 * TILE_ROWS * TILE_ROWS * 64;
}
