/*
 * Weights of -1, 0 and 1 times one scale: super-blocks of 256. Read only.
 *   TQ1_0  five weights in a byte b, as the digits of a number in base 3 that is b / 256 of the whole, the first one leading: of 32 bytes,
 *          then of 16; of the last 4 bytes four digits; half d       x = d (digit - 1)
 *   TQ2_0  four weights of 2 bits in a byte, of 32 bytes at a time, lowest first; half d
 * Weights with the same place in their bytes follow one another. Formats are ggml's (src/ggml-common.h, block_tq*).
 */
#include "families.h"

enum { SUPER = 256, TQ1_D = 52, TQ1_SIZE = TQ1_D + 2, TQ2_D = SUPER / 4, TQ2_SIZE = TQ2_D + 2 };

#define LEVELS {-1, 0, 1, 2}

static void unpack_scale(const uint8_t *half, unpacked_block *out) {
  for (int j = 0; j < SUPER / 32; j++) out->scale[j] = half_to_float(load_half_bits(half));
}

/* `digits` of each of `count` bytes. */
static uint8_t *unpack_digits(const uint8_t *bytes, int count, int digits, uint8_t *codes) {
  static const uint8_t power[5] = {1, 3, 9, 27, 81};
  for (int n = 0; n < digits; n++)
    for (int i = 0; i < count; i++) *codes++ = (uint8_t)((uint8_t)(bytes[i] * power[n]) * 3 >> 8);
  return codes;
}

static inline void unpack_tq1_0(const uint8_t *source, unpacked_block *out) {
  unpack_scale(source + TQ1_D, out);
  uint8_t *codes = unpack_digits(source, 32, 5, out->codes);
  codes = unpack_digits(source + 32, 16, 5, codes);
  unpack_digits(source + 48, 4, 4, codes);
}

static inline void unpack_tq2_0(const uint8_t *source, unpacked_block *out) {
  unpack_scale(source + TQ2_D, out);
  for (int i = 0; i < SUPER; i++) out->codes[i] = source[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3;
}

DEQUANTIZE_UNPACKED(tq1_0, TQ1_SIZE, SUPER, 32)
DEQUANTIZE_UNPACKED(tq2_0, TQ2_SIZE, SUPER, 32)

const block_format format_tq1_0 = {
    .type = DIMPLE_TENSOR_TQ1_0, .name = "tq1_0", .block_length = SUPER, .block_size = TQ1_SIZE, .dequantize = dequantize_tq1_0,
    .unpack = unpack_tq1_0, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 3, .float_scales = true, .table = LEVELS}};
const block_format format_tq2_0 = {
    .type = DIMPLE_TENSOR_TQ2_0, .name = "tq2_0", .block_length = SUPER, .block_size = TQ2_SIZE, .dequantize = dequantize_tq2_0,
    .unpack = unpack_tq2_0, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 3, .float_scales = true, .table = LEVELS}};
