#include "gguf/scalars.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "dimple.h"

const char *const gguf_type_names[] = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32",
                                       "bool",  "string", "array", "uint64", "int64", "float64"};
const uint8_t gguf_scalar_sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

bool gguf_is_integer(int32_t type) {
  return type <= DIMPLE_METADATA_INT32 || type == DIMPLE_METADATA_UINT64 || type == DIMPLE_METADATA_INT64;
}

bool gguf_load_int(int32_t type, const uint8_t *at, int64_t *out) {
  uint64_t bits = gguf_load_bits(at, gguf_scalar_sizes[type]);
  switch (type) {
    case DIMPLE_METADATA_INT8: *out = (int8_t)bits; break;
    case DIMPLE_METADATA_INT16: *out = (int16_t)bits; break;
    case DIMPLE_METADATA_INT32: *out = (int32_t)bits; break;
    case DIMPLE_METADATA_INT64: *out = (int64_t)bits; break;
    default:
      if (bits > INT64_MAX) return false;
      *out = (int64_t)bits;
  }
  return true;
}

bool gguf_is_float(int32_t type) { return type == DIMPLE_METADATA_FLOAT32 || type == DIMPLE_METADATA_FLOAT64; }

bool gguf_load_float(int32_t type, const uint8_t *at, float *out) {
  double value;
  if (type == DIMPLE_METADATA_FLOAT32) {
    float single;
    uint32_t bits = (uint32_t)gguf_load_bits(at, 4);
    memcpy(&single, &bits, sizeof single);
    value = single;
  } else {
    uint64_t bits = gguf_load_bits(at, 8);
    memcpy(&value, &bits, sizeof value);
  }
  if (!(fabs(value) <= FLT_MAX)) return false;
  *out = (float)value;
  return true;
}
