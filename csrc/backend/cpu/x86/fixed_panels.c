#include "backend/cpu/x86/fixed_panels.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

/* What every stretch of a column's inputs in a chunk is multiplied with. */
typedef struct column {
  float scale[FIXED_BLOCKS * 2];
  float minimum[FIXED_BLOCKS * 2];
} column;

/* How codes of a format become those of a panel, eight at a time: `add` to every byte, what `fits` of it, shifted to the left. */
typedef struct code_change {
  int centre; /* what has been taken off the values of codes */
  uint64_t add, fits;
  int shift;
} code_change;

static int64_t panel_size(const weight *w) {
  fixed_layout f = fixed_layout_of(&w->layout);
  int64_t blocks = w->columns / BLOCK;
  return (blocks + FIXED_BLOCKS - 1) / FIXED_BLOCKS * PANEL * 4 + blocks * f.block_size;
}

static uint64_t in_each_byte(int value) { return (uint64_t)(value & 255) * 0x0101010101010101; }

static code_change change_of(const code_layout *l, const fixed_layout *f) {
  const bool nibbles = f->kind == FIXED_NIBBLES, shifted = nibbles || f->kind == FIXED_BYTES; /* the others when they are unpacked */
  code_change change = {.centre = f->has_offset && nibbles && l->largest > 8 ? 8 : 0, /* 0 .. 15 becomes -8 .. 7 */
                        .shift = shifted ? f->spare : 0};
  change.add = in_each_byte(nibbles ? (l->table[0] - change.centre) & 15 : -f->lowest);
  change.fits = in_each_byte((nibbles ? 15 : 255) >> change.shift);
  return change;
}

/* The 32 codes of a column of a block; `target` is the column's place in it. */
static void store_codes(const fixed_layout *f, const code_change *change, const uint8_t *codes, uint8_t *target) {
  const uint64_t top = in_each_byte(128);
  uint8_t changed[BLOCK]; /* for planes */
  for (int64_t k = 0; k < BLOCK; k += 8) {
    const uint64_t eight = load_eight(codes + k); /* sums of two below 16 stay in their byte, others are made to */
    const uint64_t sums = f->bits == 4 ? eight + change->add : ((eight & ~top) + (change->add & ~top)) ^ ((eight ^ change->add) & top);
    const uint64_t stored = (sums & change->fits) << change->shift;
    if (f->bits == 4) {
      store_four(target + k / 8 * 64, join_nibbles(stored));
    } else if (f->bits == 8) {
      store_four(target + k / 4 * 64, (uint32_t)stored);
      store_four(target + k / 4 * 64 + 64, (uint32_t)(stored >> 32));
    } else {
      memcpy(changed + k, &stored, sizeof stored);
    }
  }
  if (f->bits == 6) code_panels_store(changed, f->bits, 4, 0, target);
}

/* Stores the codes of column `o` of a chunk, and reads what they are multiplied with; `row` points at the block of the file where the chunk begins. */
static void take_column(const weight *w, const fixed_layout *f, const code_change *change, const uint8_t *row, int64_t blocks, int64_t o, uint8_t *chunk,
                        unpacked_block *unit, column *out) {
  const code_layout *l = &w->layout;
  const int64_t stretches = (int64_t)l->unit_blocks * l->halves, in_block = f->codes + o / 16 * (PANEL * BLOCK / 2 * f->bits / 8) + o % 16 * 4;
  const bool super = l->unit_blocks > 1;
  for (int64_t b = 0; b < blocks; b += l->unit_blocks, row += w->format->block_size) {
    prefetch_blocks_ahead(row, w->format->block_size);
    w->format->unpack(row, unit);
    for (int64_t i = 0; i < l->unit_blocks; i++)
      store_codes(f, change, unit->codes + i * BLOCK, chunk + PANEL * 4 + (b + i) * f->block_size + in_block);
    const float d = l->float_scales ? 0 : half_to_float(unit->d), dmin = l->has_minimum ? half_to_float(unit->dmin) : 0;
    for (int64_t j = 0; j < stretches; j++) {
      float scale = l->float_scales ? unit->scale[j] : d * (super ? unit->factor[j] : 1);
      float minimum = l->has_minimum ? dmin * (super ? -unit->minimum_factor[j] : 1) : 0;
      out->scale[b * l->halves + j] = scale;
      out->minimum[b * l->halves + j] = minimum + scale * (float)change->centre;
    }
  }
}

