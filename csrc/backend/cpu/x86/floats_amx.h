/*
 * Products of float16 and bfloat16 weights with AMX tiles. A tile product takes bfloat16, of 8 bits, and sums in float32; so numbers of
 * more bits are split into several: x = x1 + x2, each rounded to nearest, to 2^-18 of x, and a float16 w = w1 + w2 exactly. Then
 *   x w = x1 w1 + x1 w2 + x2 w1, leaving out x2 w2 and what x1 + x2 leaves of x: some 2^-18 of the product, with either sign, which
 * is what float32 sums over a thousand products lose to rounding. bfloat16 weights need only x1 w + x2 w.
 *
 * A tile of activations is, per 32 inputs, x1 [16][32] and x2 [16][32]. Wants simd_avx512.h,
 * product_template.h and amx_tiles.h before it.
 */

enum {
  SPLIT_STEP = 32,   /* inputs per tile product */
  SPLIT_CHUNK = 128, /* inputs that are split at a time */
  SPLIT_STEPS = SPLIT_CHUNK / SPLIT_STEP,
  SPLIT_SLICE = 4,   /* inputs that are split between two products */
  SLICES_PER_STEP = SPLIT_STEP / SPLIT_SLICE
};

static int64_t split_tile_size(int64_t columns) { return (columns + SPLIT_STEP - 1) / SPLIT_STEP * 2 * TILE_BYTES; }

/* The upper half of float32 lanes, rounded to nearest, ties away from zero. */
static inline __m512i upper_half(vf v) {
  return _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(0x8000)), _mm512_set1_epi32((int32_t)0xffff0000));
}

static inline void store_upper_half(uint8_t *target, __m512i v) {
  _mm256_storeu_si256((__m256i *)target, _mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16)));
}

static void split_rows(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  int64_t padded = (columns + SPLIT_STEP - 1) / SPLIT_STEP * SPLIT_STEP;
  for (int64_t r = 0; r < TILE_ROWS; r++) {
    for (int64_t k = 0; k < padded; k += LANES) {
      int64_t left = r < rows ? columns - k : 0;
      vf v = left >= LANES ? vf_load(x + r * stride + k) : left > 0 ? vf_load_some(x + r * stride + k, left) : vf_set(0);
      __m512i first = upper_half(v), rest = upper_half(vf_sub(v, _mm512_castsi512_ps(first)));
      uint8_t *target = tile + k / SPLIT_STEP * 2 * TILE_BYTES + r * 64 + k % SPLIT_STEP * 2;
      store_upper_half(target, first);
      store_upper_half(target + TILE_BYTES, rest);
    }
  }
}

static const activation_form split_form = {TILE_ROWS, split_tile_size, split_rows};

/* The weights of a chunk: [half of the panel][step][w1, w2][16 pairs of inputs][16 columns][2]. */
typedef uint8_t split_tiles[2][SPLIT_STEPS][2][TILE_BYTES];

/* A chunk of a panel: `inputs` rows [PANEL] of the file's type. */
typedef struct split_place {
  int64_t panel, first;
  int64_t inputs;
  const uint16_t *at;
} split_place;

static split_place split_place_at(const weight *w, int64_t panel, int64_t first) {
  int64_t left = w->columns - first;
  return (split_place){panel, first, left < SPLIT_CHUNK ? left : SPLIT_CHUNK,
                       (const uint16_t *)(w->panels + panel * w->panel_size) + first * PANEL};
}

static inline int64_t split_steps(const split_place *p) { return (p->inputs + SPLIT_STEP - 1) / SPLIT_STEP; }

