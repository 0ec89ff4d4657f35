/* Unpacks a piece of a panel of quantized weights, see cpu.h and code_chunk.h. Wants a simd_*.h before it. */

#include "backend/cpu/code_chunk.h"

/* Whether 4-bit codes stand for table[0], table[0] + 1, ... */
static bool is_even_scale(const code_layout *l) { return l->bits == 4 && l->table[15] - l->table[0] == 15; }

/* The scales and minima of block `block` of the chunk, block `in_unit` of `unit`. */
static void unpack_scales(const code_layout *l, const unit_layout *u, const uint8_t *unit, int64_t in_unit, int64_t block,
                          code_chunk *chunk) {
  const vf zero = vf_set(0), start = vf_set(chunk->narrow ? l->table[0] : 0);
  for (int64_t h = 0; h < l->halves; h++) {
    int64_t factor = (in_unit * l->halves + h) * PANEL, target = (block * l->halves + h) * PANEL;
    for (int64_t j = 0; j < PANEL; j += LANES) {
      vf scale = vf_load_half((const uint16_t *)unit + j), minimum = zero;
      if (l->unit_blocks > 1) scale = vf_mul(scale, vf_load_int8((const int8_t *)unit + u->factor + factor + j));
      vf_store(chunk->scale + target + j, scale);
      if (!chunk->has_minimum) continue;
      if (l->has_minimum) minimum = vf_load_half((const uint16_t *)(unit + u->minimum) + j);
      if (l->has_minimum && l->unit_blocks > 1)
        minimum = vf_sub(zero, vf_mul(minimum, vf_load_uint8(unit + u->minimum_factor + factor + j)));
      vf_store(chunk->minimum + target + j, vf_fma(scale, start, minimum));
    }
  }
}

/* Unpacks `count` blocks of a panel from block `first` on. `narrow_codes`: leave 4-bit codes as they are where their table is an
 * even scale, 0 .. 15. */
static void unpack_chunk(const weight *w, int64_t panel, int64_t first, int64_t count, const bool narrow_codes, code_chunk *chunk) {
  static const int8_t identity[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const code_layout *l = &w->layout;
  const unit_layout u = unit_layout_of(l);
  chunk->blocks = count;
  chunk->halves = l->halves;
  chunk->narrow = narrow_codes && is_even_scale(l);
  chunk->has_minimum = l->has_minimum || chunk->narrow;
  for (int64_t b = 0; b < count; b++) {
    int64_t in_unit = (first + b) % l->unit_blocks;
    const uint8_t *unit = w->panels + panel * w->panel_size + (first + b) / l->unit_blocks * u.size;
    const uint8_t *codes = unit + u.codes + in_unit * u.block_codes;
    if (l->bits == 8) {
      chunk->codes[b] = codes;
    } else {
      uint8_t *expanded = chunk->expanded + b * PANEL * BLOCK;
      expand_codes(codes, chunk->narrow ? identity : l->table, expanded);
      chunk->codes[b] = expanded;
    }
    unpack_scales(l, &u, unit, in_unit, b, chunk);
  }
}
