/* Portable C. The order of the includes is that of the templates' needs. */
#define KERNELS cpu_kernels_plain

#include "backend/cpu/simd_plain.h"

#include "backend/cpu/math_template.h"

#include "backend/cpu/product_template.h"

#include "backend/cpu/codes_float_template.h"

#include "backend/cpu/kernels_template.h"
