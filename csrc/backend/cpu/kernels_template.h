/* The kernel table of one instruction set, put together from the templates. Wants before it: the macro KERNELS (the table's
 * name), a simd_*.h, math_template.h, product_template.h and a codes_*.h; HALF_FORM and MULTIPLY_HALVES if 16-bit floats are not
 * multiplied like 32-bit ones. */
#include <float.h>
#include <math.h>

#include "backend/cpu/attention_template.h"
#include "backend/cpu/head_template.h"
#include "backend/cpu/rows_template.h"

#ifndef HALF_FORM
#define HALF_FORM float_form
#define MULTIPLY_HALVES multiply_floats
#endif

static void multiply(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                     void *scratch) {
  for (int64_t p = 0; p < panels; p++) memset(y + p * GROUP_ROWS * PANEL, 0, (size_t)rows * PANEL * sizeof(float));
  if (w->packing == PACKED_CODES)
    multiply_codes(w, panel, panels, tiles, tile_size, rows, y, scratch);
  else if (w->packing == PACKED_F32)
    multiply_floats(w, panel, panels, tiles, tile_size, rows, y, scratch);
  else
    MULTIPLY_HALVES(w, panel, panels, tiles, tile_size, rows, y, scratch);
}

const cpu_kernels KERNELS = {
    .forms = {[PACKED_F32] = &float_form, [PACKED_F16] = &HALF_FORM, [PACKED_BF16] = &HALF_FORM, [PACKED_CODES] = &code_form},
    .packer = &CODE_PACKER,
    .multiply_scratch = sizeof(union multiply_scratch),
    .attention_scratch = sizeof(attention_scratch),
    .multiply = multiply,
    .finish = finish,
    .rms_norm = rms_norm,
    .add_scaled = add_scaled,
    .rotary = rotary,
    .attention = attention,
    .summarize = summarize,
};
