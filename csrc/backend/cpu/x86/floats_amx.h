/*
 * Products of float16 and bfloat16 weights with AMX tiles, and of the means of decoded rows. A tile product takes bfloat16, of 8 bits, and sums in float32;
 * so numbers of more bits are split into several: x = x1 + x2, each rounded to nearest, to 2^-18 of x, and a float16 w = w1 + w2 exactly. Then
 *   x w = x1 w1 + x1 w2 + x2 w1, leaving out x2 w2 and what x1 + x2 leaves of x: some 2^-18 of the product, with either sign, which
 * is what float32 sums over a thousand products lose to rounding. bfloat16 weights need only x1 w + x2 w. Decoded rows are float32 and split like x, so that
 * of a product in a mean no more than 3 * 2^-18 is left out.
 *
 * A tile of activations is, per 32 inputs, x1 [16][32] and x2 [16][32]. Wants simd_avx512.h,
 * product_template.h and amx_tiles.h before it.
 */

enum {
  SPLIT_STEP = 32,   /* inputs per tile product */
  SPLIT_CHUNK = 128, /* inputs that are split at a time, at most */
  SPLIT_STEPS = SPLIT_CHUNK / SPLIT_STEP,
  SPLIT_SLICE = 16,  /* inputs of half a panel that are split between two products */
  SLICES_PER_STEP = SPLIT_STEP / SPLIT_SLICE * 2
};

static int64_t split_tile_size(int64_t columns) { return (columns + SPLIT_STEP - 1) / SPLIT_STEP * 2 * TILE_BYTES; }

/* The upper half of float32 lanes, rounded to nearest, ties away from zero. NaN are not rounded: some would become zeros. */
static inline __m512i upper_half(vf v) {
  const __m512i bits = _mm512_castps_si512(v);
  const __m512i rounded = _mm512_mask_add_epi32(bits, _mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), bits, _mm512_set1_epi32(0x8000));
  return _mm512_and_si512(rounded, _mm512_set1_epi32((int32_t)0xffff0000));
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

/* The weights of a chunk: [step][half of the panel][w1, w2][16 pairs of inputs][16 columns][2]. */
typedef uint8_t split_tiles[SPLIT_STEPS][2][2][TILE_BYTES];
_Static_assert(2 * sizeof(split_tiles) <= MULTIPLY_SCRATCH, "a thread's scratch memory holds what tiles want");

/* What is split. */
typedef enum split_source { SPLIT_HALVES, SPLIT_BFLOAT16, SPLIT_FLOATS } split_source;

static inline split_source split_source_of(packing p) { return p == PACKED_F16 ? SPLIT_HALVES : p == PACKED_BF16 ? SPLIT_BFLOAT16 : SPLIT_FLOATS; }
static inline int64_t split_element(split_source source) { return source == SPLIT_FLOATS ? 4 : 2; }

/* A chunk of a panel: `inputs` rows [PANEL] of the source's type. */
typedef struct split_place {
  int64_t panel, first;
  int64_t inputs;
  const uint8_t *at;
} split_place;

/* What a run goes through, in chunks of `inputs`: chunk by chunk and of each all panels, so that a chunk of activations is fetched once for all; of one tile
 * of rows panel by panel, as they lie in memory, and in smaller chunks, for what is split is used but once and should not take the nearest cache. */
typedef struct split_run {
  const weight *w;
  int64_t panel, panels, inputs, chunks;
  bool streams;
} split_run;

static inline split_place split_place_at(const split_run *run, int64_t turn) {
  const weight *w = run->w;
  const int64_t number = run->panel + (run->streams ? turn / run->chunks : turn % run->panels);
  const int64_t first = (run->streams ? turn % run->chunks : turn / run->panels) * run->inputs, left = w->columns - first;
  const int64_t bytes = PANEL * split_element(split_source_of(w->packing));
  return (split_place){number, first, left < run->inputs ? left : run->inputs, w->panels + number * w->panel_size + first * bytes};
}

static inline int64_t split_steps(const split_place *p) { return (p->inputs + SPLIT_STEP - 1) / SPLIT_STEP; }

/* The numbers of two inputs, 16 columns: w1 and w2 of both inputs side by side. w1 is w rounded to 8 bits, w2 the rest: the exact one, or a float's rounded to
 * 8 bits, too. */
INLINE void split_pair(const bool floats, vf a, vf b, uint8_t *target) {
  const __m512i upper = _mm512_broadcast_i32x4(_mm_setr_epi8(2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15));
  const __mmask64 lower = 0x3333333333333333;
  __m512i a1 = upper_half(a), b1 = upper_half(b);
  const vf a_rest = vf_sub(a, _mm512_castsi512_ps(a1)), b_rest = vf_sub(b, _mm512_castsi512_ps(b1));
  __m512i a2 = floats ? upper_half(a_rest) : _mm512_castps_si512(a_rest), b2 = floats ? upper_half(b_rest) : _mm512_castps_si512(b_rest);
  _mm512_store_si512(target, _mm512_mask_shuffle_epi8(b1, lower, a1, upper));
  _mm512_store_si512(target + TILE_BYTES, _mm512_mask_shuffle_epi8(b2, lower, a2, upper));
}

/* The same for bfloat16, which needs no w2. */
INLINE void pair_bfloat16(const uint8_t *first, const uint8_t *second, uint8_t *target) {
  __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)first));
  __m512i b = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)second));
  _mm512_store_si512(target, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
}

/* Splitting the next chunk while the tile unit multiplies, a slice at a time. */
typedef struct split_work {
  split_place place;
  split_tiles *tiles;
  int64_t ahead; /* what is asked for, bytes behind what is split */
  int64_t slices, done;
  int64_t shares, due; /* of the current chunk's products: a slice is due for every `shares` */
} split_work;

