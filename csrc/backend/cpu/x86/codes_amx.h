/*
 * Products of quantized weights with AMX tiles, in 16-bit fixed point (see fixed_panels.h for why and for the weights).
 *
 * Activations get one scale per row and 256 inputs, x = s X. Both sides are split into bytes: X = 256 Xh + Xl, all signed, and
 * W = 256 Wh + Wl with Wl unsigned. Then
 *   sum X W = 65536 sum Xh Wh + 256 (sum Xh Wl + sum Xl Wh) + sum Xl Wl,
 * where the last term, at most 2^-16 of the largest product, is replaced by its mean, 128 sum Xl. That keeps more of x than rounding
 * it to 8 bits, 32 at a time, as the other instruction sets do. The sums of 256 inputs fit 32 bits: 256 * 127 * 128 * 256 +
 * 256 * (127 * 255 + 128 * 128 + 64) is below 2^31.
 *
 * A tile of activations is, per chunk: 256 s [16] float, sum Xl / 2 [16] int32, then per 64 inputs Xh [16][64] and Xl [16][64].
 *
 * Wants simd_avx512.h, product_template.h, amx_tiles.h and floats_amx.h before it, the last for its part of the scratch memory.
 */
#include "backend/cpu/x86/fixed_panels.h"

#define CODE_PACKER fixed_packer

enum {
  STEP = 64, /* inputs per tile product */
  FIXED_STEPS = FIXED_CHUNK / STEP,
  FIXED_HEADER = TILE_ROWS * 8,
  FIXED_CHUNK_SIZE = FIXED_HEADER + FIXED_STEPS * 2 * TILE_BYTES /* bytes of a whole chunk of a tile of activations */
};

static int64_t fixed_tile_size(int64_t columns) {
  int64_t steps = (columns + STEP - 1) / STEP, chunks = (columns + FIXED_CHUNK - 1) / FIXED_CHUNK;
  return chunks * FIXED_HEADER + steps * 2 * TILE_BYTES;
}

/* One row of a chunk: bytes to `high` and, a tile behind, the low ones. Returns the scale; *low_sum receives sum Xl. */
static float fix_row(const float *x, int64_t count, int64_t steps, int8_t *high, int32_t *low_sum) {
  vf most = vf_set(0);
  for (int64_t k = 0; k < count; k += LANES) most = vf_larger(most, vf_abs(vf_load(x + k)));
  float highest = vf_largest(most);
  vf inverse = vf_set(highest > 1e-30f ? FIXED_MOST / highest : 0);
  __m512i low_sums = _mm512_setzero_si512();
  for (int64_t k = 0; k < steps * STEP; k += LANES) {
    vf v = k < count && isfinite(highest) ? vf_load(x + k) : vf_set(0); /* else the scale says it */
    __m512i fixed = _mm512_cvtps_epi32(vf_mul(v, inverse));
    __m512i upper = _mm512_srai_epi32(_mm512_add_epi32(fixed, _mm512_set1_epi32(128)), 8);
    int8_t *at = high + k / STEP * 2 * TILE_BYTES + k % STEP;
    _mm_storeu_si128((__m128i *)at, _mm512_cvtepi32_epi8(upper));
    _mm_storeu_si128((__m128i *)(at + TILE_BYTES), _mm512_cvtepi32_epi8(fixed));
    low_sums = _mm512_add_epi32(low_sums, _mm512_sub_epi32(fixed, _mm512_slli_epi32(upper, 8)));
  }
  *low_sum = _mm512_reduce_add_epi32(low_sums);
  return highest / FIXED_MOST;
}

static void fix_rows(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  for (int64_t first = 0; first < columns; first += FIXED_CHUNK, tile += FIXED_CHUNK_SIZE) {
    int64_t count = columns - first < FIXED_CHUNK ? columns - first : FIXED_CHUNK, steps = (count + STEP - 1) / STEP;
    float *scale = (float *)tile;
    int32_t *half_low = (int32_t *)tile + TILE_ROWS;
    int8_t *bytes = (int8_t *)tile + FIXED_HEADER;
    if (rows < TILE_ROWS) memset(tile, 0, (size_t)(FIXED_HEADER + steps * 2 * TILE_BYTES));
    for (int64_t r = 0; r < rows; r++) {
      scale[r] = 256 * fix_row(x + r * stride + first, count, steps, bytes + r * STEP, &half_low[r]);
      half_low[r] /= 2;
    }
  }
}

