/* Activations rounded to 8 bits, 32 at a time sharing a scale, as GGML does. */
#ifndef DIMPLE_CPU_CODE_RECORD_H
#define DIMPLE_CPU_CODE_RECORD_H

#include "backend/cpu/cpu.h"

/* A block of 32 inputs of a tile of rows: q [tile_rows][32] or [tile_rows / 2][4][2][8], scale, total and first [tile_rows] each. */
typedef struct code_record {
  const int8_t *q;
  const float *scale;
  const int32_t *total; /* the sum of the 32 bytes times the tile's SUM_FACTOR */
  const int32_t *first; /* that of the first 16 */
} code_record;

static inline int64_t code_record_size(int64_t tile_rows) { return tile_rows * (BLOCK + 3 * 4); }

static inline code_record code_record_at(const uint8_t *records, int64_t block, const int64_t tile_rows) {
  const uint8_t *at = records + block * code_record_size(tile_rows);
  code_record record = {.q = (const int8_t *)at, .scale = (const float *)(at + tile_rows * BLOCK)};
  record.total = (const int32_t *)(record.scale + tile_rows);
  record.first = record.total + tile_rows;
  return record;
}

#endif