/* The float16 numbers of two inputs, 16 columns: w1 and w2 of both inputs side by side. w1 is w rounded to 8 bits, w2 the exact rest. */
INLINE void split_halves(const uint16_t *first, const uint16_t *second, uint8_t *target) {
  enum { FIRST_WHERE_THIRD_ELSE_SECOND = 0xe4 };
  const __m512i upper = _mm512_set1_epi32((int32_t)0xffff0000);
  vf a = vf_load_half(first), b = vf_load_half(second);
  __m512i a1 = upper_half(a), b1 = upper_half(b);
  __m512i a2 = _mm512_castps_si512(vf_sub(a, _mm512_castsi512_ps(a1))), b2 = _mm512_castps_si512(vf_sub(b, _mm512_castsi512_ps(b1)));
  _mm512_store_si512(target, _mm512_ternarylogic_epi32(b1, _mm512_srli_epi32(a1, 16), upper, FIRST_WHERE_THIRD_ELSE_SECOND));
  _mm512_store_si512(target + TILE_BYTES,
                     _mm512_ternarylogic_epi32(b2, _mm512_srli_epi32(a2, 16), upper, FIRST_WHERE_THIRD_ELSE_SECOND));
}

/* The same for bfloat16, which needs no w2. */
INLINE void pair_bfloat16(const uint16_t *first, const uint16_t *second, uint8_t *target) {
  __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)first));
  __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)second));
  _mm512_store_si512(target, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
}

/* Slice `slice` of a chunk: four inputs; zeros beyond the last one. */
INLINE void split_slice(const bool bfloat16, const split_place *place, int64_t slice, split_tiles *tiles) {
  static const uint16_t zeros[PANEL];
  for (int64_t k = slice * SPLIT_SLICE; k < (slice + 1) * SPLIT_SLICE; k += 2) {
    const uint16_t *first = k < place->inputs ? place->at + k * PANEL : zeros;
    const uint16_t *second = k + 1 < place->inputs ? place->at + (k + 1) * PANEL : zeros;
    for (int64_t half = 0; half < 2; half++) {
      uint8_t *target = (*tiles)[half][k / SPLIT_STEP][0] + k % SPLIT_STEP / 2 * 64;
      if (bfloat16)
        pair_bfloat16(first + half * 16, second + half * 16, target);
      else
        split_halves(first + half * 16, second + half * 16, target);
    }
  }
}

/* Splitting the next chunk while the tile unit multiplies, a share at a time. */
typedef struct split_work {
  split_place place;
  split_tiles *tiles;
  int64_t slices, done;
  int64_t shares, taken; /* of the current chunk's products */
} split_work;

INLINE void split_share(const bool bfloat16, split_work *w) {
  w->taken++;
  for (; w->done * w->shares < w->slices * w->taken; w->done++) split_slice(bfloat16, &w->place, w->done, w->tiles);
}

enum { SPLIT_SHARES = 4 }; /* calls of split_share in a step */

