/* Rows of every block format: any bytes decode, what decodes to finite numbers encodes again where the format is written, and what was
 * encoded decodes to finite numbers. Encoding is tried on some inputs only. */
#include <math.h>
#include <stdbool.h>

#include "fuzz/fuzz.h"

enum { TYPES = 64, LARGEST = 4096 };

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  return 0;
}

static bool all_finite(const float *x, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  int32_t type = take_u8(&d) % TYPES;
  dimple_tensor_type_info info;
  if (dimple_tensor_type_get_info(type, &info) != DIMPLE_OK) return 0;
  int64_t blocks = 1 + take_u8(&d) % 2, rows = 1 + take_u8(&d) % 2, columns = blocks * info.block_length;
  int64_t count = rows * columns, bytes = rows * blocks * info.block_size;
  REQUIRE(count <= LARGEST && bytes <= 4 * LARGEST);
  uint8_t choice = take_u8(&d);
  bool encode = choice < 16, weighted = choice & 1; /* encoding takes a thousand times as long */
  float *values = malloc((size_t)count * sizeof *values), *importance = malloc((size_t)columns * sizeof *importance);
  uint8_t *encoded = malloc((size_t)bytes);
  REQUIRE(values && importance && encoded);
  for (int64_t i = 0; i < columns; i++) importance[i] = 1 + (float)(i % 7);
  take(&d, encoded, (size_t)bytes);
  REQUIRE(dimple_dequantize_rows(type, encoded, bytes, rows, columns, values) == DIMPLE_OK);
  REQUIRE(dimple_dequantize_rows(type, encoded, bytes - 1, rows, columns, values) == DIMPLE_ERROR_ARGUMENT);
  if (info.can_quantize && encode) {
    dimple_status status = dimple_quantize_rows(type, values, rows, columns, weighted ? importance : NULL, encoded, bytes);
    if (!all_finite(values, count)) REQUIRE(status == DIMPLE_ERROR_ARGUMENT);
    if (status == DIMPLE_OK) {
      REQUIRE(dimple_dequantize_rows(type, encoded, bytes, rows, columns, values) == DIMPLE_OK);
      REQUIRE(all_finite(values, count));
    }
  }
  free(values);
  free(importance);
  free(encoded);
  return 0;
}
