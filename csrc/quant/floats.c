/*
 * Unquantised types: F32, IEEE half (F16) and bfloat16 (BF16), little-endian. Conversions work on bit patterns without
 * branches, so that the compiler vectorises the loops over them. Both directions keep NaN (made quiet, as F16C does) and
 * infinities; float32 to the short types rounds to nearest, ties to even.
 */
#include <float.h>
#include <string.h>

#include "families.h"

static inline uint32_t bits_of(float value) {
  union { float f; uint32_t u; } word = {value};
  return word.u;
}

static inline float float_of(uint32_t bits) {
  union { uint32_t u; float f; } word = {bits};
  return word.f;
}

/* Half: 1 sign, 5 exponent (bias 15), 10 fraction bits. float32: 1, 8 (bias 127), 23. */
static inline float widen_half(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16;
  uint32_t shifted = (uint32_t)(half & 0x7fff) << 13;    /* exponent and fraction in float32's places */
  uint32_t normal = shifted + ((127u - 15u) << 23);
  uint32_t special = shifted | 0xffu << 23 | ((shifted & 0x7fffff) ? 0x400000u : 0); /* infinity and quiet NaN */
  /* Subnormal: fraction * 2^-24. With 2^-14 as exponent the fraction sits behind an implicit one; subtract that. */
  uint32_t subnormal = bits_of(float_of(shifted + (113u << 23)) - float_of(113u << 23));
  uint32_t magnitude = shifted < 0x00800000u ? subnormal : shifted >= 0x0f800000u ? special : normal;
  return float_of(sign | magnitude);
}

static inline uint16_t narrow_to_half(float value) {
  uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  uint32_t sign = bits >> 16 & 0x8000;
  /* Adding half a unit in the last place less the parity of the kept bits rounds to nearest even; a carry into the exponent
   * is right, up to infinity from 65520 on. */
  uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  /* Below 2^-14: adding 0.5 makes the unit in the last place 2^-24, half's, and the addition itself rounds. */
  uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f);
  uint32_t special = magnitude > 0x7f800000u ? 0x7e00 | (magnitude >> 13 & 0x1ff) : 0x7c00;
  uint32_t half = magnitude < 0x38800000u ? subnormal : magnitude >= 0x47800000u ? special : normal;
  return (uint16_t)(sign | half);
}

static inline uint16_t narrow_to_bfloat16(float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000u ? bits >> 16 | 0x40 : rounded);
}

float half_to_float(uint16_t half) { return widen_half(half); }
uint16_t float_to_half(float value) { return narrow_to_half(value); }

uint16_t finite_half(float value) {
  value = value > LARGEST_HALF ? LARGEST_HALF : value;
  return narrow_to_half(value < -LARGEST_HALF ? -LARGEST_HALF : value);
}

uint16_t float_to_bfloat16(float value) { return narrow_to_bfloat16(value); }

static void dequantize_f32(const uint8_t *source, float *target, int64_t blocks) {
  memcpy(target, source, (size_t)blocks * sizeof(float));
}

static void quantize_f32(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  (void)importance;
  memcpy(target, source, (size_t)blocks * sizeof(float));
}

/* memcpy of two bytes: rows in a file need not be aligned. */
static void dequantize_f16(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t i = 0; i < blocks; i++) {
    uint16_t half;
    memcpy(&half, source + 2 * i, sizeof half);
    target[i] = widen_half(half);
  }
}

static void quantize_f16(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  (void)importance;
  for (int64_t i = 0; i < blocks; i++) {
    uint16_t half = narrow_to_half(source[i]);
    memcpy(target + 2 * i, &half, sizeof half);
  }
}

static void dequantize_bf16(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t i = 0; i < blocks; i++) {
    uint16_t bits;
    memcpy(&bits, source + 2 * i, sizeof bits);
    target[i] = bfloat16_to_float(bits);
  }
}

static void quantize_bf16(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  (void)importance;
  for (int64_t i = 0; i < blocks; i++) {
    uint16_t bits = narrow_to_bfloat16(source[i]);
    memcpy(target + 2 * i, &bits, sizeof bits);
  }
}

const block_format format_f32 = {
    .type = DIMPLE_TENSOR_F32, .name = "f32", .block_length = 1, .block_size = 4, .largest = FLT_MAX,
    .dequantize = dequantize_f32, .quantize = quantize_f32};
const block_format format_f16 = {
    .type = DIMPLE_TENSOR_F16, .name = "f16", .block_length = 1, .block_size = 2, .largest = LARGEST_HALF,
    .dequantize = dequantize_f16, .quantize = quantize_f16};
/* The largest bfloat16: eight significant bits, all ones. */
const block_format format_bf16 = {
    .type = DIMPLE_TENSOR_BF16, .name = "bf16", .block_length = 1, .block_size = 2, .largest = 0x1.fep127f,
    .dequantize = dequantize_bf16, .quantize = quantize_bf16};
