/*
 * One tile of rows or two at a time with a whole panel, which is read from its beginning to its end: a block's codes are multiplied as they lie, its scales are worked out
 * where they are multiplied, nothing is written down and nothing asked for twice. The integers and the order of the floats are those of avx2_panel and of
 * multiply_copies, so that a row has the same bits by itself as among others. Part of code_tile_avx2.h.
 */

/* What a block's scales are made of: a half, a half and a factor of 8 bits (a block of the file is then 8 of these), or floats of 8 blocks. */
typedef enum scale_kind { HALVES, HALVES_AND_FACTORS, FLOATS } scale_kind;

/* What rows of a tile multiply: the units of a panel, and the records of their activations. */
typedef struct panel_stream {
  const unit_layout *layout;
  const uint8_t *units;
  int64_t blocks;
  const int8_t *table;
  int32_t start; /* as in code_chunk */
  const uint8_t *records; /* of the first tile; others follow tile_size apart */
  int64_t tile_size;
} panel_stream;

/* The factors of 8 columns' halves, two for each. */
INLINE __m256i factor_pairs(const uint8_t *factors) {
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)factors), _mm_loadl_epi64((const __m128i *)(factors + PANEL))));
}

/* The scales of 8 columns from `at` on: of the stretch's and the column's place among those of its unit. Those of FACTORED codes are without their factors. */
INLINE vf stream_scale(const code_kind kind, const scale_kind scales, const unit_layout *u, const uint8_t *unit, const int64_t at) {
  if (scales == FLOATS) return vf_load((const float *)unit + at);
  const vf d = vf_load_half((const uint16_t *)unit + at % PANEL);
  return scales == HALVES || kind == FACTORED ? d : vf_mul(d, vf_load_int8((const int8_t *)unit + u->factor + at));
}

INLINE vf stream_minimum(const scale_kind scales, const unit_layout *u, const uint8_t *unit, const int64_t at) {
  const vf minimum = vf_load_half((const uint16_t *)(unit + u->minimum) + at % PANEL);
  return scales == HALVES ? minimum : vf_sub(vf_set(0), vf_mul(minimum, vf_load_uint8(unit + u->minimum_factor + at)));
}

/* `vectors` of 8 columns from the `c`th on of block `i` of a unit; y [rows][PANEL / LANES]. */
INLINE void stream_columns(const int rows, const int vectors, const int c, const code_kind kind, const int bits, const bool linear, const int pairs, const int halves,
                           const scale_kind scales, const panel_stream *s, const plane_values *values, const uint8_t *unit, const int i, const lines_ahead *ahead,
                           const code_record records[MOST_TILES], const block_inputs in[MOST_TILES], vf y[][MOST_VECTORS]) {
  const unit_layout *u = s->layout;
  const uint8_t *block = unit + u->codes + i * (PANEL * BLOCK / 8 * bits) + c / 2 * 64 * bits + c % 2 * 32;
  if (vectors < MOST_VECTORS) STAY_IN_MEMORY(); /* or what is read for some of the columns would be kept on the stack for the others */
  __m256i dots[MOST_STREAMED][MOST_VECTORS], pair[MOST_VECTORS], factor[MOST_VECTORS];
  for (int v = 0; v < vectors; v++)
    pair[v] = kind == FACTORED ? factor_pairs(unit + u->factor + i * halves * PANEL + (c + v) * LANES) : _mm256_setzero_si256();
#pragma GCC unroll 2
  for (int h = 0; h < halves; h++) {
    for (int v = 0; v < vectors; v++) factor[v] = factor_of(kind, pair[v], h);
    if (pairs == WIDE)
      dot_wide(rows, vectors, bits, values, block, records, ahead, dots);
    else
      dot_packed(rows, vectors, bits, linear, pairs, halves, h, kind == FACTORED && h > 0, values, block, records, factor, ahead, dots);
    if (kind == FACTORED && h + 1 < halves) continue;
    for (int v = 0; v < vectors; v++) {
      const int64_t at = (i * halves + h) * PANEL + (c + v) * LANES;
      const vf scale = stream_scale(kind, scales, u, unit, at), minimum = kind == WITH_MINIMA ? stream_minimum(scales, u, unit, at) : scale;
      for (int r = 0; r < rows; r++) {
        const int t = r / CODE_ROWS, of = r % CODE_ROWS;
        __m256i dot = dots[r][v];
        if (kind == FROM_START) dot = _mm256_add_epi32(dot, _mm256_set1_epi32(in[t].start[h][of]));
        if (kind == FACTORED) dot = _mm256_add_epi32(dot, _mm256_madd_epi16(_mm256_add_epi16(pair[v], pair[v]), four_bytes(in[t].half_start[of])));
        vf sum = vf_fma(_mm256_cvtepi32_ps(dot), vf_mul(scale, vf_set(records[t].scale[of])), y[r][c + v]);
        if (kind == WITH_MINIMA) sum = vf_fma(minimum, vf_set(in[t].sum[h][of]), sum);
        y[r][c + v] = sum;
      }
    }
  }
}

