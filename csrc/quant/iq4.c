/*
 * The 4-bit formats with levels that are not equally far apart: denser around zero, where most weights are.
 *   IQ4_NL  blocks of 32: half float d; nibbles                                    x = d L[q]
 *   IQ4_XS  super-blocks of 256: half float d; 8 groups of 32 with a 6-bit scale s  x = (d (s - 32)) L[q]
 * In a group element i and element i + 16 share a byte, i in the low nibble.
 */
#include <string.h>

#include "families.h"
#include "scale_fit.h"

enum { GROUP = 32, HALF_GROUP = GROUP / 2, SUPER = 256, GROUPS = SUPER / GROUP };
enum { NL_SIZE = 2 + HALF_GROUP, XS_HIGH = 2, XS_LOW = 4, XS_LEVELS = 8, XS_SIZE = XS_LEVELS + SUPER / 2 };

/* Part of the format. */
#define LEVELS {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
static const int8_t level_values[16] = LEVELS;
static const float float_levels[16] = LEVELS; /* widened beforehand, for decoding */

static const level_set levels_iq4 = {-127, 113, 16, level_values};

static inline void unpack_iq4_nl(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  split_nibbles(source + 2, out->codes);
}

/* Scales: byte j of the four at XS_LOW holds the lower four bits of groups 2 j and 2 j + 1, the little-endian 16 bits at
 * XS_HIGH the upper two of all groups, group 0 lowest. */
static inline void unpack_iq4_xs(const uint8_t *source, unpacked_block *out) {
  out->d = load_half_bits(source);
  uint16_t high = load_half_bits(source + XS_HIGH);
  for (int j = 0; j < GROUPS; j++) {
    out->factor[j] = (int8_t)(((source[XS_LOW + j / 2] >> (j % 2 * 4) & 15) | (high >> (2 * j) & 3) << 4) - 32);
    split_nibbles(source + XS_LEVELS + j * HALF_GROUP, out->codes + j * GROUP);
  }
}

static void dequantize_iq4_nl(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += NL_SIZE, target += GROUP) {
    unpack_iq4_nl(source, &u);
    float d = half_to_float(u.d);
    for (int i = 0; i < GROUP; i++) target[i] = d * float_levels[u.codes[i]];
  }
}

static void dequantize_iq4_xs(const uint8_t *source, float *target, int64_t blocks) {
  unpacked_block u;
  for (int64_t b = 0; b < blocks; b++, source += XS_SIZE, target += SUPER) {
    unpack_iq4_xs(source, &u);
    float d = half_to_float(u.d);
    for (int j = 0; j < GROUPS; j++) {
      float scale = d * (float)u.factor[j];
      for (int i = GROUP * j; i < GROUP * (j + 1); i++) target[i] = scale * float_levels[u.codes[i]];
    }
  }
}

static int index_of(int8_t level) {
  int index = 0;
  for (int i = 0; i < 16; i++) index += level_values[i] < level;
  return index;
}

static void quantize_group(const float x[GROUP], float scale, uint8_t *target) {
  int8_t levels[GROUP];
  fit_levels(&levels_iq4, x, GROUP, inverse_of(scale), levels);
  for (int i = 0; i < HALF_GROUP; i++) target[i] = (uint8_t)(index_of(levels[i]) | index_of(levels[i + HALF_GROUP]) << 4);
}

static void quantize_iq4_nl(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, source += GROUP, target += NL_SIZE) {
    float weights[GROUP];
    fit_weights(importance ? importance + b * GROUP : NULL, GROUP, weights);
    quantize_group(source, store_half(target, fit_symmetric(&levels_iq4, source, weights, GROUP)), target + 2);
  }
}

static void quantize_iq4_xs(const float *source, const float *importance, uint8_t *target, int64_t blocks) {
  for (int64_t b = 0; b < blocks; b++, target += XS_SIZE) {
    float weights[SUPER];
    int8_t scales[GROUPS];
    fit_weights(importance ? importance + b * SUPER : NULL, SUPER, weights);
    float d = fit_symmetric_groups(&levels_iq4, source, weights, GROUPS, GROUP, -32, target, scales);
    memset(target + XS_HIGH, 0, XS_LEVELS - XS_HIGH);
    for (int j = 0; j < GROUPS; j++, source += GROUP) {
      int stored = scales[j] + 32;
      target[XS_LOW + j / 2] |= (uint8_t)((stored & 15) << j % 2 * 4);
      target[XS_HIGH + j / 4] |= (uint8_t)(stored >> 4 << j % 4 * 2);
      quantize_group(source, d * (float)scales[j], target + XS_LEVELS + j * HALF_GROUP);
    }
  }
}

const block_format format_iq4_nl = {
    .type = DIMPLE_TENSOR_IQ4_NL, .name = "iq4_nl", .block_length = GROUP, .block_size = NL_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_iq4_nl, .quantize = quantize_iq4_nl, .unpack = unpack_iq4_nl,
    .codes = {.bits = 4, .halves = 1, .unit_blocks = 1, .largest = 127, .table = LEVELS}};
const block_format format_iq4_xs = {
    .type = DIMPLE_TENSOR_IQ4_XS, .name = "iq4_xs", .block_length = SUPER, .block_size = XS_SIZE, .largest = LARGEST_HALF,
    .dequantize = dequantize_iq4_xs, .quantize = quantize_iq4_xs, .unpack = unpack_iq4_xs,
    .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 127, .table = LEVELS}};
