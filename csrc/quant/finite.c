/* Looks for numbers that are none. */
#include <math.h>
#include <string.h>

#include "quant/block_formats.h"

/* The exponent of a float32, a half float or a bfloat16, all of whose bits say NaN or infinity. */
static const uint32_t float_exponent = 0x7f800000;
static const uint16_t half_exponent = 0x7c00, bfloat16_exponent = 0x7f80;

static bool is_finite_half(uint16_t half) { return (half & half_exponent) != half_exponent; }

static bool is_finite_element(const block_format *f, const uint8_t *element) {
  uint32_t single;
  uint16_t half;
  if (f->block_size == 4) {
    memcpy(&single, element, sizeof single);
    return (single & float_exponent) != float_exponent;
  }
  memcpy(&half, element, sizeof half);
  const uint16_t exponent = f->type == DIMPLE_TENSOR_BF16 ? bfloat16_exponent : half_exponent;
  return (half & exponent) != exponent;
}

/* Half floats are scales of numbers that stay finite; with scales of their own range they may not. */
static bool is_finite_block(const block_format *f, const uint8_t *block) {
  if (f->codes.float_scales) {
    float numbers[256];
    bool finite = true;
    f->dequantize(block, numbers, 1);
    for (int32_t i = 0; i < f->block_length; i++) finite &= isfinite(numbers[i]) != 0;
    return finite;
  }
  unpacked_block unpacked = {0};
  f->unpack(block, &unpacked);
  return is_finite_half(unpacked.d) && (!f->codes.has_minimum || is_finite_half(unpacked.dmin));
}

int64_t block_format_find_not_finite(const block_format *f, const uint8_t *source, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += f->block_size)
    if (!(f->unpack ? is_finite_block(f, source) : is_finite_element(f, source))) return b * f->block_length;
  return -1;
}
