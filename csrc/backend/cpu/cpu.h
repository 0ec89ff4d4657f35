/*
 * What the portable part of the CPU backends (operations.c, weights.c) and the kernels of one instruction set share: the
 * layouts of packed weights and activations, and the table of kernels.
 */
#ifndef DIMPLE_CPU_H
#define DIMPLE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/cpu/pool.h"
#include "quant/block_formats.h"

enum {
  PANEL = 32,        /* output columns that are packed and computed together */
  BLOCK = 32,        /* inputs that share a scale: the unit of integer products */
  GROUP_ROWS = 96,   /* rows of x that one work item multiplies; a multiple of every kernel's row tile */
  CHUNK_BLOCKS = 16, /* blocks of a panel that are unpacked at a time and used for all rows of the group: 16 KiB of bytes */
  CHUNK_FLOATS = 256 /* inputs of a float panel that are widened at a time: 32 KiB */
};

/*
 * Packed weights. Output columns are cut into panels of PANEL, the last one filled up with zeros.
 *
 * Float types: a panel is [columns][PANEL] elements of the file's type (PACKED_F32, _F16, _BF16).
 *
 * Quantized types: a weight is scale * code + minimum, where code is a 4-bit index into a table of 16 bytes or a signed byte.
 * A panel is a sequence of units, each of `unit_blocks` blocks of 32 inputs:
 *   plain (unit_blocks 1): half scale[PANEL], half minimum[PANEL] if has_minimum, codes
 *   super (unit_blocks 8): half d[PANEL], half dmin[PANEL] if has_minimum, int8 factor[8 * halves][PANEL],
 *                          uint8 minimum factor[8 * halves][PANEL] if has_minimum, codes; scale = d * factor,
 *                          minimum = -dmin * minimum factor
 * `halves` is 2 where 16 inputs share a scale. The codes of a block: for each half of the panel (16 columns) 8 groups of 4
 * inputs, [2][8][16][4] bytes, so that 64 consecutive bytes feed one 512-bit dot product; with 4 bits two groups share their bytes,
 * the first in the low nibbles: [2][4][16][4].
 */
typedef enum packing { PACKED_F32, PACKED_F16, PACKED_BF16, PACKED_CODES, PACKINGS } packing;

typedef struct code_layout {
  int32_t bits; /* 4 or 8 */
  int32_t halves;
  int32_t unit_blocks;
  bool has_minimum;
  int8_t table[16]; /* 4 bits: the value of each code */
} code_layout;

struct weight {
  const block_format *format;
  int64_t rows;
  int64_t columns;
  const uint8_t *file_rows; /* WEIGHT_ROWS: the caller's bytes */
  float *vector;            /* WEIGHT_VECTOR */
  packing packing;          /* WEIGHT_LINEAR */
  code_layout layout;
  int64_t panel_size; /* bytes */
  uint8_t *panels;
};

static inline int64_t weight_panels(const weight *w) { return (w->rows + PANEL - 1) / PANEL; }

/* Parts of a unit, in bytes from its start. */
typedef struct unit_layout {
  int64_t minimum;        /* half minimum or dmin */
  int64_t factor;         /* super only */
  int64_t minimum_factor; /* super only */
  int64_t codes;
  int64_t block_codes; /* bytes of one block's codes */
  int64_t size;
} unit_layout;

static inline unit_layout unit_layout_of(const code_layout *l) {
  int64_t halfs = PANEL * 2, factors = l->unit_blocks > 1 ? (int64_t)l->unit_blocks * l->halves * PANEL : 0;
  unit_layout u = {.minimum = halfs, .block_codes = PANEL * BLOCK * l->bits / 8};
  u.factor = u.minimum + (l->has_minimum ? halfs : 0);
  u.minimum_factor = u.factor + factors;
  u.codes = u.minimum_factor + (l->has_minimum ? factors : 0);
  u.size = u.codes + u.block_codes * l->unit_blocks;
  return u;
}

