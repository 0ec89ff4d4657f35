/* NEON with products of small byte matrices (FEAT_I8MM, optional from ARMv8.1 on). The order of the includes is that of the templates' needs. */
#define KERNELS cpu_kernels_neon_i8mm

#include "backend/cpu/arm/simd_neon.h"

#include "backend/cpu/math_template.h"

#include "backend/cpu/product_template.h"

#include "backend/cpu/arm/code_tile_i8mm.h"

#include "backend/cpu/codes_dot_template.h"

#include "backend/cpu/kernels_template.h"
