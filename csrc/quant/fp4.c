/*
 * Floating-point numbers of 4 bits, E2M1: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives, with scales of 8 bits. Read only.
 *   MXFP4  blocks of 32: a scale of 8 bits of exponent (E8M0); nibbles, element i with element i + 16     (OCP Microscaling Formats 1.0)
 *   NVFP4  blocks of 64: of each 16 elements a scale without its sign (E4M3); of each 16 the nibbles, element i with element i + 8
 * Levels are doubled here, and scales halved. Formats are ggml's (src/ggml-common.h, block_mxfp4 and block_nvfp4).
 */
#include <math.h>

#include "families.h"

enum { MX_LENGTH = 32, MX_SIZE = 1 + MX_LENGTH / 2, NV_LENGTH = 64, NV_PART = 16, NV_PARTS = NV_LENGTH / NV_PART, NV_SIZE = NV_PARTS + NV_LENGTH / 2 };

#define LEVELS {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

static inline void unpack_mxfp4(const uint8_t *source, unpacked_block *out) {
  out->scale[0] = ldexpf(1, source[0] - 128);
  split_nibbles(source + 1, out->codes);
}

/* Half of E4M3, bias 7; its NaN is 0, as ggml has it. */
static float half_of_e4m3(uint8_t bits) {
  int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (bits == 0x7f) return 0;
  return exponent == 0 ? ldexpf((float)mantissa, -10) : ldexpf((float)(8 + mantissa), exponent - 11);
}

static inline void unpack_nvfp4(const uint8_t *source, unpacked_block *out) {
  for (int j = 0; j < NV_PARTS; j++) {
    const uint8_t *nibbles = source + NV_PARTS + j * NV_PART / 2;
    out->scale[j] = half_of_e4m3(source[j]);
    for (int i = 0; i < NV_PART; i++) out->codes[j * NV_PART + i] = nibbles[i % 8] >> i / 8 * 4 & 15;
  }
}

DEQUANTIZE_UNPACKED(mxfp4, MX_SIZE, MX_LENGTH, MX_LENGTH)
DEQUANTIZE_UNPACKED(nvfp4, NV_SIZE, NV_LENGTH, NV_PART)

const block_format format_mxfp4 = {
    .type = DIMPLE_TENSOR_MXFP4, .name = "mxfp4", .block_length = MX_LENGTH, .block_size = MX_SIZE, .dequantize = dequantize_mxfp4,
    .unpack = unpack_mxfp4, .codes = {.bits = 4, .halves = 1, .unit_blocks = 1, .largest = 12, .float_scales = true, .table = LEVELS}};
const block_format format_nvfp4 = {
    .type = DIMPLE_TENSOR_NVFP4, .name = "nvfp4", .block_length = NV_LENGTH, .block_size = NV_SIZE, .dequantize = dequantize_nvfp4,
    .unpack = unpack_nvfp4, .codes = {.bits = 4, .halves = 2, .unit_blocks = 2, .largest = 12, .float_scales = true, .table = LEVELS}};
