/*
 * IQ1: super-blocks of 256 in groups of 8 weights, each an entry of a codebook of 2048 with levels -1, 0 and 1, and a shift of all of them by an
 * eighth up or down. Read only.
 *   IQ1_S  half d; entries' lower 8 bits [32]; per 32 weights 16 bits: 4 entries' upper 3 bits, a 3-bit scale s, the shift    x = d (2 s + 1) (L + shift)
 *   IQ1_M  entries' lower 8 bits [32]; per two groups a byte: upper 3 bits and shift of each; 4 times 16 bits: a 3-bit scale for each of
 *          4 times 16 weights, and on top a quarter of the half float d
 * Formats are ggml's (src/ggml-common.h, block_iq1_s and block_iq1_m).
 */
#include "codebooks.h"
#include "families.h"

enum { SUPER = 256, GROUP = 8, IQ1_S_HIGH = 2 + SUPER / GROUP, IQ1_S_SIZE = IQ1_S_HIGH + SUPER / 16 };
enum { IQ1_M_HIGH = SUPER / GROUP, IQ1_M_SCALES = IQ1_M_HIGH + SUPER / 16, IQ1_M_SIZE = IQ1_M_SCALES + 8 };

/* Eight times the levels, shifted up and, from 4 on, down. */
#define LEVELS {-7, 1, 9, 0, -9, -1, 7, 0}

static void store_entry(uint32_t index, bool down, uint8_t *codes) {
  for (int k = 0; k < GROUP; k++) codes[k] = (uint8_t)((codebook_iq1[index] >> 2 * k & 3) | (down ? 4 : 0));
}

static inline void unpack_iq1_s(const uint8_t *source, unpacked_block *out) {
  float d = half_to_float(load_half_bits(source)) / 8;
  for (int j = 0; j < SUPER / 32; j++) {
    uint32_t high = load_half_bits(source + IQ1_S_HIGH + 2 * j);
    out->scale[j] = d * (float)(2 * (high >> 12 & 7) + 1);
    for (int g = 0; g < 4; g++)
      store_entry(source[2 + 4 * j + g] | (high >> 3 * g & 7) << 8, high >> 15, out->codes + 32 * j + GROUP * g);
  }
}

static inline void unpack_iq1_m(const uint8_t *source, unpacked_block *out) {
  uint16_t half = 0;
  for (int i = 0; i < 4; i++) half = (uint16_t)(half | (load_half_bits(source + IQ1_M_SCALES + 2 * i) >> 12) << 4 * i);
  float d = half_to_float(half) / 8;
  for (int j = 0; j < SUPER / 16; j++) {
    uint32_t high = source[IQ1_M_HIGH + j];
    out->scale[j] = d * (float)(2 * (load_half_bits(source + IQ1_M_SCALES + j / 4 * 2) >> 3 * (j % 4) & 7) + 1);
    for (int g = 0; g < 2; g++)
      store_entry(source[2 * j + g] | (high >> 4 * g & 7) << 8, high >> 4 * g & 8, out->codes + 16 * j + GROUP * g);
  }
}

DEQUANTIZE_UNPACKED(iq1_s, IQ1_S_SIZE, SUPER, 32)
DEQUANTIZE_UNPACKED(iq1_m, IQ1_M_SIZE, SUPER, 16)

const block_format format_iq1_s = {
    .type = DIMPLE_TENSOR_IQ1_S, .name = "iq1_s", .block_length = SUPER, .block_size = IQ1_S_SIZE, .dequantize = dequantize_iq1_s,
    .unpack = unpack_iq1_s, .codes = {.bits = 4, .halves = 1, .unit_blocks = 8, .largest = 9, .float_scales = true, .table = LEVELS}};
const block_format format_iq1_m = {
    .type = DIMPLE_TENSOR_IQ1_M, .name = "iq1_m", .block_length = SUPER, .block_size = IQ1_M_SIZE, .dequantize = dequantize_iq1_m,
    .unpack = unpack_iq1_m, .codes = {.bits = 4, .halves = 2, .unit_blocks = 8, .largest = 9, .float_scales = true, .table = LEVELS}};