static const activation_form code_form = {TILE_ROWS, fixed_tile_size, fix_rows};

/* The bytes of W of one chunk: [half of the panel][step][Wh, Wl][16 groups of 4 inputs][16 columns][4]. */
typedef int8_t fixed_tiles[2][FIXED_STEPS][2][TILE_BYTES];

union multiply_scratch {
  struct {
    _Alignas(64) fixed_tiles tiles[2]; /* one being multiplied, the next one being unpacked */
    int32_t sums[2][2][TILE_ROWS * 16]; /* [half of the panel][high, low] */
  };
  split_tiles split[2];
  float widened[CHUNK_FLOATS * PANEL];
};

/* W = round(code * F / reach) + O for a code at the top of a 16-bit word: mulhrs divides the product by 2^15. */
INLINE __m512i fix_codes(const bool has_offset, __m512i codes, __m512i factor, __m512i offset) {
  __m512i fixed = _mm512_mulhrs_epi16(codes, factor);
  return has_offset ? _mm512_add_epi16(fixed, offset) : fixed;
}

/* Stores the bytes of W of 4 inputs: words of inputs 0 and 2 of every column in `even`, 1 and 3 in `odd`. */
static inline void store_bytes(__m512i even, __m512i odd, int8_t *high) {
  const __m512i low_byte = _mm512_set1_epi16(0xff);
  enum { FIRST_WHERE_THIRD_ELSE_SECOND = 0xe4 };
  __m512i low = _mm512_ternarylogic_epi32(even, _mm512_slli_epi16(odd, 8), low_byte, FIRST_WHERE_THIRD_ELSE_SECOND);
  __m512i upper = _mm512_ternarylogic_epi32(_mm512_srli_epi16(even, 8), odd, low_byte, FIRST_WHERE_THIRD_ELSE_SECOND);
  _mm512_store_si512(high, upper);
  _mm512_store_si512(high + TILE_BYTES, low);
}

/* A column's 16-bit number twice: the words of its four codes lie next to each other, two by two. */
static inline __m512i load_columns(const uint8_t *words) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3,
                                         2, 2, 1, 1, 0, 0);
  return _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)words)));
}

/* Slice `slice` of a chunk: 8 inputs of 16 columns. */
INLINE void fix_slice(const int bits, const bool has_offset, const fixed_layout *f, const uint8_t *chunk, int64_t slice, fixed_tiles *tiles) {
  int64_t b = slice / 8, half = slice / 4 % 2, quarter = slice % 4;
  const uint8_t *block = chunk + PANEL * 4 + b * f->block_size;
  const uint8_t *codes = block + f->codes + (half * 4 + quarter) * (bits * 16);
  const uint8_t *words = block + (quarter * f->halves / 4 * PANEL + half * 16) * 2;
  int8_t *high = (*tiles)[half][b / 2][0] + (b % 2 * 8 + quarter * 2) * 64;
  __m512i factor = load_columns(words), offset = _mm512_setzero_si512();
  if (has_offset) offset = load_columns(words + f->halves * PANEL * 2);
  if (bits == 8) {
    const __m512i upper_byte = _mm512_set1_epi16((int16_t)0xff00);
    for (int g = 0; g < 2; g++, codes += 64, high += 64) {
      __m512i two = _mm512_load_si512(codes);
      store_bytes(fix_codes(has_offset, _mm512_slli_epi16(two, 8), factor, offset),
                  fix_codes(has_offset, _mm512_and_si512(two, upper_byte), factor, offset), high);
    }
  } else {
    const __m512i top = _mm512_set1_epi16((int16_t)0xf000);
    __m512i four = _mm512_load_si512(codes);
    store_bytes(fix_codes(has_offset, _mm512_slli_epi16(four, 12), factor, offset),
                fix_codes(has_offset, _mm512_and_si512(_mm512_slli_epi16(four, 4), top), factor, offset), high);
    store_bytes(fix_codes(has_offset, _mm512_and_si512(_mm512_slli_epi16(four, 8), top), factor, offset),
                fix_codes(has_offset, _mm512_and_si512(four, top), factor, offset), high + 64);
  }
}

