/*
 * Takes GGML's quantized blocks apart into codes and factors, without rounding anything: what dequantizing multiplies
 * out (csrc/quant), the integer kernels keep apart. Layouts: ggml's block structures.
 */
#include <string.h>

#include "backend/cpu/cpu.h"

#define LINEAR_CODES(offset)                                                                                        \
  {                                                                                                                 \
    0 - offset, 1 - offset, 2 - offset, 3 - offset, 4 - offset, 5 - offset, 6 - offset, 7 - offset, 8 - offset,     \
        9 - offset, 10 - offset, 11 - offset, 12 - offset, 13 - offset, 14 - offset, 15 - offset                    \
  }

/* The 16 values of ggml's "non-linear" 4-bit formats. */
#define NONLINEAR_CODES {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

bool code_layout_of(int32_t type, code_layout *out) {
  switch (type) {
    case DIMPLE_TENSOR_Q4_0: *out = (code_layout){4, 1, 1, 8, false, LINEAR_CODES(8)}; return true;
    case DIMPLE_TENSOR_Q4_1: *out = (code_layout){4, 1, 1, 15, true, LINEAR_CODES(0)}; return true;
    case DIMPLE_TENSOR_IQ4_NL: *out = (code_layout){4, 1, 1, 127, false, NONLINEAR_CODES}; return true;
    case DIMPLE_TENSOR_Q5_0: *out = (code_layout){8, 1, 1, 16, false, {0}}; return true;
    case DIMPLE_TENSOR_Q8_0: *out = (code_layout){8, 1, 1, 128, false, {0}}; return true;
    case DIMPLE_TENSOR_Q5_1: *out = (code_layout){8, 1, 1, 31, true, {0}}; return true;
    case DIMPLE_TENSOR_Q2_K: *out = (code_layout){4, 2, 8, 3, true, LINEAR_CODES(0)}; return true;
    case DIMPLE_TENSOR_Q3_K: *out = (code_layout){4, 2, 8, 4, false, LINEAR_CODES(4)}; return true;
    case DIMPLE_TENSOR_Q4_K: *out = (code_layout){4, 1, 8, 15, true, LINEAR_CODES(0)}; return true;
    case DIMPLE_TENSOR_Q5_K: *out = (code_layout){8, 1, 8, 31, true, {0}}; return true;
    case DIMPLE_TENSOR_Q6_K: *out = (code_layout){8, 2, 8, 32, false, {0}}; return true;
    case DIMPLE_TENSOR_IQ4_XS: *out = (code_layout){4, 1, 8, 127, false, NONLINEAR_CODES}; return true;
    default: return false;
  }
}

static uint16_t load16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static uint32_t load32(const uint8_t *at) { return load16(at) | (uint32_t)load16(at + 2) << 16; }

/* 16 bytes of nibbles: elements 0..15 low, 16..31 high. */
static void split_nibbles(const uint8_t *bytes, uint8_t *codes) {
  for (int j = 0; j < 16; j++) {
    codes[j] = bytes[j] & 15;
    codes[j + 16] = bytes[j] >> 4;
  }
}

/* 16 bytes of nibbles and a fifth bit each, less `offset`. */
static void join_fives(const uint8_t *bytes, uint32_t high, int offset, uint8_t *codes) {
  split_nibbles(bytes, codes);
  for (int j = 0; j < 32; j++) codes[j] = (uint8_t)((codes[j] | (high >> j & 1) << 4) - offset);
}

