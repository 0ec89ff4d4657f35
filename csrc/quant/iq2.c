/*
 * IQ2: super-blocks of 256 in groups of 8 weights, each an entry of a codebook with magnitudes 8, 25 and 43, and 8 signs. Read only.
 *   IQ2_XXS  half d; per 32 weights 4 entries of 8 bits, then 32 bits: 4 times 7 signs, a 4-bit scale s      x = d (2 s + 1) / 8 L
 *   IQ2_XS   half d; per 8 weights 16 bits: an entry of 9, 7 signs; per 16 weights a 4-bit scale
 *   IQ2_S    half d; entries' lower 8 bits [32]; 8 signs [32]; per 32 weights the upper 2 bits of 4 entries [8]; scales as in IQ2_XS
 * Seven signs are eight with an even number set. Formats are ggml's (src/ggml-common.h, block_iq2_*).
 */
#include "codebooks.h"
#include "families.h"

enum { SUPER = 256, GROUP = 8, GROUPS = SUPER / GROUP, XXS_SIZE = 2 + SUPER / 4, XS_SCALES = 2 + 2 * GROUPS, XS_SIZE = XS_SCALES + 8 };
enum { S_SIGNS = 2 + GROUPS, S_HIGH = S_SIGNS + GROUPS, S_SCALES = S_HIGH + 8, S_SIZE = S_SCALES + 8 };

#define LEVELS {8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43, 0, 0, 0, 0, 0}

static inline void unpack_iq2_xxs(const uint8_t *source, unpacked_block *out) {
  float d = half_to_float(load_half_bits(source)) / 8;
  for (int j = 0; j < SUPER / 32; j++) {
    const uint8_t *entries = source + 2 + 8 * j;
    uint32_t word = load_word(entries + 4);
    out->scale[j] = d * (float)(2 * (word >> 28) + 1);
    for (int g = 0; g < 4; g++)
      store_signed_entry(codebook_iq2_xxs[entries[g]], GROUP, 2, eight_signs(word >> 7 * g & 127), out->codes + 32 * j + GROUP * g);
  }
}

/* Two 4-bit scales of 16 weights each in a byte. */
static void unpack_scales(const uint8_t *scales, float d, unpacked_block *out) {
  for (int j = 0; j < SUPER / 16; j++) out->scale[j] = d * (float)(2 * (scales[j / 2] >> j % 2 * 4 & 15) + 1);
}

static inline void unpack_iq2_xs(const uint8_t *source, unpacked_block *out) {
  unpack_scales(source + XS_SCALES, half_to_float(load_half_bits(source)) / 8, out);
  for (int g = 0; g < GROUPS; g++) {
    uint16_t bits = load_half_bits(source + 2 + 2 * g);
    store_signed_entry(codebook_iq2_xs[bits & 511], GROUP, 2, eight_signs(bits >> 9), out->codes + GROUP * g);
  }
}

static inline void unpack_iq2_s(const uint8_t *source, unpacked_block *out) {
  unpack_scales(source + S_SCALES, half_to_float(load_half_bits(source)) / 8, out);
  for (int g = 0; g < GROUPS; g++) {
    int index = source[2 + g] | (source[S_HIGH + g / 4] >> g % 4 * 2 & 3) << 8;
    store_signed_entry(codebook_iq2_s[index], GROUP, 2, source[S_SIGNS + g], out->codes + GROUP * g);
  }
}

DEQUANTIZE_UNPACKED(iq2_xxs, XXS_SIZE, SUPER, 32)
DEQUANTIZE_UNPACKED(iq2_xs, XS_SIZE, SUPER, 16)
DEQUANTIZE_UNPACKED(iq2_s, S_SIZE, SUPER, 16)

const block_format format_iq2_xxs = {
    .type = DIMPLE_TENSOR_IQ2_XXS, .name = "iq2_xxs", .block_length = SUPER, .block_size = XXS_SIZE, .dequantize = dequantize_iq2_xxs,
    .unpack = unpack_iq2_xxs, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 43, .float_scales = true, .table = LEVELS}};
const block_format format_iq2_xs = {
    .type = DIMPLE_TENSOR_IQ2_XS, .name = "iq2_xs", .block_length = SUPER, .block_size = XS_SIZE, .dequantize = dequantize_iq2_xs,
    .unpack = unpack_iq2_xs, .codes = {.bits = 4, .halves = 2, .unit_blocks = 8, .largest = 43, .float_scales = true, .table = LEVELS}};
const block_format format_iq2_s = {
    .type = DIMPLE_TENSOR_IQ2_S, .name = "iq2_s", .block_length = SUPER, .block_size = S_SIZE, .dequantize = dequantize_iq2_s,
    .unpack = unpack_iq2_s, .codes = {.bits = 4, .halves = 2, .unit_blocks = 8, .largest = 43, .float_scales = true, .table = LEVELS}};
