/*
 * GGML's first generation: blocks of 32 elements with one half-float scale d, and for the _1 formats a half-float
 * minimum m. Element i and element i + 16 share a byte, i in the low nibble. Fifth bits are a little-endian 32-bit mask.
 *   Q8_0  d, int8 q[32]                 x = q d
 *   Q4_0  d, nibbles                    x = (q - 8) d
 *   Q4_1  d, m, nibbles                 x = q d + m
 *   Q5_0  d, fifth bits, nibbles        x = (q - 16) d
 *   Q5_1  d, m, fifth bits, nibbles     x = q d + m
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "families.h"
#include "scale_fit.h"

enum { BLOCK = 32, HALF_BLOCK = BLOCK / 2 };

enum {
  Q8_0_SIZE = 2 + BLOCK,
  Q4_0_SIZE = 2 + HALF_BLOCK,
  Q4_1_SIZE = 4 + HALF_BLOCK,
  Q5_0_SIZE = 6 + HALF_BLOCK,
  Q5_1_SIZE = 8 + HALF_BLOCK
}; /* bytes of a block */

/* ------------------------------------------------------------------------------------------------------------ taking apart */

static inline void unpack_q8_0(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  memcpy(out->codes, source + 2, BLOCK);
}

static inline void unpack_q4_0(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  split_nibbles(source + 2, out->codes);
}

static inline void unpack_q4_1(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  out->dmin = load_half_bits(source + 2);
  split_nibbles(source + 4, out->codes);
}

/* 16 bytes of nibbles and a fifth bit each, less `offset`. */
static inline void join_fives(const uint8_t *bits, const uint8_t *nibbles, int offset, uint8_t *codes) {
  uint32_t high = load_half_bits(bits) | (uint32_t)load_half_bits(bits + 2) << 16;
  split_nibbles(nibbles, codes);
  for (int j = 0; j < BLOCK; j++) codes[j] = (uint8_t)((codes[j] | (high >> j & 1) << 4) - offset);
}

static inline void unpack_q5_0(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  join_fives(source + 2, source + 6, 16, out->codes);
}

static inline void unpack_q5_1(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  out->dmin = load_half_bits(source + 2);
  join_fives(source + 4, source + 8, 0, out->codes);
}

/* ---------------------------------------------------------------------------------------------------------------- decoding */

static void dequantize_q8_0(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q8_0_SIZE, target += BLOCK) {
    unpack_q8_0(source, &u);
    float d = half_to_float(u.d);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)(int8_t)u.codes[i] * d;
  }
}

static void dequantize_q4_0(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q4_0_SIZE, target += BLOCK) {
    unpack_q4_0(source, &u);
    float d = half_to_float(u.d);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)((int)u.codes[i] - 8) * d;
  }
}

static void dequantize_q4_1(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q4_1_SIZE, target += BLOCK) {
    unpack_q4_1(source, &u);
    float d = half_to_float(u.d), m = half_to_float(u.dmin);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)u.codes[i] * d + m;
  }
}

static void dequantize_q5_0(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q5_0_SIZE, target += BLOCK) {
    unpack_q5_0(source, &u);
    float d = half_to_float(u.d);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)(int8_t)u.codes[i] * d;
  }
}

static void dequantize_q5_1(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q5_1_SIZE, target += BLOCK) {
    unpack_q5_1(source, &u);
    float d = half_to_float(u.d), m = half_to_float(u.dmin);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)u.codes[i] * d + m;
  }
}

/* ---------------------------------------------------------------------------------------------------------------- encoding */

