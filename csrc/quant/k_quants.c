/*
 * The K-quants: super-blocks of 256 elements with one or two half floats, cut into groups whose scales are small integers
 * times those. Groups are numbered in order of elements.
 *   Q2_K  16 groups of 16: 4-bit scale s and offset m; 2-bit q         x = (d s) q - (dmin m)
 *   Q3_K  16 groups of 16: 6-bit scale s, stored + 32; 3-bit q         x = (d s) (q - 4)
 *   Q4_K   8 groups of 32: 6-bit scale s and offset m; 4-bit q         x = (d s) q - (dmin m)
 *   Q5_K   8 groups of 32: as Q4_K with 5-bit q
 *   Q6_K  16 groups of 16: 8-bit scale s; 6-bit q                      x = (d s) (q - 32)
 * Bits of q lie in planes: a byte holds the same bits of elements that are 32 apart (in Q6_K's low nibbles, 64).
 */
#include <string.h>

#include "families.h"
#include "scale_fit.h"

enum { SUPER = 256 };
enum {
  Q2_SCALES = 0, Q2_LOW = 16, Q2_HALVES = 80, Q2_SIZE = 84,
  Q3_HIGH = 0, Q3_LOW = 32, Q3_SCALES = 96, Q3_HALF = 108, Q3_SIZE = 110,
  Q4_HALVES = 0, Q4_SCALES = 4, Q4_LOW = 16, Q4_SIZE = 144,
  Q5_HALVES = 0, Q5_SCALES = 4, Q5_HIGH = 16, Q5_LOW = 48, Q5_SIZE = 176,
  Q6_LOW = 0, Q6_HIGH = 128, Q6_SCALES = 192, Q6_HALF = 208, Q6_SIZE = 210
}; /* offsets in a super-block */

/* ----------------------------------------------------------------------------------------------------------- planes of bits */

/* Puts `bits` bits of each level, from bit `shift` of it, into planes `stride` bytes wide: the first `stride` levels into the
 * lowest bits of the first `stride` bytes, the next ones into the bits above, and so on until the bytes are full. */
static void pack_planes(const uint8_t levels[SUPER], int shift, int bits, int stride, uint8_t *target) {
  int planes = 8 / bits, mask = (1 << bits) - 1;
  memset(target, 0, (size_t)(SUPER / planes));
  for (int start = 0; start < SUPER; start += planes * stride, target += stride)
    for (int plane = 0; plane < planes; plane++)
      for (int i = 0; i < stride; i++)
        target[i] |= (uint8_t)((levels[start + plane * stride + i] >> shift & mask) << plane * bits);
}

/* ------------------------------------------------------------------------------------------------------------ packed scales */

/* Q4_K and Q5_K: eight 6-bit scales and offsets in 12 bytes. Bytes 0-3 and 4-7 hold scale and offset of groups 0-3 in their
 * low six bits, and in their high two bits the upper two of groups 4-7; bytes 8-11 the lower four of groups 4-7, scale low. */
static void pack_scales_and_offsets(const uint8_t scales[8], const uint8_t offsets[8], uint8_t target[12]) {
  for (int j = 0; j < 4; j++) {
    target[j] = (uint8_t)(scales[j] | scales[j + 4] >> 4 << 6);
    target[j + 4] = (uint8_t)(offsets[j] | offsets[j + 4] >> 4 << 6);
    target[j + 8] = (uint8_t)((scales[j + 4] & 15) | (offsets[j + 4] & 15) << 4);
  }
}

/* Q3_K: sixteen 6-bit scales in 12 bytes. Bytes 0-7 hold the lower four bits of groups 0-7 (low nibble) and 8-15; bytes 8-11
 * the upper two, groups j, j + 4, j + 8, j + 12 from the low end of byte 8 + j. */
static void pack_q3_scales(const int8_t scales[16], uint8_t target[12]) {
  memset(target, 0, 12);
  for (int j = 0; j < 16; j++) {
    int stored = scales[j] + 32;
    target[j % 8] |= (uint8_t)((stored & 15) << j / 8 * 4);
    target[8 + j % 4] |= (uint8_t)(stored >> 4 << j / 4 * 2);
  }
}