/* The 6-bit scales and minima of Q4_K and Q5_K, packed into 12 bytes. */
static void split_scales_and_minima(const uint8_t *s, unpacked_unit *out) {
  for (int j = 0; j < 4; j++) {
    out->factor[j] = s[j] & 63;
    out->minimum_factor[j] = s[j + 4] & 63;
    out->factor[j + 4] = (int8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
    out->minimum_factor[j + 4] = (uint8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
  }
}

/* d, dmin, 12 bytes of scales, [32 bytes of fifth bits,] 128 bytes of nibbles. */
static void unpack_q4_k(const uint8_t *s, const uint8_t *fifth_bits, const uint8_t *nibbles, unpacked_unit *out) {
  out->d = load16(s);
  out->dmin = load16(s + 2);
  split_scales_and_minima(s + 4, out);
  for (int j = 0; j < 8; j++) { /* 32 inputs each: the inner loops become vector code */
    const uint8_t *bytes = nibbles + j / 2 * 32;
    uint8_t *codes = out->codes + j * 32;
    for (int l = 0; l < 32; l++) codes[l] = bytes[l] >> (j % 2 * 4) & 15;
    if (!fifth_bits) continue;
    for (int l = 0; l < 32; l++) codes[l] |= (uint8_t)((fifth_bits[l] >> j & 1) << 4);
  }
}

/* The 64 bytes of 2-bit codes of Q2_K and Q3_K. */
static void split_two_bits(const uint8_t *bytes, uint8_t *codes) {
  for (int j = 0; j < 8; j++)
    for (int l = 0; l < 32; l++) codes[j * 32 + l] = bytes[j / 4 * 32 + l] >> (j % 4 * 2) & 3;
}

static void unpack_q2_k(const uint8_t *s, unpacked_unit *out) {
  for (int j = 0; j < 16; j++) {
    out->factor[j] = s[j] & 15;
    out->minimum_factor[j] = s[j] >> 4;
  }
  split_two_bits(s + 16, out->codes);
  out->d = load16(s + 80);
  out->dmin = load16(s + 82);
}

static void unpack_q3_k(const uint8_t *s, unpacked_unit *out) {
  const uint8_t *scales = s + 96;
  for (int j = 0; j < 16; j++) {
    int low = scales[j % 8] >> (j / 8 * 4) & 15, high = scales[8 + j % 4] >> (j / 4 * 2) & 3;
    out->factor[j] = (int8_t)((low | high << 4) - 32);
  }
  split_two_bits(s + 32, out->codes);
  for (int j = 0; j < 8; j++)
    for (int l = 0; l < 32; l++) out->codes[j * 32 + l] |= (uint8_t)((s[l] >> j & 1) << 2);
  out->d = load16(s + 108);
}

static void unpack_q6_k(const uint8_t *s, unpacked_unit *out) {
  for (int j = 0; j < 8; j++) {
    const uint8_t *low = s + j / 4 * 64 + j % 2 * 32, *high = s + 128 + j / 4 * 32;
    for (int l = 0; l < 32; l++)
      out->codes[j * 32 + l] = (uint8_t)(((low[l] >> (j / 2 % 2 * 4) & 15) | (high[l] >> (j % 4 * 2) & 3) << 4) - 32);
  }
  memcpy(out->factor, s + 192, 16);
  out->d = load16(s + 208);
}

static void unpack_iq4_xs(const uint8_t *s, unpacked_unit *out) {
  out->d = load16(s);
  uint16_t high = load16(s + 2);
  for (int j = 0; j < 8; j++) {
    out->factor[j] = (int8_t)(((s[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (2 * j) & 3) << 4) - 32);
    split_nibbles(s + 8 + 16 * j, out->codes + 32 * j);
  }
}

void unpack_unit(int32_t type, const uint8_t *s, unpacked_unit *out) {
  switch (type) {
    case DIMPLE_TENSOR_Q4_0:
    case DIMPLE_TENSOR_IQ4_NL:
      out->d = load16(s);
      split_nibbles(s + 2, out->codes);
      break;
    case DIMPLE_TENSOR_Q4_1:
      out->d = load16(s);
      out->dmin = load16(s + 2);
      split_nibbles(s + 4, out->codes);
      break;
    case DIMPLE_TENSOR_Q5_0:
      out->d = load16(s);
      join_fives(s + 6, load32(s + 2), 16, out->codes);
      break;
    case DIMPLE_TENSOR_Q5_1:
      out->d = load16(s);
      out->dmin = load16(s + 2);
      join_fives(s + 8, load32(s + 4), 0, out->codes);
      break;
    case DIMPLE_TENSOR_Q8_0:
      out->d = load16(s);
      memcpy(out->codes, s + 2, 32);
      break;
    case DIMPLE_TENSOR_Q2_K: unpack_q2_k(s, out); break;
    case DIMPLE_TENSOR_Q3_K: unpack_q3_k(s, out); break;
    case DIMPLE_TENSOR_Q4_K: unpack_q4_k(s, NULL, s + 16, out); break;
    case DIMPLE_TENSOR_Q5_K: unpack_q4_k(s, s + 16, s + 48, out); break;
    case DIMPLE_TENSOR_Q6_K: unpack_q6_k(s, out); break;
    case DIMPLE_TENSOR_IQ4_XS: unpack_iq4_xs(s, out); break;
    default: break;
  }
}
