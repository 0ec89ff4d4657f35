/*
 * Quantized weights for kernels that multiply 32 inputs at a time: nothing is rounded, what the file's blocks hold is only put
 * into another order.
 *
 * A panel is a sequence of units, one per block of the file:
 *   unit_blocks 1: half scale[PANEL], half minimum[PANEL] if has_minimum, codes
 *   unit_blocks 8: half d[PANEL], half dmin[PANEL] if has_minimum, int8 factor[8 * halves][PANEL], uint8 minimum factor[8 * halves][PANEL]
 *                  if has_minimum, codes (see unpacked_block)
 *   float_scales: float scale[unit_blocks * halves][PANEL], codes
 * The codes of 32 inputs: for each half of the panel (16 columns) 8 groups of 4 inputs, [2][8][16][4] bytes, so that 64 consecutive
 * bytes feed one 512-bit dot product; with 4 bits two groups share their bytes, the first in the low nibbles: [2][4][16][4]. Packers with
 * planes keep 8-bit codes that span no more than 64 less their lowest one in 5 or 6 bits: for each half of the panel four bits as nibbles, and behind
 * them the others as planes, [1][16][4] of 8 groups' or [2][16][4] of 4 groups' bits, the first group's lowest.
 */
#ifndef DIMPLE_CPU_CODE_PANELS_H
#define DIMPLE_CPU_CODE_PANELS_H

#include "backend/cpu/cpu.h"

/* Signed 8-bit codes as they are, or made unsigned by adding 128; the latter with planes. */
extern const code_packer signed_code_packer, unsigned_code_packer;
/* With planes; 8-bit codes that span no more than WIDEST_SPAN without their lowest one, others as they are. */
extern const code_packer span_code_packer;
enum { WIDEST_SPAN = 128 };
/* Signed ones whose 8-bit codes lie in groups of 8 inputs: [2][4][16][8]; 4-bit codes lie as in all. */
extern const code_packer signed_pair_packer;

static inline uint64_t load_eight(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

/* Two groups of four codes below 16, the second in the high nibbles. */
static inline uint32_t join_nibbles(uint64_t eight) { return (uint32_t)(eight | eight >> 28); }

/* While panels are packed: rows are read in turn, a block of each, which no processor foresees. */
static inline void prefetch_blocks_ahead(const uint8_t *block, int64_t size) {
  enum { BYTES_AHEAD = 320 };
  for (int64_t line = 0; line < size; line += 64) __builtin_prefetch(block + BYTES_AHEAD + line);
}

/* Stores the 32 codes of column `o` of a block, 8-bit ones in groups of 4 or 8 inputs; `target` is where the codes of its half of the panel begin. */
void code_panels_store(const uint8_t *codes, int32_t bits, int64_t group, int64_t o, uint8_t *target);

/* The lowest code of a format, or less. */
static inline int32_t lowest_code(const code_layout *l) {
  if (l->bits == 8) return l->positive ? 0 : -l->largest;
  int32_t lowest = l->table[0];
  for (int i = 1; i < 16; i++) lowest = l->table[i] < lowest ? l->table[i] : lowest;
  return lowest;
}

/* The highest code less the lowest one, or more. */
static inline int32_t code_span(const code_layout *l) { return l->largest - lowest_code(l); }

/* The code that span_code_packer's 0 stands for. */
static inline int32_t span_code_start(const code_layout *l) { return code_span(l) <= WIDEST_SPAN ? lowest_code(l) : 0; }

/* The bits of a code in a panel of a packer with planes. Codes as far apart as 32 or 64 have the lower one alone at such a distance (code_layout). */
static inline int32_t plane_bits(const code_layout *l) {
  if (l->bits == 4) return 4;
  int32_t span = code_span(l);
  return span <= 32 ? 5 : span <= 64 ? 6 : 8;
}

/* Whether entry i of a table of 4-bit codes is i. */
static inline bool is_linear(const int8_t table[16]) {
  bool linear = true;
  for (int8_t i = 0; i < 16; i++) linear = linear && table[i] == i;
  return linear;
}

/* Parts of a unit, in bytes from its start. */
typedef struct unit_layout {
  int64_t minimum;        /* half minimum or dmin */
  int64_t factor;         /* super only */
  int64_t minimum_factor; /* super only; float scales have none of the three */
  int64_t codes;
  int64_t block_codes; /* bytes of one block's codes */
  int64_t size;
} unit_layout;

static inline unit_layout unit_layout_of(const code_layout *l, int32_t bits) {
  int64_t stretches = (int64_t)l->unit_blocks * l->halves, halfs = PANEL * 2, factors = l->unit_blocks > 1 ? stretches * PANEL : 0;
  unit_layout u = {.minimum = halfs, .block_codes = PANEL * BLOCK * bits / 8};
  if (l->float_scales) {
    u.minimum = stretches * PANEL * 4;
    factors = 0;
  }
  u.factor = u.minimum + (l->has_minimum ? halfs : 0);
  u.minimum_factor = u.factor + factors;
  u.codes = u.minimum_factor + (l->has_minimum ? factors : 0);
  u.size = u.codes + u.block_codes * l->unit_blocks;
  return u;
}

/* A piece of a panel, unpacked for the kernels (unpack_template.h). */
typedef struct code_chunk {
  _Alignas(64) uint8_t expanded[CHUNK_BLOCKS * PANEL * BLOCK]; /* room for codes as bytes, or of fewer blocks in more bits */
  float scale[CHUNK_BLOCKS * 2 * PANEL];                       /* [blocks][halves][PANEL] */
  float minimum[CHUNK_BLOCKS * 2 * PANEL];                     /* the same, if has_minimum */
  _Alignas(64) int16_t factor[CHUNK_BLOCKS][PANEL][2];         /* of the halves, if `factors`; then `scale` is the d of each 8 blocks, [PANEL] */
  const uint8_t *codes[CHUNK_BLOCKS];                          /* [2][8][16][4] or [2][4][16][8] bytes, or [8][4][32][4] (x86/code_tile_avx2_wide.h); packed: as they lie */
  const uint8_t *beside;                                       /* what a level keeps of the tile's blocks behind their records: BESIDE_SIZE each */
  const uint8_t *next_records, *next_beside;                   /* of the tile that is multiplied next, to be asked for */
  const uint8_t *ahead;                                        /* weights to ask for while the chunk is multiplied, */
  int64_t ahead_size;                                          /* so many bytes for each block (SHARES_AHEAD), or block and half of the panel; 0: none */
  int32_t bits;                                                /* of a code: 8 or more, or as it is packed */
  int32_t lift;                                                /* to be added to packed codes of 5 or 6 bits */
  const int8_t *table;                                         /* what packed codes of 4 bits stand for */
  int64_t blocks;
  int64_t halves;
  int32_t largest; /* absolute value of a code, or more */
  int32_t span;    /* code_span */
  int32_t start;   /* what code 0 stands for: 0 but with span_code_packer */
  bool has_minimum;
  bool packed;  /* codes as they lie in the panel */
  bool linear;  /* entry i of `table` is i */
  bool factors; /* as a kernel asks for by keeps_factors */
  bool keeps;   /* packed codes are written to `expanded` as they are multiplied */
  bool streams; /* few rows share the chunk: whoever multiplies asks for what comes next */
} code_chunk;

#endif