/* ------------------------------------------------------------------------------------------------------------ taking apart */

static inline void unpack_scales_and_offsets(const uint8_t *source, unpacked_block *out) {
  for (int j = 0; j < 4; j++) {
    out->factor[j] = source[j] & 63;
    out->minimum_factor[j] = source[j + 4] & 63;
    out->factor[j + 4] = (int8_t)((source[j + 8] & 15) | source[j] >> 6 << 4);
    out->minimum_factor[j + 4] = (uint8_t)(source[j + 8] >> 4 | source[j + 4] >> 6 << 4);
  }
}

/* Inner loops run over 32 elements, or a group's, so that they become vector code. */

static inline void split_two_bits(const uint8_t *source, uint8_t *codes) {
  for (int j = 0; j < 8; j++)
    for (int l = 0; l < 32; l++) codes[j * 32 + l] = source[j / 4 * 32 + l] >> (j % 4 * 2) & 3;
}

/* `fifth_bits` is null where there are none. */
static inline void split_groups_of_32(const uint8_t *fifth_bits, const uint8_t *nibbles, uint8_t *codes) {
  for (int j = 0; j < 8; j++, codes += 32) {
    const uint8_t *bytes = nibbles + j / 2 * 32;
    for (int l = 0; l < 32; l++) codes[l] = bytes[l] >> (j % 2 * 4) & 15;
    if (!fifth_bits) continue;
    for (int l = 0; l < 32; l++) codes[l] |= (uint8_t)((fifth_bits[l] >> j & 1) << 4);
  }
}

static inline void unpack_q2_k(const uint8_t *source, unpacked_block *out) {
  for (int j = 0; j < 16; j++) {
    out->factor[j] = source[Q2_SCALES + j] & 15;
    out->minimum_factor[j] = source[Q2_SCALES + j] >> 4;
  }
  split_two_bits(source + Q2_LOW, out->codes);
  out->d = load_half_bits(source + Q2_HALVES);
  out->dmin = load_half_bits(source + Q2_HALVES + 2);
}

static inline void unpack_q3_k(const uint8_t *source, unpacked_block *out) {
  const uint8_t *scales = source + Q3_SCALES, *high = source + Q3_HIGH;
  for (int j = 0; j < 16; j++)
    out->factor[j] = (int8_t)(((scales[j % 8] >> (j / 8 * 4) & 15) | (scales[8 + j % 4] >> (j / 4 * 2) & 3) << 4) - 32);
  split_two_bits(source + Q3_LOW, out->codes);
  for (int j = 0; j < 8; j++)
    for (int l = 0; l < 32; l++) out->codes[j * 32 + l] |= (uint8_t)((high[l] >> j & 1) << 2);
  out->d = load_half_bits(source + Q3_HALF);
}

static inline void unpack_q4_k(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source + Q4_HALVES);
  out->dmin = load_half_bits(source + Q4_HALVES + 2);
  unpack_scales_and_offsets(source + Q4_SCALES, out);
  split_groups_of_32(NULL, source + Q4_LOW, out->codes);
}

static inline void unpack_q5_k(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source + Q5_HALVES);
  out->dmin = load_half_bits(source + Q5_HALVES + 2);
  unpack_scales_and_offsets(source + Q5_SCALES, out);
  split_groups_of_32(source + Q5_HIGH, source + Q5_LOW, out->codes);
}

static inline void unpack_q6_k(const uint8_t *source, unpacked_block *out) {
  for (int j = 0; j < 8; j++) {
    const uint8_t *low = source + Q6_LOW + j / 4 * 64 + j % 2 * 32, *high = source + Q6_HIGH + j / 4 * 32;
    for (int l = 0; l < 32; l++)
      out->codes[j * 32 + l] = (uint8_t)(((low[l] >> (j / 2 % 2 * 4) & 15) | (high[l] >> (j % 4 * 2) & 3) << 4) - 32);
  }
  memcpy(out->factor, source + Q6_SCALES, 16);
  out->d = load_half_bits(source + Q6_HALF);
}

