#include "quant/kv_rows.h"

#include <string.h>

bool kv_type_is_known(int32_t type) { return type == DIMPLE_TENSOR_F32 || type == DIMPLE_TENSOR_F16 || type == DIMPLE_TENSOR_Q8_0; }

bool kv_type_takes_heads(int32_t type, int32_t size) { return size % block_format_of(type)->block_length == 0; }

int64_t kv_bytes(int32_t type, int64_t count) { return block_format_row_size(block_format_of(type), count); }

int64_t kv_row_elements(int32_t type, int64_t width) { return (kv_bytes(type, width) + (int64_t)sizeof(float) - 1) / (int64_t)sizeof(float); }

static bool is_finite(const float *x, int64_t count) {
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += 0 * x[i];
  return sum == 0;
}

/* A scale that is NaN makes NaN of all its block. */
static void pack_blocks(const block_format *f, const float *row, int64_t width, uint8_t *packed) {
  static const uint8_t not_a_number[] = {0x00, 0x7e};
  for (int64_t i = 0; i < width; i += f->block_length, packed += f->block_size) {
    if (is_finite(row + i, f->block_length)) {
      f->quantize(row + i, NULL, packed, 1);
    } else {
      memset(packed, 0, (size_t)f->block_size);
      memcpy(packed, not_a_number, sizeof not_a_number);
    }
  }
}

void kv_row_pack(int32_t type, const float *row, int64_t width, void *packed) {
  if (type == DIMPLE_TENSOR_F32) {
    memcpy(packed, row, (size_t)width * sizeof *row);
  } else if (type == DIMPLE_TENSOR_F16) {
    uint16_t *halves = packed;
    for (int64_t i = 0; i < width; i++) halves[i] = finite_half(row[i]);
  } else {
    pack_blocks(block_format_of(type), row, width, packed);
  }
}

void kv_row_unpack(int32_t type, const void *packed, int64_t width, float *row) {
  const block_format *f = block_format_of(type);
  f->dequantize(packed, row, width / f->block_length);
}
