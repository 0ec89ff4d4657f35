/* AMX tiles for products with quantized and 16-bit weights, AVX-512 for the rest. The order of the includes is that of the templates' needs. */
#define KERNELS cpu_kernels_amx

#include "backend/cpu/x86/simd_avx512.h"

#include "backend/cpu/math_template.h"

#include "backend/cpu/product_template.h"

#include "backend/cpu/x86/amx_tiles.h"
#include "backend/cpu/x86/floats_amx.h"

#include "backend/cpu/x86/code_tile_amx.h"

#include "backend/cpu/codes_dot_template.h"

#include "backend/cpu/x86/codes_amx.h"

#include "backend/cpu/kernels_template.h"
