#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gguf/file.h"
#include "gguf/scalars.h"

/* The value of a key, or null; from now on the key counts as read. */
static const dimple_metadata *find(const gguf_file *file, const char *key) {
  const dimple_metadata *value = gguf_find(file, key);
  if (value) file->metadata_read[value - file->metadata] = true;
  return value;
}

static dimple_status fail_absent(const gguf_file *file, const char *key) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is missing", file->path, key);
}

static dimple_status fail_type(const gguf_file *file, const char *key, const dimple_metadata *value, const char *expected) {
  int array = value->type == DIMPLE_METADATA_ARRAY;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %s%s, expected %s", file->path, key, array ? "an array of " : "of type ",
                     gguf_type_names[value->element_type], expected);
}

dimple_status gguf_require_key(const gguf_file *file, const char *key) { return gguf_find(file, key) ? DIMPLE_OK : fail_absent(file, key); }

dimple_status gguf_optional_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  if (!gguf_is_integer(value->type)) return fail_type(file, key, value, "an integer");
  int64_t number;
  if (!gguf_load_int(value->type, value->data, &number))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %" PRIu64 ", expected %" PRId64 " .. %" PRId64, file->path, key,
                       gguf_load_bits(value->data, 8), minimum, maximum);
  if (number < minimum || number > maximum)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %" PRId64 ", expected %" PRId64 " .. %" PRId64, file->path, key,
                       number, minimum, maximum);
  *out = number;
  return DIMPLE_OK;
}

dimple_status gguf_require_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out) {
  DIMPLE_TRY(gguf_require_key(file, key));
  return gguf_optional_int(file, key, minimum, maximum, out);
}

dimple_status gguf_require_int32(const gguf_file *file, const char *key, int32_t minimum, int32_t maximum, int32_t *out) {
  DIMPLE_TRY(gguf_require_key(file, key));
  return gguf_optional_int32(file, key, minimum, maximum, out);
}

dimple_status gguf_optional_int32(const gguf_file *file, const char *key, int32_t minimum, int32_t maximum, int32_t *out) {
  int64_t value = *out;
  DIMPLE_TRY(gguf_optional_int(file, key, minimum, maximum, &value));
  *out = (int32_t)value;
  return DIMPLE_OK;
}

dimple_status gguf_optional_float(const gguf_file *file, const char *key, float *out) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  if (!gguf_is_float(value->type)) return fail_type(file, key, value, "a float");
  float number;
  if (!gguf_load_float(value->type, value->data, &number))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is not a finite float32", file->path, key);
  *out = number;
  return DIMPLE_OK;
}

dimple_status gguf_require_float(const gguf_file *file, const char *key, float *out) {
  DIMPLE_TRY(gguf_require_key(file, key));
  return gguf_optional_float(file, key, out);
}

dimple_status gguf_check_between(const gguf_file *file, const char *key, float value, float low, float high) {
  if (value > low && value < high) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key %s is %g, expected a value between %g and %g", file->path, key, (double)value, (double)low, (double)high);
}

dimple_status gguf_optional_bool(const gguf_file *file, const char *key, bool *out) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  if (value->type != DIMPLE_METADATA_BOOL) return fail_type(file, key, value, "a bool");
  *out = value->data[0];
  return DIMPLE_OK;
}

dimple_status gguf_optional_string(const gguf_file *file, const char *key, char *out, int64_t capacity) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  if (value->type != DIMPLE_METADATA_STRING) return fail_type(file, key, value, "a string");
  if (value->size >= (uint64_t)capacity)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is a string of %" PRIu64 " bytes, expected at most %" PRId64, file->path,
                       key, value->size, capacity - 1);
  if (memchr(value->data, 0, value->size))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is a string with a zero byte", file->path, key);
  memcpy(out, value->data, value->size);
  out[value->size] = 0;
  return DIMPLE_OK;
}

dimple_status gguf_require_string(const gguf_file *file, const char *key, char *out, int64_t capacity) {
  DIMPLE_TRY(gguf_require_key(file, key));
  return gguf_optional_string(file, key, out, capacity);
}

static dimple_status check_array(const gguf_file *file, const char *key, const dimple_metadata *value, bool fits_type,
                                 const char *expected, int64_t capacity) {
  if (value->type != DIMPLE_METADATA_ARRAY || !fits_type) return fail_type(file, key, value, expected);
  if (value->count > (uint64_t)capacity)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" has %" PRIu64 " elements, expected at most %" PRId64, file->path, key,
                       value->count, capacity);
  return DIMPLE_OK;
}

dimple_status gguf_optional_int_array(const gguf_file *file, const char *key, int64_t *out, int64_t capacity, int64_t *count) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  DIMPLE_TRY(check_array(file, key, value, gguf_is_integer(value->element_type), "an array of integers", capacity));
  int64_t elements = (int64_t)value->count, size = gguf_scalar_sizes[value->element_type], number;
  for (int64_t i = 0; i < elements; i++)
    if (!gguf_load_int(value->element_type, value->data + i * size, &number))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\": element %" PRId64 " is above 2^63 - 1", file->path, key, i);
  for (int64_t i = 0; i < elements; i++) gguf_load_int(value->element_type, value->data + i * size, &out[i]);
  *count = elements;
  return DIMPLE_OK;
}

dimple_status gguf_optional_bool_array(const gguf_file *file, const char *key, bool *out, int64_t capacity, int64_t *count) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  DIMPLE_TRY(check_array(file, key, value, value->element_type == DIMPLE_METADATA_BOOL, "an array of bools", capacity));
  for (int64_t i = 0; i < (int64_t)value->count; i++) out[i] = value->data[i] != 0;
  *count = (int64_t)value->count;
  return DIMPLE_OK;
}

dimple_status gguf_optional_float_array(const gguf_file *file, const char *key, float *out, int64_t capacity, int64_t *count) {
  const dimple_metadata *value = find(file, key);
  if (!value) return DIMPLE_OK;
  DIMPLE_TRY(check_array(file, key, value, gguf_is_float(value->element_type), "an array of floats", capacity));
  int64_t elements = (int64_t)value->count, size = gguf_scalar_sizes[value->element_type];
  float number;
  for (int64_t i = 0; i < elements; i++)
    if (!gguf_load_float(value->element_type, value->data + i * size, &number))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\": element %" PRId64 " is not a finite float32", file->path, key, i);
  for (int64_t i = 0; i < elements; i++) gguf_load_float(value->element_type, value->data + i * size, &out[i]);
  *count = elements;
  return DIMPLE_OK;
}
