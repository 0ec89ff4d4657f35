/* NEON alone, as every AArch64 processor has it. The order of the includes is that of the templates' needs. */
#define KERNELS cpu_kernels_neon

#include "backend/cpu/arm/simd_neon.h"

#include "backend/cpu/math_template.h"

#include "backend/cpu/product_template.h"

#include "backend/cpu/arm/code_tile_neon.h"

#include "backend/cpu/codes_dot_template.h"

#include "backend/cpu/kernels_template.h"
