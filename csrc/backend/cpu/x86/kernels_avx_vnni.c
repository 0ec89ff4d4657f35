/* AVX2 with 8-bit dot products. The order of the includes is that of the templates' needs. */
#define KERNELS cpu_kernels_avx_vnni

#include "backend/cpu/x86/simd_avx2.h"

#include "backend/cpu/math_template.h"

#include "backend/cpu/product_template.h"

#include "backend/cpu/x86/code_tile_vnni.h"

#include "backend/cpu/codes_dot_template.h"

#include "backend/cpu/kernels_template.h"
