/*
 * Float products, and what follows a product. Wants before it a simd_*.h, of which it takes LANES, FLOAT_ROWS and FOR_EACH_FLOAT_ROWS
 * in the combinations asserted below, and math_template.h.
 */

#include <string.h>

#include "backend/cpu/cpu.h"

_Static_assert(PANEL % (2 * LANES) == 0, "a panel is walked two vectors at a time");
_Static_assert(GROUP_ROWS / 2 % FLOAT_ROWS == 0, "groups of rows, and of the head's, are cut into whole tiles");

#define INLINE static inline __attribute__((always_inline))

/* sums [rows][vectors] += a[r * a_row] times columns[v]. A simd_*.h names another way to the same by ADD_PRODUCTS. */
#ifndef ADD_PRODUCTS
#define ADD_PRODUCTS add_products
INLINE void add_products(const int rows, const int vectors, const float *a, const int64_t a_row, const vf columns[2], vf sums[FLOAT_ROWS][2]) {
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    vf x = vf_set(a[r * a_row]);
#pragma GCC unroll 16
    for (int v = 0; v < vectors; v++) sums[r][v] = vf_fma(x, columns[v], sums[r][v]);
  }
}
#endif

/* c [rows x vectors * LANES] += a b (or = a b if `fresh`), where a is [rows x depth] (a[r * a_row + k * a_depth]), b [depth x vectors * LANES] with
 * rows b_row apart, c with rows c_row apart. Inlined with constants for rows, vectors, fresh, a_row and a_depth, so that sums stay in
 * registers. */
INLINE void product_tile(const int rows, const int vectors, const bool fresh, const float *a, const int64_t a_row, const int64_t a_depth,
                         const float *b, int64_t b_row, int64_t depth, float *c, int64_t c_row) {
  vf sums[FLOAT_ROWS][2];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; v++) sums[r][v] = fresh ? vf_set(0) : vf_load(c + r * c_row + v * LANES);
  for (int64_t k = 0; k < depth; k++) {
    vf columns[2];
#pragma GCC unroll 16
    for (int v = 0; v < vectors; v++) columns[v] = vf_load(b + v * LANES);
    ADD_PRODUCTS(rows, vectors, a, a_row, columns, sums);
    a += a_depth;
    b += b_row;
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int v = 0; v < vectors; v++) vf_store(c + r * c_row + v * LANES, sums[r][v]);
}

/* The same for `columns`, a multiple of LANES. */
INLINE void product_rows(const int rows, int64_t columns, const bool fresh, const float *a, const int64_t a_row, const int64_t a_depth,
                         const float *b, int64_t b_row, int64_t depth, float *c, int64_t c_row) {
  int64_t j = 0;
  for (; j + 2 * LANES <= columns; j += 2 * LANES)
    product_tile(rows, 2, fresh, a, a_row, a_depth, b + j, b_row, depth, c + j, c_row);
  if (j < columns) product_tile(rows, 1, fresh, a, a_row, a_depth, b + j, b_row, depth, c + j, c_row);
}

/* A tile of activations, [columns][rows]. */
static void pack_floats(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  float *target = (float *)tile;
  int64_t k = 0;
  for (; rows >= 4 && k + 4 <= columns; k += 4) {
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) turn_four(x + r * stride + k, stride, target + k * rows + r, rows);
    if (r < rows) turn_four(x + (rows - 4) * stride + k, stride, target + k * rows + rows - 4, rows); /* some of them once more */
  }
  for (; k < columns; k++)
    for (int64_t r = 0; r < rows; r++) target[k * rows + r] = x[r * stride + k];
}

static int64_t float_tile_size(int64_t columns) { return (columns * FLOAT_ROWS * (int64_t)sizeof(float) + 63) / 64 * 64; }

static const activation_form float_form = {FLOAT_ROWS, float_tile_size, pack_floats};

INLINE vf load_element(const packing packing, const uint8_t *at) {
  const void *p = at;
  return packing == PACKED_F32 ? vf_load(p) : packing == PACKED_F16 ? vf_load_half(p) : vf_load_bfloat16(p);
}

/* How far ahead of what they multiply kernels ask for weights that few rows wait for: what two microseconds of reading bring. */
enum { STREAM_AHEAD = 32 << 10 };

