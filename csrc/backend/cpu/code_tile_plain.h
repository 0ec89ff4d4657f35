/* Integer tiles in plain loops. */
#include "backend/cpu/code_chunk.h"

enum { CODE_ROWS = 4, CODE_FLIP = 0, SUM_FACTOR = 1, NARROW_CODES = 0 };

/* dots [PANEL] = the codes of `inputs` inputs, from group `g` on, times q. */
static void dot_panel(const uint8_t *codes, int64_t g, const int8_t *q, int64_t inputs, int32_t *dots) {
  memset(dots, 0, PANEL * sizeof *dots);
  for (int64_t k = 0; k < inputs; k += 4) {
    for (int64_t half = 0; half < 2; half++) {
      const int8_t *w = (const int8_t *)codes + half * 512 + (g + k / 4) * 64;
      for (int64_t o = 0; o < 16; o++)
        dots[half * 16 + o] += q[k] * w[o * 4] + q[k + 1] * w[o * 4 + 1] + q[k + 2] * w[o * 4 + 2] + q[k + 3] * w[o * 4 + 3];
    }
  }
}

static void multiply_code_tile(const code_chunk *chunk, const uint8_t *records, int64_t rows, float *y) {
  for (int64_t b = 0; b < chunk->blocks; b++) {
    const code_record record = code_record_at(records, b, CODE_ROWS);
    for (int64_t h = 0; h < chunk->halves; h++) {
      const float *scale = chunk->scale + (b * chunk->halves + h) * PANEL;
      const float *minimum = chunk->minimum + (b * chunk->halves + h) * PANEL;
      int64_t inputs = BLOCK / chunk->halves;
      for (int64_t r = 0; r < rows; r++) {
        int32_t dots[PANEL];
        dot_panel(chunk->codes[b], h * inputs / 4, record.q + r * BLOCK + h * inputs, inputs, dots);
        float *out = y + r * PANEL;
        for (int64_t o = 0; o < PANEL; o++) out[o] += record.scale[r] * scale[o] * (float)dots[o];
        if (!chunk->has_minimum) continue;
        int32_t sum = chunk->halves == 1 ? record.total[r] : h == 0 ? record.first[r] : record.total[r] - record.first[r];
        for (int64_t o = 0; o < PANEL; o++) out[o] += record.scale[r] * (float)sum * minimum[o];
      }
    }
  }
}
