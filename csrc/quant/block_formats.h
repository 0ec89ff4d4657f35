/*
 * GGML's block formats, one family per file. A row of a tensor is cut into blocks of `block_length` elements that share
 * their scales. Adding a format is one file that defines a `const block_format` and a line in block_formats.c.
 */
#ifndef DIMPLE_BLOCK_FORMATS_H
#define DIMPLE_BLOCK_FORMATS_H

#include <stdint.h>

#include "dimple.h"

typedef struct block_format {
  dimple_tensor_type type;
  const char *name;
  int32_t block_length; /* elements */
  int32_t block_size;   /* bytes */
  float largest;        /* magnitude up to which values are encoded; above it the encoding could become infinite */
  /* Decodes `blocks` consecutive blocks into blocks * block_length floats, bit for bit as GGML does. */
  void (*dequantize)(const uint8_t *source, float *target, int64_t blocks);
  /* Encodes them; `importance` is null or as long as the source. Null when the format is read only. */
  void (*quantize)(const float *source, const float *importance, uint8_t *target, int64_t blocks);
} block_format;

/* The format of a GGUF tensor type number, or null. */
const block_format *block_format_of(int32_t type);

/* Bytes of a row of `columns` elements, columns a multiple of block_length. */
static inline int64_t block_format_row_size(const block_format *f, int64_t columns) {
  return columns / f->block_length * f->block_size;
}

/* IEEE half and bfloat16 <-> float32, rounding to nearest, ties to even. */
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
static inline float bfloat16_to_float(uint16_t bits) {
  union { uint32_t u; float f; } word = {(uint32_t)bits << 16};
  return word.f;
}
uint16_t float_to_bfloat16(float value);

#endif
