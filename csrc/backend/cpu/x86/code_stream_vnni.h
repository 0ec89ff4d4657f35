/*
 * One row times a whole panel, which is read from its beginning to its end, line after line, as a processor foresees it: a block's scales are worked out where
 * they are multiplied, not a chunk's before, so that nothing is written down and nothing is asked for twice. The products of vnni_tile in the same order, so that
 * a row has the same bits by itself as among others. Part of code_tile_vnni.h.
 */
enum { ONE_ROW_AHEAD = 6 << 10 }; /* from 2 to 16 KiB there is no telling */

#ifdef __AVX512VNNI__
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
#else
static inline vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
#endif

/* Formats whose scales are halves, alone or with a factor for each block or half of one. */
static bool streams(int64_t rows, const code_layout *l) {
  if (rows != 1 || l->float_scales) return false;
  switch (plane_bits(l)) {
    case 4: return l->unit_blocks == 8 || l->halves == 1;
    case 5: return l->halves == 1 && (l->unit_blocks == 1 || l->has_minimum);
    case 6: return l->halves == 2 && l->unit_blocks == 8 && !l->has_minimum;
    default: return l->halves == 1 && l->unit_blocks == 1 && !l->has_minimum;
  }
}
#define STREAMS streams

/* What a row multiplies: the units of a panel, and what stands for its activations, a record for each block and what lift_starts keeps beside them. */
typedef struct panel_stream {
  const unit_layout *layout;
  const uint8_t *units;
  int64_t blocks;
  plane_values values;
  const uint8_t *records, *beside;
} panel_stream;

/* `super`: units of 8 blocks with factors. */
INLINE void stream_panel(const int bits, const int halves, const bool has_minimum, const bool super, const panel_stream *s, float *y) {
  enum { VECTORS = PANEL / LANES };
  const int unit_blocks = super ? 8 : 1, block_size = PANEL * BLOCK / 8 * bits;
  /* A block's bytes with its part of what stands before a unit's codes. */
  const int share = block_size + (has_minimum ? 2 : 1) * (super ? PANEL * halves + PANEL / 4 : PANEL * 2);
  const unit_layout *u = s->layout;
  const uint8_t *unit = s->units;
  vf sums[VECTORS];
  for (int v = 0; v < VECTORS; v++) sums[v] = vf_load(y + v * LANES);
  for (int64_t b = 0; b < s->blocks; unit += u->size) {
    for (int i = 0; i < unit_blocks; i++, b++) {
      const code_record record = code_record_at(s->records, b, 1);
      const lifted_starts starts = lifted_starts_at(s->beside, b, 1);
      const uint8_t *block = unit + u->codes + i * block_size;
      /* Of 6 bits the codes alone, and two lines: with what stands before them it took a fifth longer. */
      const uint8_t *ahead = (bits == 6 ? block : unit + i * share) + ONE_ROW_AHEAD;
      for (int line = 0; line < (bits == 6 ? block_size + 128 : share); line += 64) __builtin_prefetch(ahead + line, 0, 3);
#pragma GCC unroll 2
      for (int h = 0; h < halves; h++) {
        const int32_t start = halves == 1 ? *starts.total : h == 0 ? *starts.first : *starts.last;
        /* Two sums for a vector of columns, so that a product waits for every second one only. */
        vi dots[VECTORS][2];
        for (int v = 0; v < VECTORS; v++) dots[v][0] = vi_set(start), dots[v][1] = vi_set(0);
        int groups = 8 / halves; /* outside the loop's condition, as in vnni_tile */
#pragma GCC unroll 4
        for (int g = h * groups; g < (h + 1) * groups; g += 2) {
          vi x[2];
          for (int j = 0; j < 2; j++) x[j] = vi_set(four_bytes(record.q + (g + j) * 4));
          for (int v = 0; v < VECTORS; v++) {
            const int first = v * LANES;
            const uint8_t *codes = block + first / 16 * 64 * bits + first % 16 * 4;
            vi w[2];
            if (bits < 8)
              planes_pair(bits, false, codes, g / 2, &s->values, w);
            else
              for (int j = 0; j < 2; j++) w[j] = vi_load(codes + (g + j) * 64);
            for (int j = 0; j < 2; j++) dots[v][j] = vi_dot(dots[v][j], w[j], x[j]);
          }
        }
        for (int v = 0; v < VECTORS; v++) {
          const int64_t at = (i * halves + h) * PANEL + v * LANES;
          vf scale = vf_load_half((const uint16_t *)unit + v * LANES);
          if (super) scale = vf_mul(scale, vf_load_int8((const int8_t *)unit + u->factor + at));
          const vf dot = vi_as_float(vi_add(dots[v][0], dots[v][1]));
          sums[v] = vf_fma(vf_fma(dot, scale, vf_mul(scale, vf_set(-LIFT))), vf_set(*record.scale), sums[v]);
          if (!has_minimum) continue;
          vf minimum = vf_load_half((const uint16_t *)(unit + u->minimum) + v * LANES);
          if (super) minimum = vf_sub(vf_set(0), vf_mul(minimum, vf_load_uint8(unit + u->minimum_factor + at)));
          const float sum = halves == 1 ? *starts.weighted : (float)(start - LIFTED_ZERO) * (*record.scale * (1.0f / SUM_FACTOR));
          sums[v] = vf_fma(minimum, vf_set(sum), sums[v]);
        }
      }
    }
  }
  for (int v = 0; v < VECTORS; v++) vf_store(y + v * LANES, sums[v]);
}

/* `beside`: what KEEP_BESIDE has kept of the records. */
static void multiply_code_stream(const weight *w, int64_t panel, const int8_t *table, int64_t rows, const uint8_t *records, int64_t tile_size,
                                 const uint8_t *beside, float *y) {
  (void)rows, (void)tile_size; /* one */
  const code_layout *l = &w->layout;
  const int32_t bits = plane_bits(l);
  const unit_layout layout = unit_layout_of(l, bits);
  const panel_stream s = {.layout = &layout, .units = w->panels + panel * w->panel_size, .blocks = w->columns / BLOCK,
                          .values = {.table = vb_table(table), .lift = vb_set((int8_t)(uint8_t)(lowest_code(l) - SUM_FACTOR))},
                          .records = records, .beside = beside};
  const bool two = l->halves == 2, minima = l->has_minimum, super = l->unit_blocks > 1;
  if (bits == 8)
    stream_panel(8, 1, false, false, &s, y);
  else if (bits == 6)
    stream_panel(6, 2, false, true, &s, y);
  else if (bits == 5 && super)
    stream_panel(5, 1, true, true, &s, y);
  else if (bits == 5 && minima)
    stream_panel(5, 1, true, false, &s, y);
  else if (bits == 5)
    stream_panel(5, 1, false, false, &s, y);
  else if (two && minima)
    stream_panel(4, 2, true, true, &s, y);
  else if (two)
    stream_panel(4, 2, false, true, &s, y);
  else if (super && minima)
    stream_panel(4, 1, true, true, &s, y);
  else if (super)
    stream_panel(4, 1, false, true, &s, y);
  else if (minima)
    stream_panel(4, 1, true, false, &s, y);
  else
    stream_panel(4, 1, false, false, &s, y);
}