/* Asks, at row `row` of `rows`, for the share of a tile of `tile` rows of the `size` bytes at `p`, which the next chunk will read; asking for
 * memory beyond the last panel does no harm. */
static inline void prefetch_part(const uint8_t *p, int64_t size, int64_t row, int64_t tile, int64_t rows) {
  int64_t next = row + tile < rows ? row + tile : rows, lines = (size + 63) / 64;
  for (int64_t line = lines * row / rows; line < lines * next / rows; line++) __builtin_prefetch(p + line * 64, 0, 2);
}

/* What a tile asks for while it is multiplied, since all at once would hold it up: from `from` on, `step` bytes for each input and two vectors of columns. */
typedef struct weights_ahead {
  const uint8_t *from;
  int64_t step;
} weights_ahead;

/* y [rows x PANEL] += x [rows x depth], a tile's, times a piece of a panel [depth][PANEL], of halves or bfloat16 widened as they are read, and left behind in
 * `widened` if `keeps`. */
INLINE void panel_tile(const int rows, const packing packing, const bool keeps, const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next,
                       float *widened, float *y) {
  enum { PAIRS = PANEL / LANES / 2 };
  const int element = packing == PACKED_F32 ? 4 : 2;
  const int together = rows <= 2 && PAIRS % 2 == 0 ? 2 : 1; /* pairs of vectors that registers hold, so that one or two rows read the panel in order */
  const uint8_t *ahead = next->from;
  for (int first = 0; first < PAIRS; first += together) {
    const uint8_t *source = panel + first * 2 * LANES * element;
    float *target = y + first * 2 * LANES;
    vf sums[2][FLOAT_ROWS][2];
#pragma GCC unroll 16
    for (int p = 0; p < together; p++)
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < 2; v++) sums[p][r][v] = vf_load(target + r * PANEL + (2 * p + v) * LANES);
    for (int64_t k = 0; k < depth; k++, source += PANEL * element) {
#pragma GCC unroll 16
      for (int p = 0; p < together; p++, ahead += next->step) {
        vf columns[2];
        __builtin_prefetch(ahead, 0, 2);
#pragma GCC unroll 16
        for (int v = 0; v < 2; v++) columns[v] = load_element(packing, source + (2 * p + v) * LANES * element);
#pragma GCC unroll 16
        for (int v = 0; keeps && v < 2; v++) vf_store(widened + k * PANEL + (2 * (first + p) + v) * LANES, columns[v]);
        ADD_PRODUCTS(rows, 2, x + k * rows, 1, columns, sums[p]);
      }
    }
#pragma GCC unroll 16
    for (int p = 0; p < together; p++)
#pragma GCC unroll 16
      for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
        for (int v = 0; v < 2; v++) vf_store(target + r * PANEL + (2 * p + v) * LANES, sums[p][r][v]);
  }
}

/* A function for each packing: in one for all gcc unrolled no loop. */
static void float_tile(const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: panel_tile(n, PACKED_F32, false, x, panel, depth, next, NULL, y); break;
    FOR_EACH_FLOAT_ROWS(CASE)
#undef CASE
  }
}

static void half_tile(const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: panel_tile(n, PACKED_F16, false, x, panel, depth, next, NULL, y); break;
    FOR_EACH_FLOAT_ROWS(CASE)
#undef CASE
  }
}

static void bfloat16_tile(const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: panel_tile(n, PACKED_BF16, false, x, panel, depth, next, NULL, y); break;
    FOR_EACH_FLOAT_ROWS(CASE)
#undef CASE
  }
}

/* The first tile of many rows widens for the others. */
static void keeping_half_tile(const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next, float *widened, float *y) {
  panel_tile(FLOAT_ROWS, PACKED_F16, true, x, panel, depth, next, widened, y);
}

static void keeping_bfloat16_tile(const float *x, const uint8_t *panel, int64_t depth, const weights_ahead *next, float *widened, float *y) {
  panel_tile(FLOAT_ROWS, PACKED_BF16, true, x, panel, depth, next, widened, y);
}