/* A chunk of a panel. */
typedef struct fixed_place {
  int64_t panel, chunk;
  int64_t blocks;
  const uint8_t *at;
} fixed_place;

static fixed_place fixed_place_at(const weight *w, const fixed_layout *f, int64_t panel, int64_t chunk) {
  int64_t left = w->columns / BLOCK - chunk * FIXED_BLOCKS;
  return (fixed_place){panel, chunk, left < FIXED_BLOCKS ? left : FIXED_BLOCKS,
                       w->panels + panel * w->panel_size + chunk * fixed_chunk_size(f)};
}

/* Sums of a tile of rows that have left the tile registers and wait to be scaled and added to y [rows x PANEL]. */
typedef struct waiting_sums {
  int32_t (*sums)[2][TILE_ROWS * 16]; /* [half of the panel][high, low][16 rows][16] */
  int64_t rows, added;
  const float *t;     /* [PANEL] */
  const float *scale; /* [TILE_ROWS], and behind them half the sums of Xl */
  float *y;
} waiting_sums;

INLINE void add_row(waiting_sums *w) {
  int64_t r = w->added++;
  vf scale = vf_set(w->scale[r]);
  __m512i half_low = _mm512_set1_epi32(((const int32_t *)w->scale)[TILE_ROWS + r]);
  for (int half = 0; half < 2; half++) {
    __m512i high = _mm512_load_si512(w->sums[half][0] + r * 16), low = _mm512_load_si512(w->sums[half][1] + r * 16);
    vf sum = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(high, 8), _mm512_add_epi32(low, half_low)));
    float *y = w->y + r * PANEL + half * 16;
    vf_store(y, vf_fma(sum, vf_mul(vf_load(w->t + half * 16), scale), vf_load(y)));
  }
}

/* What the vector units do while the tile unit multiplies: unpack the next chunk, a share after every other product, and add up the
 * tile of rows before, a row at a time. Small pieces, because a core looks only so many memory accesses ahead and a tile register takes 16
 * of them. Besides, a tile unit that has been idle takes some 250 ns to wake up. */
typedef struct side_work {
  const fixed_layout *layout;
  const uint8_t *chunk;
  fixed_tiles *tiles;
  int64_t slices, fixed;
  int64_t shares, taken; /* of the current chunk's products */
  waiting_sums waiting;
} side_work;

INLINE void fix_share(const int bits, const bool has_offset, side_work *w) {
  w->taken++;
  for (; w->fixed * w->shares < w->slices * w->taken; w->fixed++)
    fix_slice(bits, has_offset, w->layout, w->chunk, w->fixed, w->tiles);
}

INLINE void add_two_rows(side_work *w) {
  for (int i = 0; i < 2 && w->waiting.added < w->waiting.rows; i++) add_row(&w->waiting);
}

enum { SHARES = 4 }; /* calls of fix_share in a step */

/* One step, 64 inputs, of 16 rows and 32 columns: high sums in tile registers 0 and 2, low ones in 1 and 3. */
INLINE void multiply_step(const int bits, const bool has_offset, const uint8_t *x, const fixed_tiles *w, int64_t s, side_work *side) {
  _tile_loadd(4, x + s * 2 * TILE_BYTES, STEP);
  _tile_loadd(6, (*w)[0][s][0], 64);
  _tile_dpbssd(0, 4, 6);
  fix_share(bits, has_offset, side);
  _tile_loadd(7, (*w)[0][s][1], 64);
  _tile_dpbsud(1, 4, 7);
  add_two_rows(side);
  _tile_loadd(5, x + s * 2 * TILE_BYTES + TILE_BYTES, STEP);
  _tile_dpbssd(1, 5, 6);
  fix_share(bits, has_offset, side);
  _tile_loadd(6, (*w)[1][s][0], 64);
  _tile_dpbssd(2, 4, 6);
  fix_share(bits, has_offset, side);
  _tile_loadd(7, (*w)[1][s][1], 64);
  _tile_dpbsud(3, 4, 7);
  add_two_rows(side);
  _tile_dpbssd(3, 5, 6);
  fix_share(bits, has_offset, side);
}

