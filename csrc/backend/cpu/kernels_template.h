/* The kernel table of one instruction set, put together from the templates. Wants before it: the macro KERNELS (the
 * table's name), a simd_*.h, math_template.h, product_template.h and a code_tile_*.h. */
#include <float.h>
#include <math.h>

#include "backend/cpu/attention_template.h"
#include "backend/cpu/codes_template.h"
#include "backend/cpu/head_template.h"
#include "backend/cpu/rows_template.h"

_Static_assert(GROUP_ROWS % FLOAT_ROWS == 0 && GROUP_ROWS % CODE_ROWS == 0, "a group of rows is cut into whole tiles");

const cpu_kernels KERNELS = {
    .float_rows = FLOAT_ROWS,
    .quantized_rows = CODE_ROWS,
    .code_flip = CODE_FLIP,
    .multiply_scratch = sizeof(union multiply_scratch),
    .attention_scratch = sizeof(attention_scratch),
    .pack_floats = pack_floats,
    .quantize = quantize,
    .multiply = multiply,
    .finish = finish,
    .rms_norm = rms_norm,
    .add_scaled = add_scaled,
    .rotary = rotary,
    .attention = attention,
    .summarize = summarize,
};
