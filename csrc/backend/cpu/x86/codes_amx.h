/*
 * Products with AMX tiles of quantized weights that have a scale for 16 inputs, in 16-bit fixed point (see fixed_panels.h for why and for the weights).
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
 * Wants simd_avx512.h, product_template.h, amx_tiles.h and code_planes.h before it.
 */
#include "backend/cpu/x86/fixed_panels.h"

#define FIXED_PACKER &fixed_packer
#define FIXED_FORM &fixed_form
#define MULTIPLY_FIXED multiply_fixed

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

static const activation_form fixed_form = {TILE_ROWS, fixed_tile_size, fix_rows};

/* The bytes of W of one chunk of half a panel: [step][Wh, Wl][16 groups of 4 inputs][16 columns][4]. */
typedef int8_t fixed_tiles[FIXED_STEPS][2][TILE_BYTES];

typedef struct fixed_scratch {
  _Alignas(64) fixed_tiles tiles[2]; /* one being multiplied, the next one being unpacked: a third of the nearest cache */
  int32_t sums[2][TILE_ROWS * 16];   /* [high, low] */
} fixed_scratch;
_Static_assert(sizeof(fixed_scratch) <= MULTIPLY_SCRATCH, "a thread's scratch memory holds what tiles want");

/* W = round(code * F / reach) + O for a code at the top of a 16-bit word: mulhrs divides the product by 2^15. */
INLINE __m512i fix_codes(const bool has_offset, __m512i codes, __m512i factor, __m512i offset) {
  __m512i fixed = _mm512_mulhrs_epi16(codes, factor);
  return has_offset ? _mm512_add_epi16(fixed, offset) : fixed;
}

/* Stores the bytes of W of 4 inputs: words of inputs 0 and 2 of every column in `even`, 1 and 3 in `odd`. By shuffles, for shifts and multiplications want
 * the same one of the two units that there are for 512 bits. */
static inline void store_bytes(__m512i even, __m512i odd, int8_t *high) {
  const __m512i swapped = _mm512_broadcast_i32x4(_mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14));
  const __mmask64 lower = 0x5555555555555555;
  _mm512_store_si512(high, _mm512_mask_shuffle_epi8(odd, lower, even, swapped));
  _mm512_store_si512(high + TILE_BYTES, _mm512_mask_shuffle_epi8(even, ~lower, odd, swapped));
}

/* A column's 16-bit number twice: the words of its four codes lie next to each other, two by two. */
static inline __m512i load_columns(const uint8_t *words) {
  const __m512i twice = _mm512_set_epi16(15, 15, 14, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3,
                                         2, 2, 1, 1, 0, 0);
  return _mm512_permutexvar_epi16(twice, _mm512_castsi256_si512(_mm256_load_si256((const __m256i *)words)));
}

/* W of 8 inputs of 16 columns with 4-bit codes: of inputs 0 and 2, 1 and 3, 4 and 6, 5 and 7. */
INLINE void fix_nibbles(const bool has_offset, __m512i four, __m512i factor, __m512i offset, __m512i fixed[4]) {
  const __m512i top = _mm512_set1_epi16((int16_t)0xf000);
  fixed[0] = fix_codes(has_offset, _mm512_slli_epi16(four, 12), factor, offset);
  fixed[1] = fix_codes(has_offset, _mm512_and_si512(_mm512_slli_epi16(four, 4), top), factor, offset);
  fixed[2] = fix_codes(has_offset, _mm512_and_si512(_mm512_slli_epi16(four, 8), top), factor, offset);
  fixed[3] = fix_codes(has_offset, _mm512_and_si512(four, top), factor, offset);
}

/* The same of 4 inputs with 8-bit codes, which are to be shifted. */
INLINE void fix_bytes(const bool has_offset, const int spare, __m512i two, __m512i factor, __m512i offset, __m512i fixed[2]) {
  __m512i odd = _mm512_and_si512(two, _mm512_set1_epi16((int16_t)0xff00));
  if (spare) odd = _mm512_slli_epi16(odd, spare);
  fixed[0] = fix_codes(has_offset, _mm512_slli_epi16(two, 8 + spare), factor, offset);
  fixed[1] = fix_codes(has_offset, odd, factor, offset);
}

/* The same of 8 inputs whose codes are looked up. */
INLINE void fix_entries(const bool has_offset, __m512i pair, __m512i entries, __m512i factor, __m512i offset, __m512i fixed[4]) {
  const __m512i low = _mm512_set1_epi8(15);
  fix_bytes(has_offset, 0, _mm512_shuffle_epi8(entries, _mm512_and_si512(pair, low)), factor, offset, fixed);
  fix_bytes(has_offset, 0, _mm512_shuffle_epi8(entries, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low)), factor, offset, fixed + 2);
}