#ifdef PAIR_ROWS
/* Pieces [depth][PANEL] of two neighbouring panels, the second one `apart` bytes behind the first, and what is asked for meanwhile. */
typedef struct panel_pair {
  const uint8_t *panel;
  int64_t apart, depth;
  weights_ahead next;
} panel_pair;

/* sums [rows][4] += x [rows] times an input's columns of two panels, which go to `widened`, too, if they are no floats. */
INLINE void add_pair(const int rows, const packing packing, const float *x, const uint8_t *panel, int64_t apart, float *widened, vf sums[PAIR_ROWS][4]) {
  const int size = LANES * (packing == PACKED_F32 ? 4 : 2);
  const vf columns[4] = {load_element(packing, panel), load_element(packing, panel + size), load_element(packing, panel + apart),
                         load_element(packing, panel + apart + size)};
#pragma GCC unroll 16
  for (int i = 0; packing != PACKED_F32 && i < 4; i++) vf_store(widened + i / 2 * CHUNK_FLOATS * PANEL + i % 2 * LANES, columns[i]);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    const vf v = vf_set(x[r]);
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) sums[r][i] = vf_fma(v, columns[i], sums[r][i]);
  }
}

/* As panel_tile for two panels, whose rows of y are GROUP_ROWS apart: fewer loads for as many products. Rows of x are `step` apart. What is widened is left in
 * `widened` [2][CHUNK_FLOATS][PANEL], as floats for the other rows. */
INLINE void pair_tile(const int rows, const packing packing, const float *x, int64_t step, const panel_pair *pair, float *widened, float *y) {
  const int size = PANEL * (packing == PACKED_F32 ? 4 : 2);
  const uint8_t *panel = pair->panel, *ahead = pair->next.from;
  vf sums[PAIR_ROWS][4];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) sums[r][i] = vf_load(y + (i / 2 * GROUP_ROWS + r) * PANEL + i % 2 * LANES);
  for (int64_t k = 0; k < pair->depth; k++, x += step, panel += size, widened += PANEL, ahead += pair->next.step) {
    __builtin_prefetch(ahead, 0, 2);
    add_pair(rows, packing, x, panel, pair->apart, widened, sums);
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int i = 0; i < 4; i++) vf_store(y + (i / 2 * GROUP_ROWS + r) * PANEL + i % 2 * LANES, sums[r][i]);
}

static void float_pair_tile(const float *x, int64_t step, const panel_pair *pair, int64_t rows, float *y) {
  switch (rows) {
#define CASE(n) \
  case n: pair_tile(n, PACKED_F32, x, step, pair, NULL, y); break;
    FOR_EACH_PAIR_ROWS(CASE)
#undef CASE
  }
}

static void half_pair_tile(const float *x, int64_t step, const panel_pair *pair, float *widened, float *y) {
  pair_tile(PAIR_ROWS, PACKED_F16, x, step, pair, widened, y);
}

static void bfloat16_pair_tile(const float *x, int64_t step, const panel_pair *pair, float *widened, float *y) {
  pair_tile(PAIR_ROWS, PACKED_BF16, x, step, pair, widened, y);
}
#endif

/* Up to how many rows take halves as they lie: of few each is read once or twice. Of more the first tile leaves them behind as floats, unless widening costs nothing beside multiplying. */
#ifndef STREAM_ROWS
#define STREAM_ROWS (2 * FLOAT_ROWS)
#endif
enum { FEW_ROWS = 2 * FLOAT_ROWS };

