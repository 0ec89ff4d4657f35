/* Unpacks a piece of a panel of quantized weights, packed by a packer of code_panels.h: any format, with 4- or 8-bit codes. Wants a simd_*.h
 * before it, any of them, for its vectors and expand_codes. What a level has beyond that:
 *   EXPAND_CODES    what brings 4-bit codes into another order
 *   EXPANDED_BITS   a function of a layout: the bits that codes are expanded to, 8 by default; EXPAND_WIDE expands to more, or says that it cannot
 *   CODE_PLANES     1: the packer is one with planes, and x86/code_planes.h is there
 *   FLIP_CODES      what copies 8-bit codes with the upper bit turned; FLIPS_CODES(chunk) says when
 *   KEEP_AWAKE      what is done between blocks, for a unit that rests meanwhile
 *   UNPACK_FACTORS  a function for what keeps_factors(layout) says to have its factors as integers (code_chunk) */

#include "backend/cpu/code_panels.h"

#ifndef EXPAND_CODES
#define EXPAND_CODES expand_codes
#endif
#ifndef EXPANDED_BITS
#define EXPANDED_BITS(layout) 8
#define EXPAND_WIDE(bits, codes, table, expanded) true
#endif
#ifndef CODE_PLANES
#define CODE_PLANES 0
#endif

#ifndef FLIP_CODES
#define FLIP_CODES(codes, flipped) (void)0
#define FLIPS_CODES(chunk) false
#define KEEP_AWAKE(chunk) (void)0
#endif

#ifndef UNPACK_FACTORS
#define UNPACK_FACTORS unpack_scales
#define keeps_factors(layout) false
#endif

/* The scales and minima of `blocks` blocks, from the beginning of a unit on. */
static void unpack_scales(const code_layout *l, const unit_layout *u, const uint8_t *unit, int64_t blocks, code_chunk *chunk) {
  const int64_t stretches = (int64_t)l->unit_blocks * l->halves;
  float *scale = chunk->scale, *minimum = chunk->minimum;
  for (int64_t b = 0; b < blocks; b += l->unit_blocks, unit += u->size, scale += stretches * PANEL, minimum += stretches * PANEL) {
    KEEP_AWAKE(chunk);
    for (int64_t j = 0; j < PANEL; j += LANES) {
      if (l->float_scales) {
        for (int64_t s = 0; s < stretches; s++) vf_store(scale + s * PANEL + j, vf_load((const float *)unit + s * PANEL + j));
        continue;
      }
      const vf d = vf_load_half((const uint16_t *)unit + j), dmin = l->has_minimum ? vf_load_half((const uint16_t *)(unit + u->minimum) + j) : d;
      if (l->unit_blocks == 1) {
        vf_store(scale + j, d);
        if (l->has_minimum) vf_store(minimum + j, dmin);
        continue;
      }
      for (int64_t s = 0; s < stretches; s++) {
        const int64_t at = s * PANEL + j;
        vf_store(scale + at, vf_mul(d, vf_load_int8((const int8_t *)unit + u->factor + at)));
        if (l->has_minimum) vf_store(minimum + at, vf_sub(vf_set(0), vf_mul(dmin, vf_load_uint8(unit + u->minimum_factor + at))));
      }
    }
  }
}

/* Unpacks `count` blocks of a panel from block `first` on, both multiples of what a unit holds or, where codes are expanded to more than 8 bits, a part of it.
 * 4-bit codes become the entries of `table`; codes that are kept packed stay where they are. */
static void unpack_chunk(const weight *w, int64_t panel, int64_t first, int64_t count, const int8_t *table, bool keep_packed, code_chunk *chunk) {
  const code_layout *l = &w->layout;
  const int32_t bits = CODE_PLANES ? plane_bits(l) : l->bits;
  const unit_layout u = unit_layout_of(l, bits);
  const uint8_t *units = w->panels + panel * w->panel_size + first / l->unit_blocks * u.size;
  const int64_t skipped = first % l->unit_blocks; /* blocks of the unit before the first */
  chunk->blocks = count;
  chunk->halves = l->halves;
  chunk->largest = l->largest;
  chunk->span = code_span(l);
  chunk->has_minimum = l->has_minimum;
  const int32_t wanted = EXPANDED_BITS(l);
  chunk->bits = keep_packed ? bits : wanted;
  chunk->packed = keep_packed;
  chunk->table = table;
  chunk->linear = is_linear(table);
#if CODE_PLANES
  chunk->lift = lowest_code(l) - chunk->start;
  const plane_values values = {.lift = vb_set((int8_t)(uint8_t)chunk->lift)};
#endif
  for (int64_t b = 0; b < count; b++) {
    const int64_t block = skipped + b;
    const uint8_t *codes = units + block / l->unit_blocks * u.size + u.codes + block % l->unit_blocks * u.block_codes;
    uint8_t *expanded = chunk->expanded + b * PANEL * BLOCK * wanted / 8;
    const bool flips = bits == 8 && FLIPS_CODES(chunk), expands = (bits < wanted && !keep_packed) || flips;
    KEEP_AWAKE(chunk);
    if (expands && wanted > 8 && !EXPAND_WIDE(bits, codes, table, expanded)) {
      unpack_chunk(w, panel, first, count, table, true, chunk);
      return;
    }
    if (expands && wanted == 8 && bits == 4) EXPAND_CODES(codes, table, expanded);
#if CODE_PLANES
    if (expands && bits == 5) expand_planes(5, codes, &values, expanded);
    if (expands && bits == 6) expand_planes(6, codes, &values, expanded);
#endif
    if (flips) FLIP_CODES(codes, expanded);
    chunk->codes[b] = expands ? expanded : codes;
  }
  chunk->factors = keeps_factors(l);
  (chunk->factors ? UNPACK_FACTORS : unpack_scales)(l, &u, units, count, chunk);
  if (!skipped) return;
  memmove(chunk->scale, chunk->scale + skipped * l->halves * PANEL, (size_t)(count * l->halves * PANEL) * sizeof(float));
  memmove(chunk->minimum, chunk->minimum + skipped * l->halves * PANEL, (size_t)(count * l->halves * PANEL) * sizeof(float));
}
