/* The codebooks of IQ1, IQ2 and IQ3, as make_codebooks.py writes them: an entry is 8 numbers of 2 bits, or in IQ3 4 of 3 bits, the first lowest. */
#ifndef DIMPLE_CODEBOOKS_H
#define DIMPLE_CODEBOOKS_H

#include <stdint.h>

extern const uint16_t codebook_iq1[2048];
extern const uint16_t codebook_iq2_xxs[256], codebook_iq2_xs[512], codebook_iq2_s[1024];
extern const uint16_t codebook_iq3_xxs[256], codebook_iq3_s[512];

/* The codes of an entry: its numbers, and 8 more where a bit of `signs` is set. */
static inline void store_signed_entry(uint16_t entry, int count, int bits, uint8_t signs, uint8_t *codes) {
  for (int k = 0; k < count; k++) codes[k] = (uint8_t)((entry >> bits * k & ((1 << bits) - 1)) | (signs >> k & 1) << 3);
}

/* The eighth sign of seven: such that an even number of them is set. */
static inline uint8_t eight_signs(uint32_t seven) {
  uint32_t odd = seven ^ seven >> 4;
  odd ^= odd >> 2;
  odd ^= odd >> 1;
  return (uint8_t)(seven | (odd & 1) << 7);
}

#endif