/* Rounds v[i] * reach * inverse of `count` numbers, four at a time; a NaN becomes the lowest. */
static void round_to_int16(const float *v, int64_t count, float reach, float inverse, int16_t *out) {
  const __m128 most = _mm_set1_ps(FIXED_MOST), least = _mm_set1_ps(-FIXED_MOST);
  for (int64_t i = 0; i < count; i += 4) {
    __m128 scaled = _mm_mul_ps(_mm_mul_ps(_mm_loadu_ps(v + i), _mm_set1_ps(reach)), _mm_set1_ps(inverse));
    __m128i whole = _mm_cvtps_epi32(_mm_min_ps(_mm_max_ps(scaled, least), most));
    _mm_storel_epi64((__m128i *)(out + i), _mm_packs_epi32(whole, whole));
  }
}

/* Of column `o`, [stretches] to every block's [halves][PANEL] at `place`. */
static void store_words(const fixed_layout *f, const int16_t *words, int64_t blocks, int64_t place, int64_t o, uint8_t *chunk) {
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t h = 0; h < f->halves; h++)
      memcpy(chunk + PANEL * 4 + b * f->block_size + ((place + h) * PANEL + o) * 2, &words[b * f->halves + h], 2);
}

static void store_factors(const fixed_layout *f, const column *in, int64_t blocks, int64_t o, uint8_t *chunk) {
  const int64_t stretches = blocks * f->halves;
  const float reach = (float)f->reach;
  float most = 0, total = 0;
  for (int64_t j = 0; j < stretches; j++) {
    const float size = fabsf(in->scale[j]) * reach + fabsf(in->minimum[j]);
    most = size > most ? size : most;
    total += size;
  }
  const float t = (isnan(total) ? total : most) / FIXED_MOST, inverse = t > 1e-30f ? 1 / t : 0;
  memcpy(chunk + o * 4, &t, 4);
  _Alignas(16) int16_t words[FIXED_BLOCKS * 2];
  round_to_int16(in->scale, stretches, reach, inverse, words);
  store_words(f, words, blocks, 0, o, chunk);
  if (!f->has_offset) return;
  round_to_int16(in->minimum, stretches, 1, inverse, words);
  store_words(f, words, blocks, f->halves, o, chunk);
}

static void pack_panel(const weight *w, const uint8_t *rows, int64_t panel) {
  fixed_layout f = fixed_layout_of(&w->layout);
  int64_t first = panel * PANEL, count = w->rows - first < PANEL ? w->rows - first : PANEL, all = w->columns / BLOCK;
  int64_t row_size = block_format_row_size(w->format, w->columns);
  uint8_t *chunk = w->panels + panel * w->panel_size;
  if (count < PANEL) memset(chunk, 0, (size_t)w->panel_size);
  const code_change change = change_of(&w->layout, &f);
  column c = {{0}, {0}};
  unpacked_block unit;
  memset(&unit, 0, sizeof unit);
  for (int64_t b = 0; b < all; b += FIXED_BLOCKS, chunk += fixed_chunk_size(&f)) {
    int64_t blocks = all - b < FIXED_BLOCKS ? all - b : FIXED_BLOCKS;
    for (int64_t o = 0; o < count; o++) {
      const uint8_t *row = rows + (first + o) * row_size + b / w->layout.unit_blocks * w->format->block_size;
      take_column(w, &f, &change, row, blocks, o, chunk, &unit, &c);
      store_factors(&f, &c, blocks, o, chunk);
    }
  }
}

const code_packer fixed_packer = {panel_size, pack_panel};
