#include "block_formats.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "families.h"

#define LISTED(name) &format_##name,
static const block_format *const formats[] = {BLOCK_FORMATS(LISTED)};

const block_format *block_format_of(int32_t type) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if ((int32_t)formats[i]->type == type) return formats[i];
  return NULL;
}

/* ggml.h's enum ggml_type, those that were taken out of it included. */
static const char *const type_names[] = {
    "F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K", "IQ2_XXS",
    "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8", "I16", "I32", "I64", "F64", "IQ1_M", "BF16", "Q4_0_4_4", "Q4_0_4_8",
    "Q4_0_8_8", "TQ1_0", "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4", "NVFP4", "Q1_0", "Q2_0"};

const char *block_format_type_name(int32_t type) {
  return type >= 0 && (size_t)type < sizeof type_names / sizeof *type_names ? type_names[type] : "?";
}

dimple_status block_format_check_columns(const block_format *f, int64_t columns, dimple_status failure, const char *rows, ...) {
  if (columns % f->block_length == 0) return DIMPLE_OK;
  char named[1024];
  va_list arguments;
  va_start(arguments, rows);
  vsnprintf(named, sizeof named, rows, arguments);
  va_end(arguments);
  return dimple_fail(failure, "%s are not a multiple of the %" PRId32 " elements of a %s block", named, f->block_length, f->name);
}

dimple_status dimple_tensor_type_get_info(int32_t type, dimple_tensor_type_info *info) {
  if (!info) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "info is null");
  const block_format *format = block_format_of(type);
  if (!format) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor type %" PRId32 " (%s) is not one this library reads", type, block_format_type_name(type));
  dimple_tensor_type_info result = {
      .block_length = format->block_length, .block_size = format->block_size, .can_quantize = format->quantize != NULL};
  strncpy(result.name, format->name, sizeof result.name - 1);
  *info = result;
  return DIMPLE_OK;
}

/* Checks what both directions share: the type, the shape, and that `encoded_size` is exactly the size of the encoded rows. */
static dimple_status check_rows(int32_t type, const block_format *format, int64_t rows, int64_t columns, int64_t encoded_size) {
  if (!format) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor type %" PRId32 " (%s) is not one this library reads", type, block_format_type_name(type));
  if (rows < 1 || columns < 1)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%" PRId64 " rows of %" PRId64 " columns: both must be at least 1", rows, columns);
  DIMPLE_TRY(block_format_check_columns(format, columns, DIMPLE_ERROR_ARGUMENT, "%" PRId64 " columns", columns));
  int64_t float_size, row_size, size;
  if (__builtin_mul_overflow(columns, (int64_t)sizeof(float), &float_size) || __builtin_mul_overflow(rows, float_size, &float_size) ||
      __builtin_mul_overflow(columns / format->block_length, (int64_t)format->block_size, &row_size) ||
      __builtin_mul_overflow(rows, row_size, &size))
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%" PRId64 " rows of %" PRId64 " columns are more than memory can hold", rows, columns);
  if (encoded_size != size)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "%" PRId64 " rows of %" PRId64 " columns take %" PRId64 " bytes as %s, not %" PRId64, rows, columns, size,
                       format->name, encoded_size);
  return DIMPLE_OK;
}

/* The index of the first value that is NaN or above `largest` in magnitude, or `count`. */
static int64_t find_unencodable(const float *values, int64_t count, float largest) {
  enum { CHUNK = 1024 }; /* scanned without a branch, so that the loop vectorises */
  for (int64_t start = 0; start < count; start += CHUNK) {
    int64_t end = count - start < CHUNK ? count : start + CHUNK;
    int bad = 0;
    for (int64_t i = start; i < end; i++) bad |= !(fabsf(values[i]) <= largest);
    for (int64_t i = start; bad && i < end; i++)
      if (!(fabsf(values[i]) <= largest)) return i;
  }
  return count;
}

dimple_status dimple_quantize_rows(int32_t type, const float *source, int64_t rows, int64_t columns, const float *importance,
                                   uint8_t *target, int64_t target_size) {
  const block_format *format = block_format_of(type);
  DIMPLE_TRY(check_rows(type, format, rows, columns, target_size));
  if (!source) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "source is null");
  if (!target) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "target is null");
  if (!format->quantize) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s can only be read", format->name);
  int64_t bad = find_unencodable(source, rows * columns, format->largest);
  if (bad < rows * columns)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT,
                       "row %" PRId64 ", column %" PRId64 " is %g: %s holds finite values up to %g", bad / columns,
                       bad % columns, (double)source[bad], format->name, (double)format->largest);
  for (int64_t i = 0; importance && i < columns; i++)
    if (!(importance[i] >= 0 && isfinite(importance[i])))
      return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the importance of column %" PRId64 " is %g: it must be finite and not negative", i,
                         (double)importance[i]);
  int64_t row_size = block_format_row_size(format, columns);
  for (int64_t row = 0; row < rows; row++)
    format->quantize(source + row * columns, importance, target + row * row_size, columns / format->block_length);
  return DIMPLE_OK;
}

dimple_status dimple_dequantize_rows(int32_t type, const uint8_t *source, int64_t source_size, int64_t rows, int64_t columns,
                                     float *target) {
  const block_format *format = block_format_of(type);
  DIMPLE_TRY(check_rows(type, format, rows, columns, source_size));
  if (!source) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "source is null");
  if (!target) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "target is null");
  format->dequantize(source, target, rows * (columns / format->block_length));
  return DIMPLE_OK;
}
