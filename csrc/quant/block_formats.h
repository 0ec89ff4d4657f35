/*
 * GGML's block formats, one family per file. A row of a tensor is cut into blocks of `block_length` elements that share
 * their scales. All that is known of a format stands in its family's file: how it is decoded, encoded and taken apart. Adding one is
 * that file, its name in families.h and its number in dimple.h.
 */
#ifndef DIMPLE_BLOCK_FORMATS_H
#define DIMPLE_BLOCK_FORMATS_H

#include <stdbool.h>
#include <stdint.h>

#include "dimple.h"

/* What the codes of a quantized format look like: a weight is scale * code + minimum. Kernels take every combination but 8 bits with
 * two halves and a minimum, which no format has. */
typedef struct code_layout {
  int32_t bits;        /* 4 (an index into `table`) or 8 (a signed byte) */
  int32_t halves;      /* 2: 16 elements share a scale, 1: 32 */
  int32_t unit_blocks; /* stretches of 32 elements in a block: 1 or 8, or 2 with float scales */
  int32_t largest;     /* absolute value of a code, or more; a power of two only if it is negative */
  bool has_minimum;
  bool positive;       /* 8 bits: no code is negative, which some kernels make use of */
  bool float_scales;   /* scales are floats of their own, not made of d and factors; there are no minima then */
  int8_t table[16]; /* 4 bits: the value of each code */
} code_layout;

/* One block taken apart without rounding anything: what dequantizing multiplies out, integer kernels keep apart. j numbers the
 * stretches of 32 / halves elements that share a scale.
 *   unit_blocks 1: scale = d, minimum = dmin;  8: scale = d * factor[j], minimum = -dmin * minimum_factor[j]
 *   float_scales: scale[j]
 * What a format does not have is left as it was. */
typedef struct unpacked_block {
  uint8_t codes[256];
  uint16_t d, dmin; /* half floats */
  int8_t factor[16];
  uint8_t minimum_factor[16];
  float scale[16];
} unpacked_block;

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
  code_layout codes;
  /* Takes one block apart. Null for float types, which have no codes. */
  void (*unpack)(const uint8_t *source, unpacked_block *out);
} block_format;

/* The format of a GGUF tensor type number, or null. */
const block_format *block_format_of(int32_t type);

/* What ggml calls a type, known here or not: "IQ3_S"; "?" for a number that it has not given. */
const char *block_format_type_name(int32_t type);

/* Checks that a row of `columns` elements divides into blocks. If not, `failure`; the message begins with `rows`, a format for what
 * follows it that names them ("33 columns"). */
__attribute__((format(printf, 4, 5))) dimple_status block_format_check_columns(const block_format *f, int64_t columns, dimple_status failure,
                                                                               const char *rows, ...);

/* Bytes of a row of `columns` elements, columns a multiple of block_length. */
static inline int64_t block_format_row_size(const block_format *f, int64_t columns) {
  return columns / f->block_length * f->block_size;
}

/* Where the first of `blocks` consecutive blocks begins that holds a NaN or an infinite number, as an element or a scale, counted in elements; -1: nowhere. */
int64_t block_format_find_not_finite(const block_format *f, const uint8_t *source, int64_t blocks);

/* IEEE half and bfloat16 <-> float32, rounding to nearest, ties to even. */
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
uint16_t finite_half(float value); /* the same, but what is beyond the largest half float, 65504, becomes that; NaN stays NaN */
static inline float bfloat16_to_float(uint16_t bits) {
  union { uint32_t u; float f; } word = {(uint32_t)bits << 16};
  return word.f;
}
uint16_t float_to_bfloat16(float value);

#endif