/* One step, 32 inputs, of 32 rows and 32 columns: sums in tile registers 0 .. 3, row by row. */
INLINE void split_step_two(const bool bfloat16, const uint8_t *xa, const uint8_t *xb, const split_tiles *w, int64_t s, split_work *side) {
  _tile_loadd(4, xa + TILE_BYTES, 64);
  _tile_loadd(6, (*w)[0][s][0], 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, (*w)[1][s][0], 64);
  _tile_dpbf16ps(1, 4, 7);
  _tile_loadd(5, xb + TILE_BYTES, 64);
  _tile_dpbf16ps(2, 5, 6);
  split_share(bfloat16, side);
  _tile_dpbf16ps(3, 5, 7);
  _tile_loadd(4, xa, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  split_share(bfloat16, side);
  _tile_loadd(5, xb, 64);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
  split_share(bfloat16, side);
  if (!bfloat16) {
    _tile_loadd(6, (*w)[0][s][1], 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, (*w)[1][s][1], 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  split_share(bfloat16, side);
}

/* The same for 16 rows, in tile registers 0 and 1. */
INLINE void split_step_one(const bool bfloat16, const uint8_t *x, const split_tiles *w, int64_t s, split_work *side) {
  _tile_loadd(4, x + TILE_BYTES, 64);
  _tile_loadd(6, (*w)[0][s][0], 64);
  _tile_dpbf16ps(0, 4, 6);
  split_share(bfloat16, side);
  _tile_loadd(7, (*w)[1][s][0], 64);
  _tile_dpbf16ps(1, 4, 7);
  split_share(bfloat16, side);
  _tile_loadd(5, x, 64);
  _tile_dpbf16ps(0, 5, 6);
  _tile_dpbf16ps(1, 5, 7);
  split_share(bfloat16, side);
  if (!bfloat16) {
    _tile_loadd(6, (*w)[0][s][1], 64);
    _tile_dpbf16ps(0, 5, 6);
    _tile_loadd(7, (*w)[1][s][1], 64);
    _tile_dpbf16ps(1, 5, 7);
  }
  split_share(bfloat16, side);
}

/* y [TILE_ROWS or twice as many x PANEL] += the chunk's products. */
INLINE void multiply_split_two(const bool bfloat16, const uint8_t *x, int64_t tile_size, const split_tiles *w, int64_t steps, float *y,
                               split_work *side) {
  enum { STRIDE = PANEL * sizeof(float) };
  float *below = y + TILE_ROWS * PANEL;
  _tile_loadd(0, y, STRIDE);
  _tile_loadd(1, y + 16, STRIDE);
  _tile_loadd(2, below, STRIDE);
  _tile_loadd(3, below + 16, STRIDE);
  for (int64_t s = 0; s < steps; s++)
    split_step_two(bfloat16, x + s * 2 * TILE_BYTES, x + tile_size + s * 2 * TILE_BYTES, w, s, side);
  _tile_stored(0, y, STRIDE);
  _tile_stored(1, y + 16, STRIDE);
  _tile_stored(2, below, STRIDE);
  _tile_stored(3, below + 16, STRIDE);
}

INLINE void multiply_split_one(const bool bfloat16, const uint8_t *x, const split_tiles *w, int64_t steps, float *y, split_work *side) {
  enum { STRIDE = PANEL * sizeof(float) };
  _tile_loadd(0, y, STRIDE);
  _tile_loadd(1, y + 16, STRIDE);
  for (int64_t s = 0; s < steps; s++) split_step_one(bfloat16, x + s * 2 * TILE_BYTES, w, s, side);
  _tile_stored(0, y, STRIDE);
  _tile_stored(1, y + 16, STRIDE);
}

/* Takes the chunks in order and of each the panels in order, so that a chunk of activations is fetched once for all panels. The rows of y
 * that fill up the last tile are written too. */
INLINE void multiply_split_run(const bool bfloat16, const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles,
                               int64_t tile_size, int64_t rows, float *y, split_tiles *split) {
  const int64_t turns = panels * ((w->columns + SPLIT_CHUNK - 1) / SPLIT_CHUNK), row_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  split_work side = {.done = 0};
  split_place here = split_place_at(w, panel, 0);
  configure_tiles();
  for (int64_t i = 0; i < split_steps(&here) * SLICES_PER_STEP; i++) split_slice(bfloat16, &here, i, &split[0]);
  for (int64_t turn = 0; turn < turns; turn++) {
    bool last_panel = here.panel + 1 == panel + panels;
    int64_t steps = split_steps(&here);
    side.place = split_place_at(w, last_panel ? panel : here.panel + 1, here.first + (last_panel ? SPLIT_CHUNK : 0));
    side.tiles = &split[(turn + 1) % 2];
    side.slices = turn + 1 < turns ? split_steps(&side.place) * SLICES_PER_STEP : 0;
    side.done = side.taken = 0;
    side.shares = (row_tiles + 1) / 2 * steps * SPLIT_SHARES;
    for (int64_t r = 0; r < row_tiles; r += 2) {
      const uint8_t *x = tiles + r * tile_size + here.first / SPLIT_STEP * 2 * TILE_BYTES;
      float *out = y + ((here.panel - panel) * GROUP_ROWS + r * TILE_ROWS) * PANEL;
      if (r + 1 < row_tiles)
        multiply_split_two(bfloat16, x, tile_size, &split[turn % 2], steps, out, &side);
      else
        multiply_split_one(bfloat16, x, &split[turn % 2], steps, out, &side);
    }
    here = side.place;
  }
  _tile_release();
}

#define HALF_FORM split_form
#define MULTIPLY_HALVES multiply_split

static void multiply_split(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           void *scratch) {
  if (w->packing == PACKED_BF16)
    multiply_split_run(true, w, panel, panels, tiles, tile_size, rows, y, scratch);
  else
    multiply_split_run(false, w, panel, panels, tiles, tile_size, rows, y, scratch);
}