/* ---------------------------------------------------------------------------------------------------------------- decoding */

/* x = scale q - offset, group by group. */
static inline void decode_affine(const unpacked_block *u, const int groups, float *target) {
  float d = half_to_float(u->d), dmin = half_to_float(u->dmin);
  const int length = SUPER / groups;
  for (int j = 0; j < groups; j++) {
    float scale = d * (float)u->factor[j], offset = dmin * (float)u->minimum_factor[j];
    for (int i = length * j; i < length * (j + 1); i++) target[i] = scale * (float)u->codes[i] - offset;
  }
}

/* x = scale (q - offset), 16 groups; the difference fits a signed byte. */
static inline void decode_symmetric(const unpacked_block *u, const int offset, float *target) {
  float d = half_to_float(u->d);
  for (int j = 0; j < 16; j++) {
    float scale = d * (float)u->factor[j];
    for (int i = 16 * j; i < 16 * (j + 1); i++) target[i] = scale * (float)(int8_t)(u->codes[i] - offset);
  }
}

static void dequantize_q2_k(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q2_SIZE, target += SUPER) {
    unpack_q2_k(source, &u);
    decode_affine(&u, 16, target);
  }
}

static void dequantize_q3_k(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q3_SIZE, target += SUPER) {
    unpack_q3_k(source, &u);
    decode_symmetric(&u, 4, target);
  }
}

static void dequantize_q4_k(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q4_SIZE, target += SUPER) {
    unpack_q4_k(source, &u);
    decode_affine(&u, 8, target);
  }
}

static void dequantize_q5_k(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q5_SIZE, target += SUPER) {
    unpack_q5_k(source, &u);
    decode_affine(&u, 8, target);
  }
}

static void dequantize_q6_k(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += Q6_SIZE, target += SUPER) {
    unpack_q6_k(source, &u);
    decode_symmetric(&u, 0, target); /* already signed */
  }
}

/* ------------------------------------------------------------------------------------------------------------------ encoding */

/* Levels, factors and the two half floats of a super-block of an affine format. */
static void encode_affine(const float *x, const float *importance, int groups, int highest, int highest_factor, uint8_t *halves,
                          uint8_t *factors, uint8_t *offset_factors, uint8_t levels[SUPER]) {
  float weights[SUPER];
  int length = SUPER / groups;
  fit_weights(importance, SUPER, weights);
  fit_line line = fit_affine_groups(x, weights, groups, length, highest, highest_factor, halves, factors, offset_factors);
  for (int j = 0; j < groups; j++)
    fit_affine_levels(x + j * length, length, inverse_of(line.scale * (float)factors[j]), line.offset * (float)offset_factors[j],
                      highest, levels + j * length);
}

/* The same for 16 groups of a symmetric format; levels are shifted to start at 0. */
static void encode_symmetric(const float *x, const float *importance, int lowest, int lowest_factor, uint8_t *half, int8_t factors[16],
                             uint8_t levels[SUPER]) {
  float weights[SUPER];
  level_set set = {(float)lowest, (float)(-lowest - 1), -2 * lowest, NULL};
  fit_weights(importance, SUPER, weights);
  float scale = fit_symmetric_groups(&set, x, weights, 16, 16, lowest_factor, half, factors);
  for (int j = 0; j < 16; j++) {
    int8_t nearest[16];
    fit_levels(&set, x + 16 * j, 16, inverse_of(scale * (float)factors[j]), nearest);
    for (int i = 0; i < 16; i++) levels[16 * j + i] = (uint8_t)(nearest[i] - lowest);
  }
}

static inline const float *block_of(const float *importance, int64_t b) { return importance ? importance + b * SUPER : NULL; }