/* The next slice of a chunk; zeros beyond the last input. */
INLINE void split_next(const split_source kind, split_work *w) {
  static const float zeros[16];
  const int64_t half = w->done % 2, first = w->done++ / 2 * SPLIT_SLICE, element = split_element(kind), row = PANEL * element;
  const uint8_t *source = w->place.at + first * row + half * 16 * element;
  uint8_t *target = (*w->tiles)[first / SPLIT_STEP][half][0] + first % SPLIT_STEP / 2 * 64;
  for (int64_t k = 0; k < SPLIT_SLICE; k += 2, source += 2 * row, target += 64) {
    const uint8_t *one = first + k < w->place.inputs ? source : (const uint8_t *)zeros;
    const uint8_t *other = first + k + 1 < w->place.inputs ? source + row : (const uint8_t *)zeros;
    if (kind != SPLIT_FLOATS) __builtin_prefetch(source + half * row + w->ahead, 0, 2); /* half the lines with either half */
    if (kind == SPLIT_BFLOAT16)
      pair_bfloat16(one, other, target);
    else if (kind == SPLIT_FLOATS)
      split_pair(true, vf_load((const float *)one), vf_load((const float *)other), target);
    else
      split_pair(false, vf_load_half((const uint16_t *)one), vf_load_half((const uint16_t *)other), target);
  }
}

INLINE void split_share(const split_source kind, split_work *w) {
  for (w->due += w->slices; w->due >= w->shares; w->due -= w->shares) split_next(kind, w);
}

enum { SPLIT_SHARES = 4 }; /* calls of split_share in a step */

/* One step, 32 inputs, of 16 rows: sums in tile registers 0 and 1. Few registers are in use, see codes_amx.h. */
INLINE void multiply_split_step(const split_source kind, const uint8_t *x, const uint8_t (*w)[2][TILE_BYTES], split_work *side) {
  _tile_loadd(2, x + TILE_BYTES, 64);
  _tile_loadd(3, w[0][0], 64);
  _tile_dpbf16ps(0, 2, 3);
  split_share(kind, side);
  _tile_loadd(4, w[1][0], 64);
  _tile_dpbf16ps(1, 2, 4);
  split_share(kind, side);
  _tile_loadd(2, x, 64);
  _tile_dpbf16ps(0, 2, 3);
  _tile_dpbf16ps(1, 2, 4);
  split_share(kind, side);
  if (kind != SPLIT_BFLOAT16) {
    _tile_loadd(3, w[0][1], 64);
    _tile_dpbf16ps(0, 2, 3);
    _tile_loadd(4, w[1][1], 64);
    _tile_dpbf16ps(1, 2, 4);
  }
  split_share(kind, side);
}

/* The rows of y that fill up the last tile are written too, but where there is one tile alone. */
INLINE void multiply_split_run(const split_source kind, const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles,
                               int64_t tile_size, int64_t rows, float *y, split_tiles *split) {
  enum { STRIDE = PANEL * sizeof(float) };
  split_run run = {.w = w, .panel = panel, .panels = panels, .streams = rows <= TILE_ROWS};
  run.inputs = run.streams ? SPLIT_CHUNK / 2 : SPLIT_CHUNK;
  run.chunks = (w->columns + run.inputs - 1) / run.inputs;
  split_work side = {.tiles = &split[0], .place = split_place_at(&run, 0), .ahead = run.streams ? STREAM_AHEAD : SPLIT_CHUNK * PANEL * 2};
  configure_tiles(rows);
  while (side.done < split_steps(&side.place) * SLICES_PER_STEP) split_next(kind, &side);
  for (int64_t turn = 0; turn < panels * run.chunks; turn++) {
    const split_place here = side.place;
    const int64_t steps = split_steps(&here), next = turn + 1;
    const bool last = next == panels * run.chunks;
    if (!last) side.place = split_place_at(&run, next);
    side.tiles = &split[next % 2];
    side.slices = last ? 0 : split_steps(&side.place) * SLICES_PER_STEP;
    side.done = side.due = 0;
    side.shares = (rows + TILE_ROWS - 1) / TILE_ROWS * steps * SPLIT_SHARES;
    for (int64_t row = 0; row < rows; row += TILE_ROWS) {
      const uint8_t *x = tiles + row / TILE_ROWS * tile_size + here.first / SPLIT_STEP * 2 * TILE_BYTES;
      float *out = y + ((here.panel - panel) * GROUP_ROWS + row) * PANEL;
      _tile_loadd(0, out, STRIDE);
      _tile_loadd(1, out + 16, STRIDE);
      for (int64_t s = 0; s < steps; s++) multiply_split_step(kind, x + s * 2 * TILE_BYTES, (const uint8_t (*)[2][TILE_BYTES])split[turn % 2][s], &side);
      _tile_stored(0, out, STRIDE);
      _tile_stored(1, out + 16, STRIDE);
    }
  }
  _tile_release();
}

#define HALF_FORM split_form
#define MULTIPLY_HALVES multiply_halves

static void multiply_halves(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           void *scratch) {
  if (w->packing == PACKED_BF16)
    multiply_split_run(SPLIT_BFLOAT16, w, panel, panels, tiles, tile_size, rows, y, scratch);
  else
    multiply_split_run(SPLIT_HALVES, w, panel, panels, tiles, tile_size, rows, y, scratch);
}

#define MEAN_FORM split_form
#define ADD_MEANS add_split_floats

static void add_split_floats(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                             void *scratch) {
  multiply_split_run(SPLIT_FLOATS, w, panel, panels, tiles, tile_size, rows, y, scratch);
}