/* Half `half` of the columns of a block, 32 inputs: bytes to `high` and, a tile behind, the low ones. */
INLINE void fix_block(const fixed_kind kind, const bool has_offset, const fixed_layout *f, const uint8_t *block, int64_t half, int8_t *high) {
  const int bits = kind == FIXED_NIBBLES || kind == FIXED_ENTRIES ? 4 : kind == FIXED_BYTES ? 8 : 6;
  const int64_t second = (f->halves - 1) * PANEL * 2, offsets = f->halves * PANEL * 2;
  const uint8_t *codes = block + f->codes + half * (64 * bits), *words = block + half * PANEL;
  const __m512i entries = vb_table(f->entries);
  const plane_values values = {.lift = vb_set((int8_t)f->lowest)};
#pragma GCC unroll 2
  for (int h = 0; h < 2; h++, words += second) {
    const __m512i factor = load_columns(words), offset = has_offset ? load_columns(words + offsets) : _mm512_setzero_si512();
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++, high += 128) {
      const int pair = 2 * h + i; /* of groups of 4 inputs */
      __m512i loaded[2], fixed[4];
      if (kind == FIXED_NIBBLES) {
        fix_nibbles(has_offset, vb_load(codes + pair * 64), factor, offset, fixed);
      } else if (kind == FIXED_ENTRIES) {
        fix_entries(has_offset, vb_load(codes + pair * 64), entries, factor, offset, fixed);
      } else if (kind == FIXED_BYTES) {
        for (int g = 0; g < 2; g++) fix_bytes(has_offset, 0, vb_load(codes + (2 * pair + g) * 64), factor, offset, fixed + 2 * g);
      } else {
        planes_pair(bits, false, codes, pair, &values, loaded);
        for (int g = 0; g < 2; g++) fix_bytes(has_offset, 2, loaded[g], factor, offset, fixed + 2 * g);
      }
      store_bytes(fixed[0], fixed[1], high);
      store_bytes(fixed[2], fixed[3], high + 64);
    }
  }
}

/* Asks for half `half` of the block that lies `ahead` bytes behind this one. */
INLINE void prefetch_half(const fixed_layout *f, const uint8_t *block, int64_t half, int64_t ahead) {
  for (int line = 0; line <= f->bits; line++) __builtin_prefetch(block + half * (f->block_size / 2) + ahead + line * 64, 0, 2);
}

/* A chunk of half a panel. */
typedef struct fixed_place {
  int64_t panel, chunk, half;
  int64_t blocks;
  const uint8_t *at; /* the chunk of the whole panel */
} fixed_place;

static inline int64_t fixed_chunks(const weight *w) { return (w->columns + FIXED_CHUNK - 1) / FIXED_CHUNK; }

static fixed_place fixed_place_at(const weight *w, const fixed_layout *f, int64_t panel, int64_t chunk, int64_t half) {
  int64_t left = w->columns / BLOCK - chunk * FIXED_BLOCKS;
  return (fixed_place){panel, chunk, half, left < FIXED_BLOCKS ? left : FIXED_BLOCKS, w->panels + panel * w->panel_size + chunk * fixed_chunk_size(f)};
}

/* Sums of a tile of rows and half a panel that have left the tile registers and wait to be scaled and added to y, rows PANEL apart. */
typedef struct waiting_sums {
  int64_t rows;
  const int32_t *high; /* [16], and a tile behind the low ones */
  const float *scale;  /* and TILE_ROWS behind half the sum of Xl */
  const float *t;      /* [16] */
  float *y;
} waiting_sums;

/* y += t scale (256 high + low + half the sum of Xl), for up to `most` rows. */
INLINE void add_rows(waiting_sums *w, int64_t most) {
  for (int64_t i = 0; i < most && w->rows > 0; i++) {
    int32_t half_low;
    memcpy(&half_low, w->scale + TILE_ROWS, sizeof half_low);
    const __m512i low = _mm512_add_epi32(_mm512_load_si512(w->high + TILE_ROWS * 16), _mm512_set1_epi32(half_low));
    const vf sum = _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(_mm512_load_si512(w->high), 8), low));
    vf_store(w->y, vf_fma(sum, vf_mul(vf_load(w->t), vf_set(*w->scale)), vf_load(w->y)));
    w->rows--;
    w->high += 16;
    w->scale++;
    w->y += PANEL;
  }
}

/* What the vector units do while the tile unit multiplies: unpack the next chunk, a block at a time, and add up the sums before, two rows
 * at a time. Small pieces, because a core looks only so many memory accesses ahead and a tile register takes 16 of them. Besides, a tile unit that has
 * been idle takes some 250 ns to wake up. */
typedef struct side_work {
  const fixed_layout *layout;
  fixed_place place;
  fixed_tiles *tiles;
  int64_t ahead; /* what is asked for, bytes behind what is unpacked */
  int64_t blocks, done;
  int64_t shares, due; /* of the current chunk's products: a block is due for every `shares` */
  waiting_sums waiting;
} side_work;

INLINE void fix_next(const fixed_kind kind, const bool has_offset, side_work *w) {
  const int64_t b = w->done++;
  const uint8_t *block = w->place.at + PANEL * 4 + b * w->layout->block_size;
  prefetch_half(w->layout, block, w->place.half, w->ahead);
  fix_block(kind, has_offset, w->layout, block, w->place.half, (*w->tiles)[b / 2][0] + b % 2 * 8 * 64);
}

