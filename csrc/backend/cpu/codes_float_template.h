/* Products of quantized weights where there is no integer dot product: weights are decoded a chunk at a time and multiplied
 * as floats. Wants product_template.h before it, and goes with every simd_*.h. One of the two definitions of CODE_PACKER, code_form,
 * multiply_scratch and multiply_codes that kernels_template.h asks for; the other is codes_dot_template.h. */
#include "backend/cpu/unpack_template.h"

#define CODE_PACKER signed_code_packer

static const activation_form code_form = {FLOAT_ROWS, float_tile_size, pack_floats};

union multiply_scratch {
  struct {
    code_chunk chunk;
    float decoded[CHUNK_BLOCKS * BLOCK * PANEL];
  };
  float widened[2 * CHUNK_FLOATS * PANEL];
};

/* target [blocks * BLOCK][PANEL] */
static void decode_chunk(const code_chunk *chunk, float *target) {
  for (int64_t b = 0; b < chunk->blocks; b++) {
    for (int64_t k = 0; k < BLOCK; k++, target += PANEL) {
      int64_t scales = (b * chunk->halves + k * chunk->halves / BLOCK) * PANEL;
      for (int64_t o = 0; o < PANEL; o++) {
        int8_t code = (int8_t)chunk->codes[b][o / 16 * 512 + k / 4 * 64 + o % 16 * 4 + k % 4];
        target[o] = chunk->scale[scales + o] * (float)code + (chunk->has_minimum ? chunk->minimum[scales + o] : 0);
      }
    }
  }
}

static void multiply_code_panel(const weight *w, int64_t panel, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           union multiply_scratch *scratch) {
  int64_t blocks = w->columns / BLOCK;
  for (int64_t first = 0; first < blocks; first += CHUNK_BLOCKS) {
    int64_t count = blocks - first < CHUNK_BLOCKS ? blocks - first : CHUNK_BLOCKS;
    unpack_chunk(w, panel, first, count, w->layout.table, false, &scratch->chunk);
    decode_chunk(&scratch->chunk, scratch->decoded);
    for (int64_t r = 0; r < rows; r += FLOAT_ROWS) {
      const int64_t some = rows - r < FLOAT_ROWS ? rows - r : FLOAT_ROWS;
      const float *x = (const float *)(tiles + r / FLOAT_ROWS * tile_size) + first * BLOCK * some;
      const weights_ahead none = {(const uint8_t *)scratch->decoded, 0};
      float_tile(x, none.from, count * BLOCK, &none, some, y + r * PANEL);
    }
  }
}

static void multiply_codes(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                           union multiply_scratch *scratch) {
  for (int64_t p = 0; p < panels; p++) multiply_code_panel(w, panel + p, tiles, tile_size, rows, y + p * GROUP_ROWS * PANEL, scratch);
}
