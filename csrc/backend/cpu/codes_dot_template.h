/*
 * Products of quantized weights and quantized activations by integer dot products. Wants product_template.h and a code_tile_*.h
 * before it, which defines
 *   CODE_ROWS     its row tile
 *   CODE_FLIP     see cpu_kernels.code_flip
 *   SUM_FACTOR    see code_record
 *   NARROW_CODES  see unpack_chunk
 *   multiply_code_tile(chunk, records, rows, y): y [rows x PANEL] += the chunk's products with the records of one tile.
 */
#include "backend/cpu/unpack_template.h"

static void quantize(const float *x, int64_t stride, int64_t rows, int64_t columns, uint8_t *tile) {
  for (int64_t k = 0; k < columns; k += BLOCK) {
    int8_t *q = (int8_t *)tile;
    float *scale = (float *)(tile + CODE_ROWS * BLOCK);
    int32_t *total = (int32_t *)(scale + CODE_ROWS), *first = total + CODE_ROWS;
    for (int64_t r = 0; r < rows; r++) {
      quantize_block(x + r * stride + k, q + r * BLOCK, &scale[r], &first[r], &total[r]);
      first[r] = (int32_t)((uint32_t)first[r] * (uint32_t)SUM_FACTOR);
      total[r] = (int32_t)((uint32_t)total[r] * (uint32_t)SUM_FACTOR);
    }
    for (int64_t r = rows; r < CODE_ROWS; r++) {
      memset(q + r * BLOCK, 0, BLOCK);
      scale[r] = 0;
      total[r] = first[r] = 0;
    }
    tile += code_record_size(CODE_ROWS);
  }
}

static int64_t code_tile_size(int64_t columns) { return (columns / BLOCK * code_record_size(CODE_ROWS) + 63) / 64 * 64; }

static const activation_form code_form = {CODE_ROWS, code_tile_size, quantize};

union multiply_scratch {
  code_chunk chunk;
  float widened[CHUNK_FLOATS * PANEL];
};

static void multiply_codes(const weight *w, int64_t panel, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           union multiply_scratch *scratch) {
  code_chunk *chunk = &scratch->chunk;
  const int64_t blocks = w->columns / BLOCK, record_size = code_record_size(CODE_ROWS);
  const int64_t block_size = w->panel_size / blocks;
  for (int64_t first = 0; first < blocks; first += CHUNK_BLOCKS) {
    int64_t count = blocks - first < CHUNK_BLOCKS ? blocks - first : CHUNK_BLOCKS;
    unpack_chunk(w, panel, first, count, NARROW_CODES, chunk);
    const uint8_t *next = w->panels + panel * w->panel_size + (first + count) * block_size;
    for (int64_t r = 0; r < rows; r += CODE_ROWS) {
      prefetch_part(next, CHUNK_BLOCKS * block_size, r, rows);
      const uint8_t *records = tiles + r / CODE_ROWS * tile_size + first * record_size;
      multiply_code_tile(chunk, records, rows - r < CODE_ROWS ? rows - r : CODE_ROWS, y + r * PANEL);
    }
  }
}