/* Of a panel the `depth` inputs from `first` on. `next`: what is multiplied after them. */
static void multiply_float_chunk(const weight *w, int64_t panel, int64_t first, int64_t depth, const uint8_t *next, const uint8_t *tiles, int64_t tile_size,
                                 int64_t rows, float *y, float *widened) {
  const int64_t size = w->panel_size / w->columns, most = CHUNK_FLOATS * size;
  const uint8_t *chunk = w->panels + panel * w->panel_size + first * size;
  const bool widens = w->packing != PACKED_F32 && rows > STREAM_ROWS;
  const bool once = w->columns <= CHUNK_FLOATS; /* sums are met once, as those of the head's mean, which meanwhile leave the nearer caches */
  for (int64_t r = 0; r < rows; r += FLOAT_ROWS) {
    const int64_t some = rows - r < FLOAT_ROWS ? rows - r : FLOAT_ROWS;
    const float *x = (const float *)(tiles + r / FLOAT_ROWS * tile_size) + first * some;
    /* Beyond the last panel asking does no harm. */
    const weights_ahead ahead = {next + most * r / rows, most * some / rows / (depth * (PANEL / (2 * LANES)))};
    if (once && r + FLOAT_ROWS < rows)
      for (int64_t i = 0; i < FLOAT_ROWS * PANEL; i += 64 / (int64_t)sizeof(float)) __builtin_prefetch(y + (r + FLOAT_ROWS) * PANEL + i, 1);
    if (w->packing == PACKED_F32 || (widens && r > 0))
      float_tile(x, w->packing == PACKED_F32 ? chunk : (const uint8_t *)widened, depth, &ahead, some, y + r * PANEL);
    else if (widens)
      (w->packing == PACKED_F16 ? keeping_half_tile : keeping_bfloat16_tile)(x, chunk, depth, &ahead, widened, y);
    else if (w->packing == PACKED_F16)
      half_tile(x, chunk, depth, &ahead, some, y + r * PANEL);
    else
      bfloat16_tile(x, chunk, depth, &ahead, some, y + r * PANEL);
  }
}

#ifdef PAIR_ROWS
/* As multiply_float_chunk for two panels and at least PAIR_ROWS rows, of which the first ones widen the weights for all. */
static void multiply_pair_chunk(const weight *w, int64_t panel, int64_t first, int64_t depth, const uint8_t *next, const uint8_t *tiles, int64_t tile_size,
                                int64_t rows, float *y, float *widened) {
  const int64_t size = w->panel_size / w->columns, most = CHUNK_FLOATS * size, share = 2 * most * PAIR_ROWS / rows;
  panel_pair pair = {.panel = w->panels + panel * w->panel_size + first * size, .apart = w->panel_size, .depth = depth, .next = {next, share / CHUNK_FLOATS}};
  int64_t asked = 0; /* of both panels, one after the other */
  for (int64_t r = 0; r < rows; r += FLOAT_ROWS, tiles += tile_size) {
    const int64_t step = rows - r < FLOAT_ROWS ? rows - r : FLOAT_ROWS;
    const float *x = (const float *)tiles + first * step;
    for (int64_t i = 0; i < step; i += PAIR_ROWS, asked += share) {
      float *sums = y + (r + i) * PANEL;
      pair.next.from = next + (asked < most ? asked : asked - most + w->panel_size);
      if (r + i > 0 || w->packing == PACKED_F32) {
        float_pair_tile(x + i, step, &pair, step - i < PAIR_ROWS ? step - i : PAIR_ROWS, sums);
        continue;
      }
      if (w->packing == PACKED_F16) half_pair_tile(x, step, &pair, widened, sums);
      if (w->packing == PACKED_BF16) bfloat16_pair_tile(x, step, &pair, widened, sums);
      pair.panel = (const uint8_t *)widened;
      pair.apart = CHUNK_FLOATS * PANEL * (int64_t)sizeof(float);
    }
  }
}

/* As multiply_floats for an even number of panels and many rows. */
static void multiply_pairs(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y, float *widened) {
  const int64_t size = w->panel_size / w->columns;
  for (int64_t first = 0; first < w->columns; first += CHUNK_FLOATS)
    for (int64_t i = 0; i < panels; i += 2) {
      const int64_t depth = w->columns - first < CHUNK_FLOATS ? w->columns - first : CHUNK_FLOATS;
      const uint8_t *chunk = w->panels + (panel + i) * w->panel_size + first * size;
      const uint8_t *next = chunk + (i + 2 < panels ? 2 * w->panel_size : depth * size - (panels - 2) * w->panel_size);
      multiply_pair_chunk(w, panel + i, first, depth, next, tiles, tile_size, rows, y + i * GROUP_ROWS * PANEL, widened);
    }
}
#endif

/* Few rows wait for weights, and go through panel after panel, in the order that they lie in. More take a chunk of all panels before the next one: their own columns, too
 * many for the nearer caches, are read from far once for all panels. */
