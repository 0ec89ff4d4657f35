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

static void dequantize_q8_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q8_0_SIZE, target += BLOCK) {
    float d = load_half(source);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)(int8_t)source[2 + i] * d;
  }
}

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

static inline void unpack_nibbles(const uint8_t *source, uint8_t levels[BLOCK]) {
  for (int i = 0; i < HALF_BLOCK; i++) {
    levels[i] = source[i] & 15;
    levels[i + HALF_BLOCK] = source[i] >> 4;
  }
}

static inline void pack_fifth_bits(const uint8_t levels[BLOCK], uint8_t *target) {
  for (int byte = 0; byte < BLOCK / 8; byte++) {
    int bits = 0;
    for (int i = 0; i < 8; i++) bits |= (levels[8 * byte + i] >> 4 & 1) << i;
    target[byte] = (uint8_t)bits;
  }
}

static inline void add_fifth_bits(const uint8_t *source, uint8_t levels[BLOCK]) {
  for (int i = 0; i < BLOCK; i++) levels[i] |= source[i / 8] & 1 << i % 8 ? 16 : 0;
}

static void dequantize_q4_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q4_0_SIZE, target += BLOCK) {
    uint8_t levels[BLOCK];
    unpack_nibbles(source + 2, levels);
    float d = load_half(source);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)((int)levels[i] - 8) * d;
  }
}

static void dequantize_q4_1(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q4_1_SIZE, target += BLOCK) {
    uint8_t levels[BLOCK];
    unpack_nibbles(source + 4, levels);
    float d = load_half(source), m = load_half(source + 2);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)levels[i] * d + m;
  }
}

static void dequantize_q5_0(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q5_0_SIZE, target += BLOCK) {
    uint8_t levels[BLOCK];
    unpack_nibbles(source + 6, levels);
    add_fifth_bits(source + 2, levels);
    float d = load_half(source);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)((int)levels[i] - 16) * d;
  }
}

static void dequantize_q5_1(const uint8_t *source, float *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += Q5_1_SIZE, target += BLOCK) {
    uint8_t levels[BLOCK];
    unpack_nibbles(source + 8, levels);
    add_fifth_bits(source + 4, levels);
    float d = load_half(source), m = load_half(source + 2);
    for (int i = 0; i < BLOCK; i++) target[i] = (float)levels[i] * d + m;
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

const block_format format_q8_0 = {DIMPLE_TENSOR_Q8_0, "q8_0", BLOCK, Q8_0_SIZE, LARGEST_HALF, dequantize_q8_0, quantize_q8_0};
const block_format format_q4_0 = {DIMPLE_TENSOR_Q4_0, "q4_0", BLOCK, Q4_0_SIZE, LARGEST_HALF, dequantize_q4_0, quantize_q4_0};
const block_format format_q4_1 = {DIMPLE_TENSOR_Q4_1, "q4_1", BLOCK, Q4_1_SIZE, LARGEST_HALF, dequantize_q4_1, quantize_q4_1};
const block_format format_q5_0 = {DIMPLE_TENSOR_Q5_0, "q5_0", BLOCK, Q5_0_SIZE, LARGEST_HALF, dequantize_q5_0, quantize_q5_0};
const block_format format_q5_1 = {DIMPLE_TENSOR_Q5_1, "q5_1", BLOCK, Q5_1_SIZE, LARGEST_HALF, dequantize_q5_1, quantize_q5_1};
