/*
 * Quantized weights in fixed point, for AMX. A tile product costs so little that taking its 32-bit sums out of the tile after
 * every 32 inputs, to apply scales, would cost several times as much. So 256 inputs (a chunk) of a column get one scale t and the
 * weights become 16-bit integers: w = t W. What is stored is still the code and, for every 16 or 32 inputs, a 16-bit factor F and
 * offset O: W = round(code * F / reach) + O, where `reach` is the power of two that codes stay within, and |W| <= FIXED_MOST.
 * The rounding of F and W is 2^-16 of the chunk's largest weight.
 *
 * A panel is a sequence of chunks, the last one maybe shorter:
 *   float t[PANEL], then per block of 32 inputs
 *   int16 F[halves][PANEL], int16 O[halves][PANEL] if has_offset, and codes.
 * Codes are two's complement and shifted to the left as far as they go. They lie as in code_panels.h, [2][8][16][4] bytes, or with 4 bits
 * [2][4][16][4] bytes of two groups each; formats with a nonlinear table take 8 bits.
 */
#ifndef DIMPLE_CPU_X86_FIXED_PANELS_H
#define DIMPLE_CPU_X86_FIXED_PANELS_H

#include "backend/cpu/cpu.h"

enum { FIXED_CHUNK = 256, FIXED_BLOCKS = FIXED_CHUNK / BLOCK, FIXED_MOST = 32512 };

typedef struct fixed_layout {
  int32_t bits;
  int32_t halves;
  bool has_offset;
  int64_t codes;      /* where codes begin in a block, bytes */
  int64_t block_size; /* bytes */
} fixed_layout;

static inline fixed_layout fixed_layout_of(const code_layout *l) {
  bool linear = l->bits == 8 || l->table[15] - l->table[0] == 15;
  bool within = l->bits == 8 || (l->table[0] >= -8 && l->largest <= 8); /* codes that fit 4 signed bits need no centring */
  fixed_layout f = {.bits = linear ? l->bits : 8, .halves = l->halves, .has_offset = l->has_minimum || (linear && !within)};
  f.codes = f.halves * PANEL * 2 * (f.has_offset ? 2 : 1);
  f.block_size = f.codes + PANEL * BLOCK * f.bits / 8;
  return f;
}

static inline int64_t fixed_chunk_size(const fixed_layout *f) { return PANEL * 4 + FIXED_BLOCKS * f->block_size; }

extern const code_packer fixed_packer;

#endif
