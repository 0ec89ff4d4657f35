/*
 * IQ3: super-blocks of 256 in groups of 4 weights, each an entry of a codebook with 8 magnitudes, and signs. Read only.
 *   IQ3_XXS  half d; entries of 8 bits [64]; per 32 weights 32 bits: 4 times 7 signs, a 4-bit scale s        x = d (2 s + 1) / 4 L
 *   IQ3_S    half d; entries' lower 8 bits [64]; their ninth bits [8]; 8 signs [32]; per 32 weights a 4-bit scale s   x = d (2 s + 1) L
 * Seven signs are eight with an even number set. Formats are ggml's (src/ggml-common.h, block_iq3_*).
 */
#include "codebooks.h"
#include "families.h"

enum { SUPER = 256, GROUP = 4, GROUPS = SUPER / GROUP, XXS_SIGNS = 2 + GROUPS, XXS_SIZE = XXS_SIGNS + SUPER / 8 };
enum { S_HIGH = 2 + GROUPS, S_SIGNS = S_HIGH + 8, S_SCALES = S_SIGNS + SUPER / 8, S_SIZE = S_SCALES + 4 };

#define XXS_LEVELS {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62}
#define S_LEVELS {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15}

static inline void unpack_iq3_xxs(const uint8_t *source, unpacked_block *out) {
  float d = half_to_float(load_half_bits(source)) / 4;
  for (int j = 0; j < SUPER / 32; j++) {
    uint32_t word = load_word(source + XXS_SIGNS + 4 * j);
    out->scale[j] = d * (float)(2 * (word >> 28) + 1);
    for (int g = 0; g < 8; g++) {
      uint8_t signs = eight_signs(word >> 7 * (g / 2) & 127);
      store_signed_entry(codebook_iq3_xxs[source[2 + 8 * j + g]], GROUP, 3, signs >> g % 2 * GROUP, out->codes + 32 * j + GROUP * g);
    }
  }
}

static inline void unpack_iq3_s(const uint8_t *source, unpacked_block *out) {
  float d = half_to_float(load_half_bits(source));
  for (int j = 0; j < SUPER / 32; j++) out->scale[j] = d * (float)(2 * (source[S_SCALES + j / 2] >> j % 2 * 4 & 15) + 1);
  for (int g = 0; g < GROUPS; g++) {
    int index = source[2 + g] | (source[S_HIGH + g / 8] >> g % 8 & 1) << 8;
    store_signed_entry(codebook_iq3_s[index], GROUP, 3, source[S_SIGNS + g / 2] >> g % 2 * GROUP, out->codes + GROUP * g);
  }
}

DEQUANTIZE_UNPACKED(iq3_xxs, XXS_SIZE, SUPER, 32)
DEQUANTIZE_UNPACKED(iq3_s, S_SIZE, SUPER, 32)

const block_format format_iq3_xxs = {
    .type = DIMPLE_TENSOR_IQ3_XXS, .name = "iq3_xxs", .block_length = SUPER, .block_size = XXS_SIZE, .dequantize = dequantize_iq3_xxs,
    .unpack = unpack_iq3_xxs, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 62, .float_scales = true, .table = XXS_LEVELS}};
const block_format format_iq3_s = {
    .type = DIMPLE_TENSOR_IQ3_S, .name = "iq3_s", .block_length = SUPER, .block_size = S_SIZE, .dequantize = dequantize_iq3_s,
    .unpack = unpack_iq3_s, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 15, .float_scales = true, .table = S_LEVELS}};
