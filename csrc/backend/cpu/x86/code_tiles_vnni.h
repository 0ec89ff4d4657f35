/*
 * Whole tiles of many rows times two panels at once: three rows and four vectors of columns want 66 loads for 96 dot products, where six rows and two vectors want
 * 78. Processors of Intel's load little more than 512 bits a cycle beside two dot products (docs/performance.md). The products of vnni_tile in the same order, so
 * that a row has the same bits in either. Part of code_tile_vnni.h, 512 bits wide.
 */
enum { TOGETHER_ROWS = 3, TOGETHER_VECTORS = 4 };
_Static_assert(PANEL == 2 * LANES && CODE_ROWS == 2 * TOGETHER_ROWS, "two panels are four vectors, and a tile is cut in two");
#define PANELS_TOGETHER 2

/* gcc 12 loads codes anew for every row, and moves sums from register to register, if it may delay or repeat these. */
#define STAY(v) __asm__ volatile("" : "+v"(v))

/* sum + a * b where the sum is; of three registers gcc takes that of a factor it still needs, and copies it before. */
static inline vf vf_add_product(vf sum, vf a, vf b) {
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}

/* Rows [from, from + TOGETHER_ROWS) of a tile times both chunks of codes as bytes; `asks` is the chunk whose next one is asked for meanwhile. */
INLINE void vnni_tiles(const int halves, const bool has_minimum, const code_chunk *chunks, const code_chunk *asks, const uint8_t *records, const int from, float *y) {
  vf sums[TOGETHER_ROWS][TOGETHER_VECTORS];
  for (int r = 0; r < TOGETHER_ROWS; r++)
    for (int v = 0; v < TOGETHER_VECTORS; v++) sums[r][v] = vf_load(y + v / 2 * GROUP_ROWS * PANEL + (from + r) * PANEL + v % 2 * LANES);
  for (int64_t b = 0; b < chunks->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    const lifted_starts starts = lifted_starts_at(chunks->beside, b, CODE_ROWS);
    const int8_t *q = record.q + from * BLOCK;
    const float *row_scale = record.scale + from, *weighted = starts.weighted + from;
    const uint8_t *codes[2] = {chunks[0].codes[b], chunks[1].codes[b]};
    for (int64_t line = 0; line < asks->ahead_size; line += 64) __builtin_prefetch(asks->ahead + b * asks->ahead_size + line, 0, 2);
#pragma GCC unroll 2
    for (int h = 0; h < halves; h++) {
      vi dots[TOGETHER_ROWS][TOGETHER_VECTORS];
      const int32_t *start = (halves == 1 ? starts.total : h == 0 ? starts.first : starts.last) + from;
      for (int r = 0; r < TOGETHER_ROWS; r++)
        for (int v = 0; v < TOGETHER_VECTORS; v++) dots[r][v] = vi_set(start[r]);
      const int groups = 8 / halves; /* outside the loop's condition, as in vnni_tile */
#pragma GCC unroll 8
      for (int i = 0; i < groups; i++) {
        const int g = h * groups + i;
        vi w[TOGETHER_VECTORS];
        for (int v = 0; v < TOGETHER_VECTORS; v++) {
          vi code = vi_load(codes[v / 2] + v % 2 * 512 + g * 64);
          STAY(code);
          w[v] = code;
        }
        for (int r = 0; r < TOGETHER_ROWS; r++) {
          vi x = vi_set(four_bytes(q + r * BLOCK + g * 4));
          STAY(x);
          for (int v = 0; v < TOGETHER_VECTORS; v++) dots[r][v] = vi_dot(dots[r][v], w[v], x);
        }
      }
      for (int v = 0; v < TOGETHER_VECTORS; v++) {
        const code_chunk *chunk = chunks + v / 2;
        const int64_t at = (b * halves + h) * PANEL + v % 2 * LANES;
        const vf scale = vf_load(chunk->scale + at), lifted = vf_mul(scale, vf_set(-LIFT));
        for (int r = 0; r < TOGETHER_ROWS; r++)
          sums[r][v] = vf_fma(vf_fma(vi_as_float(dots[r][v]), scale, lifted), vf_set(row_scale[r]), sums[r][v]);
        if (!has_minimum) continue;
        const vf minimum = vf_load(chunk->minimum + at);
        for (int r = 0; r < TOGETHER_ROWS; r++) {
          const float sum = halves == 1 ? weighted[r] : (float)(start[r] - LIFTED_ZERO) * (row_scale[r] * (1.0f / SUM_FACTOR));
          sums[r][v] = vf_add_product(sums[r][v], minimum, vf_set(sum));
        }
      }
    }
  }
  for (int r = 0; r < TOGETHER_ROWS; r++)
    for (int v = 0; v < TOGETHER_VECTORS; v++) vf_store(y + v / 2 * GROUP_ROWS * PANEL + (from + r) * PANEL + v % 2 * LANES, sums[r][v]);
}

/* A function for each kind of scales: in one for all gcc keeps addresses of one in memory for another. */
#define DEFINE_TILES(name, halves, has_minimum)                                                                           \
  static __attribute__((noinline)) void name(const code_chunk *chunks, const uint8_t *records, float *y) {                \
    vnni_tiles(halves, has_minimum, chunks, chunks, records, 0, y);                                                       \
    vnni_tiles(halves, has_minimum, chunks, chunks + 1, records, TOGETHER_ROWS, y);                                       \
  }
DEFINE_TILES(tiles_scales, 1, false)
DEFINE_TILES(tiles_scales_minima, 1, true)
DEFINE_TILES(tiles_halves, 2, false)
DEFINE_TILES(tiles_halves_minima, 2, true)
#undef DEFINE_TILES

static void multiply_code_tiles(const code_chunk *chunks, const uint8_t *records, float *y) {
  if (chunks->halves == 1)
    (chunks->has_minimum ? tiles_scales_minima : tiles_scales)(chunks, records, y);
  else
    (chunks->has_minimum ? tiles_halves_minima : tiles_halves)(chunks, records, y);
}
