/* Rows of every block format: any bytes decode, and any block is taken apart. */
#include "fuzz/fuzz.h"
#include "quant/block_formats.h"

enum { TYPES = 64 };

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  int32_t type = take_u8(&d) % TYPES;
  const block_format *format = block_format_of(type);
  dimple_tensor_type_info info;
  REQUIRE((dimple_tensor_type_get_info(type, &info) == DIMPLE_OK) == (format != NULL));
  if (!format) return 0;
  uint8_t shape = take_u8(&d);
  int64_t blocks = 1 + (shape & 1), rows = 1 + (shape >> 1 & 1), columns = blocks * info.block_length;
  int64_t count = rows * columns, bytes = rows * blocks * info.block_size;
  float *values = malloc((size_t)count * sizeof *values);
  uint8_t *encoded = malloc((size_t)bytes);
  REQUIRE(values && encoded);
  take(&d, encoded, (size_t)bytes);
  REQUIRE(dimple_dequantize_rows(type, encoded, bytes, rows, columns, values) == DIMPLE_OK);
  REQUIRE(dimple_dequantize_rows(type, encoded, bytes - 1, rows, columns, values) == DIMPLE_ERROR_ARGUMENT);
  unpacked_block block;
  if (format->unpack)
    for (int64_t i = 0; i < rows * blocks; i++) format->unpack(encoded + i * info.block_size, &block);
  free(values);
  free(encoded);
  return 0;
}