/* How a block format is packed as codes; false for float types and formats that are not quantized. */
bool code_layout_of(int32_t type, code_layout *out);

/* One unit's worth of one row of a quantized tensor, taken apart. */
typedef struct unpacked_unit {
  uint8_t codes[256]; /* table indices (4 bits) or signed bytes (8) */
  uint16_t d, dmin;   /* halves */
  int8_t factor[16];
  uint8_t minimum_factor[16];
} unpacked_unit;
void unpack_unit(int32_t type, const uint8_t *source, unpacked_unit *out);

/* How kernels want activations: cut into tiles of `tile_rows` rows, the last one filled up with zeros, each laid out as suits
 * the instruction set. */
typedef struct activation_form {
  int64_t tile_rows; /* divides GROUP_ROWS */
  int64_t (*tile_size)(int64_t columns); /* bytes */
  /* Lays out up to tile_rows rows of x, `stride` floats apart. */
  void (*prepare)(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile);
} activation_form;

/* Activations in one form. */
typedef struct prepared {
  const activation_form *form;
  uint8_t *tiles;
  int64_t tile_size;
} prepared;

/* What the head keeps of one row and one chunk of the vocabulary. Sums are relative to `best`, the chunk's highest logit. */
typedef struct chunk_summary {
  float best, second;
  int32_t best_token; /* within the chunk */
  int32_t drawn_token;
  float drawn_logit;
  float sum, mean;         /* sum exp(z - best), sum exp(z - best) (z - best) */
  float hot_sum, hot_mean; /* the same of z / temperature */
} chunk_summary;

/* A block of attention that one item computes: query heads [head, head + head_count) of one key head and query rows
 * [row, row_end), against keys [key, key_end). */
typedef struct attention_block {
  int64_t row, row_end, key, key_end;
} attention_block;

enum { ATTENTION_ROWS = 96, ATTENTION_SIZE = 256 }; /* query rows x heads of an item; largest head */

typedef struct cpu_kernels {
  const activation_form *forms[PACKINGS]; /* what each packing of weights is multiplied with */
  uint8_t code_flip;        /* exclusive-or of 8-bit codes and table entries: 0x80 makes them unsigned, offset by 128 */
  int64_t multiply_scratch; /* bytes */
  int64_t attention_scratch;

  /* y [rows x PANEL] = x times panel `panel` of w, from the tiles of x on; rows <= GROUP_ROWS. */
  void (*multiply)(const weight *w, int64_t panel, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                   void *scratch);

  /* The end of a linear operation for one panel: `count` columns from `first` on, from products a (and b for SWIGLU), both
   * [rows x PANEL]. */
  void (*finish)(const linear_output *out, int64_t first, int64_t count, int64_t row, int64_t rows, const float *a,
                 const float *b);

  void (*rms_norm)(float *y, const float *x, const float *w, int64_t columns, float epsilon); /* one row */
  void (*add_scaled)(float *y, const float *x, float scale, int64_t columns); /* one row: y += scale * x */
  void (*rotary)(float *row, const float *cosine, const float *sine, int32_t heads, int32_t size);
  void (*attention)(const attention_call *call, const attention_block *block, int32_t head, int32_t head_count, void *scratch);
  /* `u` in (0, 1) picks the token; temperature 0: no draw. */
  void (*summarize)(const float *z, int64_t count, float temperature, float u, chunk_summary *out);
} cpu_kernels;

struct context {
  const cpu_kernels *kernels;
  cpu_pool *pool;
  uint8_t *lanes; /* [threads x lane_size]: every thread's scratch memory */
  int64_t lane_size;
  uint8_t *activations; /* the prepared x of the current operation; kept for the next one */
  int64_t activations_size;
};

dimple_status cpu_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out);
void cpu_weight_free(weight *w);
int64_t cpu_weight_bytes(const weight *w);

#endif
