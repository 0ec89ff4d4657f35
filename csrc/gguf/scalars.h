/* GGUF's value types: names, sizes, and numbers as they lie in a file, little-endian and not aligned. */
#ifndef DIMPLE_GGUF_SCALARS_H
#define DIMPLE_GGUF_SCALARS_H

#include <stdbool.h>
#include <stdint.h>

enum { GGUF_VALUE_TYPES = 13 };

/* By dimple_metadata_type. */
extern const char *const gguf_type_names[GGUF_VALUE_TYPES];
extern const uint8_t gguf_scalar_sizes[GGUF_VALUE_TYPES]; /* bytes; 0 for strings and arrays */

/* The unsigned number in `size` bytes at `at`. */
static inline uint64_t gguf_load_bits(const uint8_t *at, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; i--) value = value << 8 | at[i];
  return value;
}

bool gguf_is_integer(int32_t type);
/* False for a uint64 above INT64_MAX. */
bool gguf_load_int(int32_t type, const uint8_t *at, int64_t *out);

bool gguf_is_float(int32_t type);
/* False for NaN, infinity and a float64 beyond float32. */
bool gguf_load_float(int32_t type, const uint8_t *at, float *out);

#endif