/* 255 levels leave nothing worth searching for: the largest magnitude becomes 127, ties round away from zero, as GGML does. */
static void quantize_q8_0(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  (void)importance;
  for (int64_t b = 0; b < blocks; b++, source += BLOCK, target += Q8_0_SIZE) {
    float largest = 0;
    for (int i = 0; i < BLOCK; i++) largest = fabsf(source[i]) > largest ? fabsf(source[i]) : largest;
    float d = largest / 127, inverse = inverse_of(d);
    store_half(target, d);
    for (int i = 0; i < BLOCK; i++) {
      float level = source[i] * inverse;
      int whole = (int)level;
      float rest = level - (float)whole;
      target[2 + i] = (uint8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
    }
  }
}

static inline void pack_nibbles(const uint8_t levels[BLOCK], uint8_t *target) {
  for (int i = 0; i < HALF_BLOCK; i++) target[i] = (uint8_t)((levels[i] & 15) | (levels[i + HALF_BLOCK] & 15) << 4);
}

static inline void pack_fifth_bits(const uint8_t levels[BLOCK], uint8_t *target) {
  for (int byte = 0; byte < BLOCK / 8; byte++) {
    int bits = 0;
    for (int i = 0; i < 8; i++) bits |= (levels[8 * byte + i] >> 4 & 1) << i;
    target[byte] = (uint8_t)bits;
  }
}

/* Searches the scale of a block, stores it as the half float at `half` and gives the levels nearest under what was stored,
 * shifted to start at 0. */
static void encode_symmetric(const float *x, const float *importance, int lowest, uint8_t *half, uint8_t levels[BLOCK]) {
  float weights[BLOCK];
  int8_t nearest[BLOCK];
  level_set set = {(float)lowest, (float)(-lowest - 1), -2 * lowest, NULL};
  fit_weights(importance, BLOCK, weights);
  float d = store_half(half, fit_symmetric(&set, x, weights, BLOCK));
  fit_levels(&set, x, BLOCK, inverse_of(d), nearest);
  for (int i = 0; i < BLOCK; i++) levels[i] = (uint8_t)(nearest[i] - lowest);
}

/* The same with a minimum, stored behind the scale. */
static void encode_affine(const float *x, const float *importance, int highest, uint8_t *halves, uint8_t levels[BLOCK]) {
  float weights[BLOCK];
  fit_weights(importance, BLOCK, weights);
  fit_line line = fit_affine(x, weights, BLOCK, highest, 0);
  float d = store_half(halves, line.scale), m = store_half(halves + 2, -line.offset);
  fit_affine_levels(x, BLOCK, inverse_of(d), -m, highest, levels);
}

static inline const float *block_of(const float *importance, int64_t b) { return importance ? importance + b * BLOCK : NULL; }

static void quantize_q4_0(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q4_0_SIZE) {
    uint8_t levels[BLOCK];
    encode_symmetric(source + b * BLOCK, block_of(importance, b), -8, target, levels);
    pack_nibbles(levels, target + 2);
  }
}

static void quantize_q4_1(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q4_1_SIZE) {
    uint8_t levels[BLOCK];
    encode_affine(source + b * BLOCK, block_of(importance, b), 15, target, levels);
    pack_nibbles(levels, target + 4);
  }
}

static void quantize_q5_0(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q5_0_SIZE) {
    uint8_t levels[BLOCK];
    encode_symmetric(source + b * BLOCK, block_of(importance, b), -16, target, levels);
    pack_fifth_bits(levels, target + 2);
    pack_nibbles(levels, target + 6);
  }
}

static void quantize_q5_1(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q5_1_SIZE) {
    uint8_t levels[BLOCK];
    encode_affine(source + b * BLOCK, block_of(importance, b), 31, target, levels);
    pack_fifth_bits(levels, target + 4);
    pack_nibbles(levels, target + 8);
  }
}

const block_format format_q8_0 = {
    .type = DIMPLE_TENSOR_Q8_0, .name = "q8_0", .block_length = BLOCK, .block_size = Q8_0_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q8_0, .quantize = quantize_q8_0, .unpack = unpack_q8_0,
    .codes = {.bits = 8, .halves = 1, .unit_blocks = 1, .largest = 128}};
const block_format format_q4_0 = {
    .type = DIMPLE_TENSOR_Q4_0, .name = "q4_0", .block_length = BLOCK, .block_size = Q4_0_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q4_0, .quantize = quantize_q4_0, .unpack = unpack_q4_0,
    .codes = {.bits = 4, .halves = 1, .unit_blocks = 1, .largest = 8, .table = LINEAR_CODES(8)}};
const block_format format_q4_1 = {
    .type = DIMPLE_TENSOR_Q4_1, .name = "q4_1", .block_length = BLOCK, .block_size = Q4_1_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q4_1, .quantize = quantize_q4_1, .unpack = unpack_q4_1,
    .codes = {.bits = 4, .halves = 1, .unit_blocks = 1, .largest = 15, .has_minimum = true, .table = LINEAR_CODES(0)}};
const block_format format_q5_0 = {
    .type = DIMPLE_TENSOR_Q5_0, .name = "q5_0", .block_length = BLOCK, .block_size = Q5_0_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q5_0, .quantize = quantize_q5_0, .unpack = unpack_q5_0,
    .codes = {.bits = 8, .halves = 1, .unit_blocks = 1, .largest = 16}};
const block_format format_q5_1 = {
    .type = DIMPLE_TENSOR_Q5_1, .name = "q5_1", .block_length = BLOCK, .block_size = Q5_1_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q5_1, .quantize = quantize_q5_1, .unpack = unpack_q5_1,
    .codes = {.bits = 8, .halves = 1, .unit_blocks = 1, .largest = 31, .has_minimum = true, .positive = true}};