/* Block `i` of a unit. One row takes a whole panel at a time, those of a tile half of its columns and two tiles a quarter, as many as registers hold. */
INLINE void stream_block(const int rows, const code_kind kind, const int bits, const bool linear, const int pairs, const int halves, const scale_kind scales,
                         const panel_stream *s, const plane_values *values, const uint8_t *unit, const int i, const lines_ahead *ahead,
                         const code_record records[MOST_TILES], vf y[][MOST_VECTORS]) {
  block_inputs in[MOST_TILES];
  for (int t = 0; t * CODE_ROWS < rows; t++) read_inputs(kind, halves, s->start, records[t], &in[t]);
  if (rows > CODE_ROWS) {
    const int lines = (ahead->lines + MOST_VECTORS - 1) / MOST_VECTORS;
#pragma GCC unroll 1 /* four times the instructions are more than are kept decoded beside a neighbour's */
    for (int c = 0; c < MOST_VECTORS; c++) {
      const lines_ahead share = {ahead->from + c * lines * 64, lines};
      stream_columns(rows, 1, c, kind, bits, linear, pairs, halves, scales, s, values, unit, i, &share, records, in, y);
    }
    return;
  }
  const int vectors = rows == 1 ? MOST_VECTORS : 2;
#pragma GCC unroll 2
  for (int c = 0; c < MOST_VECTORS; c += vectors) {
    const int before = c * 4, last = c + vectors == MOST_VECTORS ? ahead->lines : before + 8;
    const lines_ahead share = {ahead->from + before * 64, last - before};
    stream_columns(rows, vectors, c, kind, bits, linear, pairs, halves, scales, s, values, unit, i, &share, records, in, y);
  }
}

/* y [rows] += products with one tile or two. */
INLINE void stream_panel(const int rows, const code_kind kind, const int bits, const bool linear, const int pairs, const int halves, const scale_kind scales,
                         const panel_stream *s, float *y) {
  const int unit_blocks = scales == HALVES ? 1 : 8, factors = kind == WITH_MINIMA ? 2 : 1;
  const int scale_size = scales == FLOATS ? PANEL * halves * 4 : factors * (scales == HALVES ? PANEL * 2 : PANEL * halves + PANEL * 2 / 8);
  const int share = PANEL * BLOCK / 8 * bits + scale_size; /* a block's bytes with its part of what stands before a unit's codes */
  plane_values values = {.table = vb_set(0), .lift = vb_set(0)};
  if (bits == 4 && !linear) values.table = vb_table(s->table);
  vf sums[MOST_STREAMED][MOST_VECTORS];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < MOST_VECTORS; v++) sums[r][v] = vf_load(y + r * PANEL + v * LANES);
  const uint8_t *unit = s->units;
  for (int64_t b = 0; b < s->blocks; unit += s->layout->size)
    for (int i = 0; i < unit_blocks; i++, b++) {
      const lines_ahead ahead = {unit + i * share + BYTES_AHEAD, (share + 63) / 64};
      code_record records[MOST_TILES];
      for (int t = 0; t * CODE_ROWS < rows; t++) records[t] = code_record_at(s->records + t * s->tile_size, b, CODE_ROWS);
      stream_block(rows, kind, bits, linear, pairs, halves, scales, s, &values, unit, i, &ahead, records, sums);
    }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < MOST_VECTORS; v++) vf_store(y + r * PANEL + v * LANES, sums[r][v]);
}

typedef void code_stream(const panel_stream *s, int64_t rows, float *y);

#define STREAM(name, ...)                                           \
  static void name(const panel_stream *s, int64_t rows, float *y) { \
    switch (rows) {                                                 \
      case 1: stream_panel(1, __VA_ARGS__, s, y); break;            \
      case 2: stream_panel(2, __VA_ARGS__, s, y); break;            \
      case 3: stream_panel(3, __VA_ARGS__, s, y); break;            \
      case 4: stream_panel(4, __VA_ARGS__, s, y); break;            \
      case 5: stream_panel(5, __VA_ARGS__, s, y); break;            \
      case 6: stream_panel(6, __VA_ARGS__, s, y); break;            \
      case 7: stream_panel(7, __VA_ARGS__, s, y); break;            \
      case 8: stream_panel(8, __VA_ARGS__, s, y); break;            \
    }                                                               \
  }
