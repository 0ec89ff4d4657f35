/*
 * Quantized weights that have a scale for 16 inputs, in fixed point, for AMX. A tile product costs so little that taking its 32-bit sums out of the tile after
 * every 16 inputs, to apply scales, would cost several times as much. So 256 inputs (a chunk) of a column get one scale t and the
 * weights become 16-bit integers: w = t W. What is stored is still the code and, for every 16 inputs, a 16-bit factor F and
 * offset O: W = round(code * F / reach) + O, where `reach` is the power of two that codes stay within, and |W| <= FIXED_MOST.
 * The rounding of F and W is 2^-16 of the chunk's largest weight.
 *
 * A panel is a sequence of chunks, the last one maybe shorter:
 *   float t[PANEL], then per block of 32 inputs
 *   int16 F[halves][PANEL], int16 O[halves][PANEL] if has_offset, and codes.
 * Codes are two's complement and shifted to the left as far as they go. They lie as in code_panels.h, [2][8][16][4] bytes, or with 4 bits
 * [2][4][16][4] bytes of two groups each. Of formats with a nonlinear table these are places in the table, whose entries are shifted; codes of 8 bits that
 * need but 6 are packed so, from the lowest one on, and shifted when they are unpacked.
 */
#ifndef DIMPLE_CPU_X86_FIXED_PANELS_H
#define DIMPLE_CPU_X86_FIXED_PANELS_H

#include "backend/cpu/code_panels.h"

enum { FIXED_CHUNK = 256, FIXED_BLOCKS = FIXED_CHUNK / BLOCK, FIXED_MOST = 32512 };

/* What is stored: codes of 4 bits, places in a table of codes of 8 bits, such codes, or those in 6 bits that are to be shifted by 2. */
typedef enum fixed_kind { FIXED_NIBBLES, FIXED_ENTRIES, FIXED_BYTES, FIXED_6_BY_2 } fixed_kind;

typedef struct fixed_layout {
  fixed_kind kind;
  int32_t bits;   /* of what is stored */
  int32_t lowest; /* what 0 stands for, with 6 bits */
  int32_t spare;  /* the bits that codes are shifted by: the largest one stays within `reach` before, and within 8 or 128 after it */
  int32_t reach;
  int8_t entries[16]; /* shifted */
  int32_t halves;
  bool has_offset;
  int64_t codes;      /* where codes begin in a block, bytes */
  int64_t block_size; /* bytes */
} fixed_layout;

static inline fixed_layout fixed_layout_of(const code_layout *l) {
  const bool linear = l->bits == 4 && l->table[15] - l->table[0] == 15;
  const bool within = l->table[0] >= -8 && l->largest <= 8; /* codes that fit 4 signed bits need no centring */
  fixed_layout f = {.kind = l->bits == 8 ? FIXED_BYTES : linear ? FIXED_NIBBLES : FIXED_ENTRIES, .bits = l->bits, .halves = l->halves};
  f.has_offset = l->has_minimum || (linear && !within);
  const int32_t limit = linear ? 8 : 128;
  while (l->largest << (f.spare + 1) <= limit) f.spare++;
  f.reach = limit >> f.spare;
  if (plane_bits(l) == 6 && f.spare == 2) {
    f.kind = FIXED_6_BY_2;
    f.bits = 6;
    f.lowest = lowest_code(l);
  }
  for (int i = 0; i < 16; i++) f.entries[i] = (int8_t)(uint8_t)((unsigned)l->table[i] << f.spare);
  f.codes = f.halves * PANEL * 2 * (f.has_offset ? 2 : 1);
  f.block_size = f.codes + PANEL * BLOCK * f.bits / 8;
  return f;
}

static inline int64_t fixed_chunk_size(const fixed_layout *f) { return PANEL * 4 + FIXED_BLOCKS * f->block_size; }

extern const code_packer fixed_packer;

#endif
