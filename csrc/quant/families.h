/* The formats that the files of this folder define, and what they share. */
#ifndef DIMPLE_FAMILIES_H
#define DIMPLE_FAMILIES_H

#include "block_formats.h"

/* FORMAT(name): format_name is defined by a file of this folder: floats.c, legacy.c, k_quants.c, iq4.c, iq3.c, iq2.c, iq1.c, ternary.c, fp4.c. */
#define BLOCK_FORMATS(FORMAT)                                      \
  FORMAT(f32) FORMAT(f16) FORMAT(bf16)                             \
  FORMAT(q8_0) FORMAT(q4_0) FORMAT(q4_1) FORMAT(q5_0) FORMAT(q5_1) \
  FORMAT(q2_k) FORMAT(q3_k) FORMAT(q4_k) FORMAT(q5_k) FORMAT(q6_k) \
  FORMAT(iq4_nl) FORMAT(iq4_xs) FORMAT(iq3_s) FORMAT(iq3_xxs)      \
  FORMAT(iq2_s) FORMAT(iq2_xs) FORMAT(iq2_xxs) FORMAT(iq1_m)       \
  FORMAT(iq1_s) FORMAT(tq2_0) FORMAT(tq1_0) FORMAT(mxfp4) FORMAT(nvfp4)

#define DECLARED(name) extern const block_format format_##name;
BLOCK_FORMATS(DECLARED)
#undef DECLARED

/* Half floats inside blocks: little-endian and not aligned. */
static inline uint16_t load_half_bits(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

/* 32 bits inside blocks, alike. */
static inline uint32_t load_word(const uint8_t *at) { return (uint32_t)load_half_bits(at) | (uint32_t)load_half_bits(at + 2) << 16; }

/* Defines dequantize_NAME of a format with float scales, blocks of `length` elements in `size` bytes, `stretch` elements to a scale. */
#define DEQUANTIZE_UNPACKED(name, size, length, stretch)                                                                          \
  static void dequantize_##name(const uint8_t *source, float *target, int64_t blocks) {                                           \
    unpacked_block u;                                                                                                             \
    for (int64_t b = 0; b < blocks; b++, source += size, target += length) {                                                      \
      unpack_##name(source, &u);                                                                                                  \
      for (int i = 0; i < length; i++) target[i] = u.scale[i / (stretch)] * (float)format_##name.codes.table[u.codes[i]];         \
    }                                                                                                                             \
  }

/* The table of 4-bit codes that stand for equally spaced values, the lowest one -offset. */
#define LINEAR_CODES(offset)                                                                                        \
  {                                                                                                                 \
    0 - offset, 1 - offset, 2 - offset, 3 - offset, 4 - offset, 5 - offset, 6 - offset, 7 - offset, 8 - offset,     \
        9 - offset, 10 - offset, 11 - offset, 12 - offset, 13 - offset, 14 - offset, 15 - offset                    \
  }

/* 16 bytes of nibbles: elements 0 .. 15 low, 16 .. 31 high. */
static inline void split_nibbles(const uint8_t *bytes, uint8_t *codes) {
  for (int j = 0; j < 16; j++) {
    codes[j] = bytes[j] & 15;
    codes[j + 16] = bytes[j] >> 4;
  }
}

/* The largest finite half float. A format whose scales are half floats takes no value above it. */
#define LARGEST_HALF 65504.0f

/* Stores it and returns what a reader will see, for the quantizer to round against. */
static inline float store_half(uint8_t *at, float value) {
  uint16_t half = finite_half(value);
  at[0] = (uint8_t)half;
  at[1] = (uint8_t)(half >> 8);
  return half_to_float(half);
}

#endif
