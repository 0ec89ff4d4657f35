/*
 * The kernel table of one level of levels.cmake, put together from the templates. Wants before it, in this order:
 *   KERNELS              the table's name, cpu_kernels_ and the level
 *   simd_*.h, math_template.h, product_template.h
 *   HALF_FORM and MULTIPLY_HALVES, both or none, if 16-bit floats are not multiplied like 32-bit ones (x86/floats_amx.h)
 *   MEAN_FORM and ADD_MEANS, likewise, if the products of a vocabulary's mean are not
 *   CODE_PACKER, code_form, multiply_scratch and multiply_codes, from one of
 *     codes_float_template.h    any simd_*.h
 *     codes_dot_template.h      behind a code_tile_*.h, which says which simd_*.h it takes
 *   FIXED_PACKER, FIXED_FORM and MULTIPLY_FIXED, all or none, if codes with a scale for 16 inputs are multiplied in another way (x86/codes_amx.h)
 * multiply_scratch has room for 2 * CHUNK_FLOATS * PANEL floats, which two float panels are widened into.
 */
#include <float.h>
#include <math.h>

#include "quant/kv_rows.h"

#include "backend/cpu/attention_template.h"
#include "backend/cpu/head_template.h"
#include "backend/cpu/peak_template.h"
#include "backend/cpu/rows_template.h"

#ifndef HALF_FORM
#define HALF_FORM float_form
#define MULTIPLY_HALVES multiply_floats
#endif
#ifndef MEAN_FORM
#define MEAN_FORM float_form
#define ADD_MEANS multiply_floats
#endif
#ifndef FIXED_PACKER
#define FIXED_PACKER NULL
#define FIXED_FORM NULL
#define MULTIPLY_FIXED multiply_codes
#endif

_Static_assert(sizeof(union multiply_scratch) <= MULTIPLY_SCRATCH && sizeof(attention_scratch) <= CPU_SCRATCH,
               "a thread's scratch memory holds what the kernels want");

static void multiply(const weight *w, int64_t panel, int64_t panels, const uint8_t *tiles, int64_t tile_size, int64_t rows, float *y,
                     void *scratch) {
  for (int64_t p = 0; p < panels; p++) memset(y + p * GROUP_ROWS * PANEL, 0, (size_t)rows * PANEL * sizeof(float));
  if (w->packing == PACKED_CODES)
    multiply_codes(w, panel, panels, tiles, tile_size, rows, y, scratch);
  else if (w->packing == PACKED_FIXED)
    MULTIPLY_FIXED(w, panel, panels, tiles, tile_size, rows, y, scratch);
  else if (w->packing == PACKED_F32)
    multiply_floats(w, panel, panels, tiles, tile_size, rows, y, scratch);
  else
    MULTIPLY_HALVES(w, panel, panels, tiles, tile_size, rows, y, scratch);
}

const cpu_kernels KERNELS = {
    .forms = {[PACKED_F32] = &float_form, [PACKED_F16] = &HALF_FORM, [PACKED_BF16] = &HALF_FORM, [PACKED_CODES] = &code_form, [PACKED_FIXED] = FIXED_FORM},
    .packers = {[PACKED_CODES] = &CODE_PACKER, [PACKED_FIXED] = FIXED_PACKER},
    .multiply = multiply,
    .finish = finish,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .add_scaled = add_scaled,
    .rotary = rotary,
    .attention = attention,
    .summarize = summarize,
    .peak_floats = peak_floats,
    .peak_codes = PEAK_CODES,
    .cap = cap,
    .diverge = diverge,
    .find_above = find_above,
    .soften = soften_logits,
    .mean_form = &MEAN_FORM,
    .add_means = ADD_MEANS,
};