static void multiply_floats(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                            void *scratch) {
#ifdef PAIR_ROWS
  if (rows > FEW_ROWS && panels > 1) {
    const int64_t even = panels / 2 * 2;
    multiply_pairs(w, panel, even, tiles, tile_size, rows, y, scratch);
    panel += even;
    panels -= even;
    y += even * GROUP_ROWS * PANEL;
  }
#endif
  const int64_t size = w->panel_size / w->columns, together = rows <= FEW_ROWS ? 1 : panels;
  for (int64_t p = 0; p < panels; p += together)
    for (int64_t first = 0; first < w->columns; first += CHUNK_FLOATS)
      for (int64_t i = p; i < p + together; i++) {
        const int64_t depth = w->columns - first < CHUNK_FLOATS ? w->columns - first : CHUNK_FLOATS;
        const uint8_t *chunk = w->panels + (panel + i) * w->panel_size + first * size;
        const uint8_t *next = rows <= FEW_ROWS ? chunk + STREAM_AHEAD : chunk + (i + 1 < p + together ? w->panel_size : depth * size - (together - 1) * w->panel_size);
        multiply_float_chunk(w, panel + i, first, depth, next, tiles, tile_size, rows, y + i * GROUP_ROWS * PANEL, scratch);
      }
}

/* One vector of outputs: product a (and b), bias, what was in y before. */
INLINE vf finish_vector(const linear_mode mode, vf a, vf b, vf before) {
  switch (mode) {
    case LINEAR_STORE: return a;
    case LINEAR_ADD: return vf_add(before, a);
    case LINEAR_SILU: return vf_silu(a);
    case LINEAR_GELU: return vf_gelu(a);
    case LINEAR_QUICK_GELU: return vf_quick_gelu(a);
    case LINEAR_TANH_GELU: return vf_gelu_by_tanh(a);
    case LINEAR_SWIGLU: return vf_mul(vf_silu(a), b);
    case LINEAR_GEGLU: return vf_mul(vf_gelu_by_tanh(a), b);
  }
  return a;
}

/* Row by row, since y's rows may lie a page apart. */
INLINE void finish_rows(const linear_mode mode, const product_target *out, int64_t first, int64_t count, int64_t row,
                        int64_t rows, const float *a, const float *b) {
  const vf zero = vf_set(0);
  for (int64_t r = 0; r < rows; r++) {
    float *y = out->y + (row + r) * out->y_stride + first;
    for (int64_t j = 0; j < count; j += LANES) {
      int64_t n = count - j < LANES ? count - j : LANES, at = (j / PANEL * GROUP_ROWS + r) * PANEL + j % PANEL;
      vf product = vf_load(a + at), up = zero, before = zero;
      if (out->bias) product = vf_add(product, vf_load_some(out->bias->vector + first + j, n));
      if (linear_is_gated(mode)) up = vf_load(b + at);
      if (linear_is_gated(mode) && out->up_bias) up = vf_add(up, vf_load_some(out->up_bias->vector + first + j, n));
      if (mode == LINEAR_ADD) before = vf_load_some(y + j, n);
      vf_store_some(y + j, finish_vector(mode, product, up, before), n);
    }
  }
}

static void finish(const product_target *out, int64_t first, int64_t count, int64_t row, int64_t rows, const float *a,
                   const float *b) {
  switch (out->mode) {
    case LINEAR_STORE: finish_rows(LINEAR_STORE, out, first, count, row, rows, a, b); break;
    case LINEAR_ADD: finish_rows(LINEAR_ADD, out, first, count, row, rows, a, b); break;
    case LINEAR_SILU: finish_rows(LINEAR_SILU, out, first, count, row, rows, a, b); break;
    case LINEAR_GELU: finish_rows(LINEAR_GELU, out, first, count, row, rows, a, b); break;
    case LINEAR_QUICK_GELU: finish_rows(LINEAR_QUICK_GELU, out, first, count, row, rows, a, b); break;
    case LINEAR_TANH_GELU: finish_rows(LINEAR_TANH_GELU, out, first, count, row, rows, a, b); break;
    case LINEAR_SWIGLU: finish_rows(LINEAR_SWIGLU, out, first, count, row, rows, a, b); break;
    case LINEAR_GEGLU: finish_rows(LINEAR_GEGLU, out, first, count, row, rows, a, b); break;
  }
}