/* Takes the chunks in order and of each the panels in order, so that a chunk of activations is fetched once for all panels. */
INLINE void multiply_run(const int bits, const bool has_offset, const fixed_layout *f, const weight *w, int64_t panel, int64_t panels,
                         const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y, union multiply_scratch *scratch) {
  const int64_t turns = panels * ((w->columns + FIXED_CHUNK - 1) / FIXED_CHUNK), row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  side_work side = {.layout = f, .waiting = {.sums = scratch->sums}};
  fixed_place here = fixed_place_at(w, f, panel, 0);
  configure_tiles();
  for (int64_t i = 0; i < here.blocks * 8; i++) fix_slice(bits, has_offset, f, here.at, i, &scratch->tiles[0]);
  for (int64_t turn = 0; turn < turns; turn++) {
    bool last_panel = here.panel + 1 == panel + panels;
    fixed_place next = fixed_place_at(w, f, last_panel ? panel : here.panel + 1, here.chunk + last_panel);
    int64_t steps = (here.blocks + 1) / 2;
    side.chunk = next.at;
    side.tiles = &scratch->tiles[(turn + 1) % 2];
    side.slices = turn + 1 < turns ? next.blocks * 8 : 0;
    side.fixed = side.taken = 0;
    side.shares = row_tiles * steps * SHARES;
    for (int64_t r = 0; r < row_tiles; r++) {
      const uint8_t *x = tiles + r * tile_size + here.chunk * FIXED_CHUNK_SIZE;
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t s = 0; s < steps; s++) multiply_step(bits, has_offset, x + FIXED_HEADER, &scratch->tiles[turn % 2], s, &side);
      while (side.waiting.added < side.waiting.rows) add_row(&side.waiting);
      _tile_stored(0, scratch->sums[0][0], 64);
      _tile_stored(1, scratch->sums[0][1], 64);
      _tile_stored(2, scratch->sums[1][0], 64);
      _tile_stored(3, scratch->sums[1][1], 64);
      side.waiting = (waiting_sums){.sums = scratch->sums,
                                    .rows = rows - r * TILE_ROWS < TILE_ROWS ? rows - r * TILE_ROWS : TILE_ROWS,
                                    .t = (const float *)here.at,
                                    .scale = (const float *)x,
                                    .y = y + ((here.panel - panel) * GROUP_ROWS + r * TILE_ROWS) * PANEL};
    }
    here = next;
  }
  while (side.waiting.added < side.waiting.rows) add_row(&side.waiting);
  _tile_release();
}

static void multiply_codes(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows,
                           float *y, union multiply_scratch *scratch) {
  const fixed_layout f = fixed_layout_of(&w->layout);
  if (f.bits == 4 && !f.has_offset)
    multiply_run(4, false, &f, w, panel, panels, tiles, tile_size, rows, y, scratch);
  else if (f.bits == 4)
    multiply_run(4, true, &f, w, panel, panels, tiles, tile_size, rows, y, scratch);
  else if (!f.has_offset)
    multiply_run(8, false, &f, w, panel, panels, tiles, tile_size, rows, y, scratch);
  else
    multiply_run(8, true, &f, w, panel, panels, tiles, tile_size, rows, y, scratch);
}

/* Peaks (peak_template.h): as many sums as hide a product's latency. */
#define PEAK_CODES peak_tiles
static int64_t peak_tiles(int64_t turns, void *scratch) {
  configure_tiles();
  _tile_loadd(6, scratch, STEP);
  _tile_loadd(7, scratch, STEP);
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
  _tile_stored(0, scratch, STEP);
  _tile_stored(1, scratch, STEP);
  _tile_stored(2, scratch, STEP);
  _tile_stored(3, scratch, STEP);
  _tile_release();
  return turns * 4 * TILE_ROWS * TILE_ROWS * STEP;
}
