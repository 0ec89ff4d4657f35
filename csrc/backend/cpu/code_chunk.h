/* A piece of a panel of quantized weights, unpacked for the integer tiles. */
#ifndef DIMPLE_CPU_CODE_CHUNK_H
#define DIMPLE_CPU_CODE_CHUNK_H

#include "backend/cpu/cpu.h"

typedef struct code_chunk {
  _Alignas(64) uint8_t expanded[CHUNK_BLOCKS * PANEL * BLOCK]; /* room for 4-bit codes as bytes */
  float scale[CHUNK_BLOCKS * 2 * PANEL];                       /* [blocks][halves][PANEL] */
  float minimum[CHUNK_BLOCKS * 2 * PANEL];                     /* the same, if has_minimum */
  const uint8_t *codes[CHUNK_BLOCKS];                          /* [2][8][16][4] bytes each, flipped by code_flip */
  int64_t blocks;
  int64_t halves;
  bool has_minimum;
  bool narrow; /* codes are unsigned, 0 .. 15, and `minimum` has taken up the offset */
} code_chunk;

#endif
