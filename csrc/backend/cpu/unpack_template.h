/* Unpacks a piece of a panel of quantized weights, packed by a packer of code_panels.h: any format, with 4- or 8-bit codes. Wants a simd_*.h
 * before it, any of them, for its vectors and expand_codes; what brings 4-bit codes into another order is named by EXPAND_CODES. */

#include "backend/cpu/code_panels.h"

#ifndef EXPAND_CODES
#define EXPAND_CODES expand_codes
#endif

/* The scales and minima of block `block` of the chunk, block `in_unit` of `unit`. */
static void unpack_scales(const code_layout *l, const unit_layout *u, const uint8_t *unit, int64_t in_unit, int64_t block, code_chunk *chunk) {
  for (int64_t h = 0; h < l->halves; h++) {
    int64_t factor = (in_unit * l->halves + h) * PANEL, target = (block * l->halves + h) * PANEL;
    for (int64_t j = 0; j < PANEL; j += LANES) {
      vf scale;
      if (l->float_scales) scale = vf_load((const float *)unit + factor + j);
      else if (l->unit_blocks > 1)
        scale = vf_mul(vf_load_half((const uint16_t *)unit + j), vf_load_int8((const int8_t *)unit + u->factor + factor + j));
      else scale = vf_load_half((const uint16_t *)unit + j);
      vf_store(chunk->scale + target + j, scale);
      if (!l->has_minimum) continue;
      vf minimum = vf_load_half((const uint16_t *)(unit + u->minimum) + j);
      if (l->unit_blocks > 1) minimum = vf_sub(vf_set(0), vf_mul(minimum, vf_load_uint8(unit + u->minimum_factor + factor + j)));
      vf_store(chunk->minimum + target + j, minimum);
    }
  }
}

/* Unpacks `count` blocks of a panel from block `first` on. 4-bit codes become the entries of `table`. */
static void unpack_chunk(const weight *w, int64_t panel, int64_t first, int64_t count, const int8_t *table, code_chunk *chunk) {
  const code_layout *l = &w->layout;
  const unit_layout u = unit_layout_of(l);
  chunk->blocks = count;
  chunk->halves = l->halves;
  chunk->largest = l->largest;
  chunk->span = code_span(l);
  chunk->has_minimum = l->has_minimum;
  for (int64_t b = 0; b < count; b++) {
    int64_t in_unit = (first + b) % l->unit_blocks;
    const uint8_t *unit = w->panels + panel * w->panel_size + (first + b) / l->unit_blocks * u.size;
    const uint8_t *codes = unit + u.codes + in_unit * u.block_codes;
    if (l->bits == 8) {
      chunk->codes[b] = codes;
    } else {
      uint8_t *expanded = chunk->expanded + b * PANEL * BLOCK;
      EXPAND_CODES(codes, table, expanded);
      chunk->codes[b] = expanded;
    }
    unpack_scales(l, &u, unit, in_unit, b, chunk);
  }
}