static void quantize_q2_k(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q2_SIZE) {
    uint8_t levels[SUPER], scales[16], offsets[16];
    encode_affine(source + b * SUPER, block_of(importance, b), 16, 3, 15, target + Q2_HALVES, scales, offsets, levels);
    for (int j = 0; j < 16; j++) target[Q2_SCALES + j] = (uint8_t)(scales[j] | offsets[j] << 4);
    pack_planes(levels, 0, 2, 32, target + Q2_LOW);
  }
}

static void quantize_q3_k(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q3_SIZE) {
    uint8_t levels[SUPER];
    int8_t scales[16];
    encode_symmetric(source + b * SUPER, block_of(importance, b), -4, -32, target + Q3_HALF, scales, levels);
    pack_q3_scales(scales, target + Q3_SCALES);
    pack_planes(levels, 0, 2, 32, target + Q3_LOW);
    pack_planes(levels, 2, 1, 32, target + Q3_HIGH);
  }
}

static void quantize_q4_k(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q4_SIZE) {
    uint8_t levels[SUPER], scales[8], offsets[8];
    encode_affine(source + b * SUPER, block_of(importance, b), 8, 15, 63, target + Q4_HALVES, scales, offsets, levels);
    pack_scales_and_offsets(scales, offsets, target + Q4_SCALES);
    pack_planes(levels, 0, 4, 32, target + Q4_LOW);
  }
}

static void quantize_q5_k(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q5_SIZE) {
    uint8_t levels[SUPER], scales[8], offsets[8];
    encode_affine(source + b * SUPER, block_of(importance, b), 8, 31, 63, target + Q5_HALVES, scales, offsets, levels);
    pack_scales_and_offsets(scales, offsets, target + Q5_SCALES);
    pack_planes(levels, 0, 4, 32, target + Q5_LOW);
    pack_planes(levels, 4, 1, 32, target + Q5_HIGH);
  }
}

static void quantize_q6_k(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += Q6_SIZE) {
    uint8_t levels[SUPER];
    int8_t scales[16];
    encode_symmetric(source + b * SUPER, block_of(importance, b), -32, -128, target + Q6_HALF, scales, levels);
    memcpy(target + Q6_SCALES, scales, sizeof scales);
    pack_planes(levels, 0, 4, 64, target + Q6_LOW);
    pack_planes(levels, 4, 2, 32, target + Q6_HIGH);
  }
}

const block_format format_q2_k = {
    .type = DIMPLE_TENSOR_Q2_K, .name = "q2_k", .block_length = SUPER, .block_size = Q2_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q2_k, .quantize = quantize_q2_k, .unpack = unpack_q2_k,
    .codes = {.bits = 4, .halves = 2, .unit_blocks = 8, .largest = 3, .has_minimum = true, .table = LINEAR_CODES(0)}};
const block_format format_q3_k = {
    .type = DIMPLE_TENSOR_Q3_K, .name = "q3_k", .block_length = SUPER, .block_size = Q3_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q3_k, .quantize = quantize_q3_k, .unpack = unpack_q3_k,
    .codes = {.bits = 4, .halves = 2, .unit_blocks = 8, .largest = 4, .table = LINEAR_CODES(4)}};
const block_format format_q4_k = {
    .type = DIMPLE_TENSOR_Q4_K, .name = "q4_k", .block_length = SUPER, .block_size = Q4_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q4_k, .quantize = quantize_q4_k, .unpack = unpack_q4_k,
    .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 15, .has_minimum = true, .table = LINEAR_CODES(0)}};
const block_format format_q5_k = {
    .type = DIMPLE_TENSOR_Q5_K, .name = "q5_k", .block_length = SUPER, .block_size = Q5_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q5_k, .quantize = quantize_q5_k, .unpack = unpack_q5_k,
    .codes = {.bits = 8, .halves = 1, .unit_blocks = 8, .largest = 31, .has_minimum = true, .positive = true}};
const block_format format_q6_k = {
    .type = DIMPLE_TENSOR_Q6_K, .name = "q6_k", .block_length = SUPER, .block_size = Q6_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_q6_k, .quantize = quantize_q6_k, .unpack = unpack_q6_k,
    .codes = {.bits = 8, .halves = 2, .unit_blocks = 8, .largest = 32}};