/* The combinations that there are. */
STREAM(stream_4, FROM_START, 4, true, 8, 1, HALVES)
STREAM(stream_4_table, FROM_START, 4, false, 8, 1, FLOATS)
STREAM(stream_4_minima, WITH_MINIMA, 4, true, 8, 1, HALVES)
STREAM(stream_4_super_minima, WITH_MINIMA, 4, true, 8, 1, HALVES_AND_FACTORS)
STREAM(stream_4_halves_minima, WITH_MINIMA, 4, true, 8, 2, HALVES_AND_FACTORS)
STREAM(stream_4_factors, FACTORED, 4, true, 8, 2, HALVES_AND_FACTORS)
STREAM(stream_4_wide, FROM_ZERO, 4, false, WIDE, 1, HALVES)
STREAM(stream_4_super_wide, FROM_ZERO, 4, false, WIDE, 1, HALVES_AND_FACTORS)
STREAM(stream_5, FROM_START, 5, false, 4, 1, HALVES)
STREAM(stream_5_minima, WITH_MINIMA, 5, false, 4, 1, HALVES)
STREAM(stream_5_super_minima, WITH_MINIMA, 5, false, 4, 1, HALVES_AND_FACTORS)
STREAM(stream_6_factors, FACTORED, 6, false, 2, 2, HALVES_AND_FACTORS)
STREAM(stream_8_wide, FROM_ZERO, 8, false, WIDE, 1, HALVES)
#undef STREAM

/* Whether 4-bit codes, less the lowest, stand for themselves. */
static bool packs_linear(const code_layout *l) {
  bool linear = true;
  for (int i = 0; i < 16; i++) linear = linear && l->table[i] - span_code_start(l) == i;
  return linear;
}

static code_stream *stream_of_4_bits(const code_layout *l) {
  const bool super = l->unit_blocks == 8, minima = l->has_minimum;
  if (l->float_scales) return super && l->halves == 1 && code_span(l) <= 16 ? stream_4_table : NULL;
  if (code_span(l) > WIDEST_SPAN) return l->halves == 2 ? NULL : super ? stream_4_super_wide : stream_4_wide;
  if (!packs_linear(l)) return NULL;
  if (l->halves == 2) return !super ? NULL : minima ? stream_4_halves_minima : keeps_factors(l) ? stream_4_factors : NULL;
  if (super) return minima ? stream_4_super_minima : NULL;
  return minima ? stream_4_minima : stream_4;
}

/* Null: few rows of the format go by chunks, like many. */
static code_stream *stream_of(const code_layout *l) {
  const bool super = l->unit_blocks == 8, minima = l->has_minimum;
  const int32_t bits = plane_bits(l);
  if (bits == 4) return stream_of_4_bits(l);
  if (bits == 6) return keeps_factors(l) ? stream_6_factors : NULL;
  if (l->float_scales || l->halves == 2) return NULL;
  if (bits == 5) return super ? minima ? stream_5_super_minima : NULL : minima ? stream_5_minima : stream_5;
  return code_span(l) > WIDEST_SPAN && !super && !minima ? stream_8_wide : NULL;
}

/* Up to how many rows are streamed, MOST_STREAMED at a time: more where few instructions take a code apart. */
static int64_t most_streamed(const code_layout *l) {
  if (!stream_of(l)) return 0;
  return plane_bits(l) == 4 || code_span(l) > WIDEST_SPAN ? 2 * MOST_STREAMED : MOST_STREAMED;
}
#define STREAMS(rows, layout) ((rows) <= most_streamed(layout))

static void multiply_code_stream(const weight *w, int64_t panel, const int8_t *table, int64_t rows, const uint8_t *records, int64_t tile_size,
                                 const uint8_t *beside, float *y) {
  const unit_layout layout = unit_layout_of(&w->layout, plane_bits(&w->layout));
  panel_stream s = {.layout = &layout, .units = w->panels + panel * w->panel_size, .blocks = w->columns / BLOCK, .table = table,
                    .start = span_code_start(&w->layout), .records = records, .tile_size = tile_size};
  (void)beside;
  code_stream *stream = stream_of(&w->layout);
  for (int64_t r = 0; r < rows; r += MOST_STREAMED, s.records += MOST_TILES * tile_size)
    stream(&s, rows - r < MOST_STREAMED ? rows - r : MOST_STREAMED, y + r * PANEL);
}
