/* A row of numbers, with or without importances, in every block format that is written: encoded, and then it decodes to finite numbers that
 * encode again, or refused because a number is none that the format holds. */
#include <math.h>
#include <stdbool.h>

#include "fuzz/fuzz.h"

enum { LONGEST_BLOCK = 256, NUMBERS = 64, PATTERN = 48 };

static int32_t types[NUMBERS], type_count;

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  dimple_tensor_type_info info;
  for (int32_t type = 0; type < NUMBERS; type++)
    if (dimple_tensor_type_get_info(type, &info) == DIMPLE_OK && info.can_quantize) types[type_count++] = type;
  REQUIRE(type_count > 0);
  return 0;
}

/* Bytes as fractions of one scale, or the bits of any floats, over and over. */
static void take_numbers(decisions *d, float *numbers, int64_t count) {
  uint8_t kind = take_u8(d);
  float scale = kind & 1 ? take_float(d) : 0.01f;
  uint8_t bytes[PATTERN];
  take(d, bytes, sizeof bytes);
  for (int64_t i = 0; i < count; i++) {
    if (kind < 224) numbers[i] = scale * (float)(bytes[i % PATTERN] - 128);
    else memcpy(&numbers[i], bytes + i % (PATTERN / 4) * 4, 4);
  }
}

static bool all_finite(const float *x, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  int32_t type = types[take_u8(&d) % type_count];
  dimple_tensor_type_info info;
  REQUIRE(dimple_tensor_type_get_info(type, &info) == DIMPLE_OK && info.block_length <= LONGEST_BLOCK);
  int64_t columns = info.block_length, bytes = info.block_size;
  float numbers[LONGEST_BLOCK], importance[LONGEST_BLOCK];
  bool weighted = take_u8(&d) & 1;
  take_numbers(&d, numbers, columns);
  if (weighted) take_numbers(&d, importance, columns);
  uint8_t *encoded = malloc((size_t)bytes);
  REQUIRE(encoded);
  dimple_status status = dimple_quantize_rows(type, numbers, 1, columns, weighted ? importance : NULL, encoded, bytes);
  REQUIRE(status == DIMPLE_OK || status == DIMPLE_ERROR_ARGUMENT);
  if (!all_finite(numbers, columns)) REQUIRE(status == DIMPLE_ERROR_ARGUMENT);
  if (status == DIMPLE_OK) {
    REQUIRE(dimple_dequantize_rows(type, encoded, bytes, 1, columns, numbers) == DIMPLE_OK);
    REQUIRE(all_finite(numbers, columns));
  }
  free(encoded);
  return 0;
}