INLINE void fix_share(const fixed_kind kind, const bool has_offset, side_work *w) {
  for (w->due += w->blocks; w->due >= w->shares; w->due -= w->shares) fix_next(kind, has_offset, w);
}

enum { SHARES = 2 }; /* calls of fix_share in a step */

/*
 * One step, 64 inputs, of 16 rows and half the columns: high sums in tile register 0, low ones in 1. Only four registers are in use. With all eight
 * there are times when each product waits for the one before, as if the core had no others to rename them to; with four it does not (docs/performance.md).
 */
INLINE void multiply_step(const fixed_kind kind, const bool has_offset, const uint8_t *x, const int8_t (*w)[TILE_BYTES], side_work *side) {
  _tile_loadd(2, x, STEP);
  _tile_loadd(4, w[1], 64);
  _tile_dpbsud(1, 2, 4);
  add_rows(&side->waiting, 2);
  _tile_loadd(4, w[0], 64);
  _tile_dpbssd(0, 2, 4);
  fix_share(kind, has_offset, side);
  _tile_loadd(2, x + TILE_BYTES, STEP);
  _tile_dpbssd(1, 2, 4);
  add_rows(&side->waiting, 2);
  fix_share(kind, has_offset, side);
}

/* The turns of a run: chunk by chunk and of each all panels, so that a chunk of activations is fetched once for all; of one tile of rows panel by panel,
 * as they lie in memory. */
static inline fixed_place place_of_turn(const weight *w, const fixed_layout *f, int64_t panel, int64_t panels, bool streams, int64_t turn) {
  const int64_t half = turn % 2, both = turn / 2, chunks = fixed_chunks(w);
  return streams ? fixed_place_at(w, f, panel + both / chunks, both % chunks, half) : fixed_place_at(w, f, panel + both % panels, both / panels, half);
}

INLINE void multiply_run(const fixed_kind kind, const bool has_offset, const fixed_layout *f, const weight *w, int64_t panel, int64_t panels,
                         const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y, fixed_scratch *scratch) {
  const int64_t turns = panels * fixed_chunks(w) * 2, row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  const bool streams = row_tiles == 1;
  side_work side = {.layout = f, .tiles = &scratch->tiles[0], .ahead = streams ? STREAM_AHEAD : fixed_chunk_size(f)};
  side.place = place_of_turn(w, f, panel, panels, streams, 0);
  configure_tiles(rows);
  while (side.done < side.place.blocks) fix_next(kind, has_offset, &side);
  for (int64_t turn = 0; turn < turns; turn++) {
    const fixed_place here = side.place;
    const int64_t steps = (here.blocks + 1) / 2, next = turn + 1;
    const int8_t (*weights)[2][TILE_BYTES] = (const int8_t (*)[2][TILE_BYTES])scratch->tiles[turn % 2];
    if (next < turns) side.place = place_of_turn(w, f, panel, panels, streams, next);
    side.tiles = &scratch->tiles[next % 2];
    side.blocks = next < turns ? side.place.blocks : 0;
    side.done = side.due = 0;
    side.shares = row_tiles * steps * SHARES;
    for (int64_t row = 0; row < rows; row += TILE_ROWS) {
      const uint8_t *x = tiles + row / TILE_ROWS * tile_size + here.chunk * FIXED_CHUNK_SIZE;
      _tile_zero(0);
      _tile_zero(1);
      for (int64_t s = 0; s < steps; s++) multiply_step(kind, has_offset, x + FIXED_HEADER + s * 2 * TILE_BYTES, weights[s], &side);
      add_rows(&side.waiting, TILE_ROWS);
      _tile_stored(0, scratch->sums[0], 64);
      _tile_stored(1, scratch->sums[1], 64);
      side.waiting = (waiting_sums){.rows = rows - row < TILE_ROWS ? rows - row : TILE_ROWS,
                                    .high = scratch->sums[0],
                                    .scale = (const float *)x,
                                    .t = (const float *)here.at + here.half * 16,
                                    .y = y + ((here.panel - panel) * GROUP_ROWS + row) * PANEL + here.half * 16};
    }
  }
  add_rows(&side.waiting, TILE_ROWS);
  _tile_release();
}

static void multiply_fixed(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y, void *scratch) {
  const fixed_layout f = fixed_layout_of(&w->layout);
  switch (f.kind * 2 + f.has_offset) {
#define CASE(kind)                                                                                                \
  case 2 * kind: multiply_run(kind, false, &f, w, panel, panels, tiles, tile_size, rows, y, scratch); break;      \
  case 2 * kind + 1: multiply_run(kind, true, &f, w, panel, panels, tiles, tile_size, rows, y, scratch); break;
    CASE(FIXED_NIBBLES)
    CASE(FIXED_ENTRIES)
    CASE(FIXED_BYTES)
    CASE(FIXED_6_BY_2)
#undef CASE
  }
}
