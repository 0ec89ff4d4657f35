#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gguf/file.h"
#include "gguf/scalars.h"

/* The format's limit: keys are at most 2^16 - 1 bytes. */
enum { MAX_KEY = 65535 };

/* --------------------------------------------------------------------------------------------------------------------- reading */

/* Bytes of the key that a message shows: a key may be longer than any message. */
static int shown_size(const dimple_metadata *value) { return value->key_size < 100 ? (int)value->key_size : 100; }

static dimple_status check_bools(const cursor *c, const dimple_metadata *value) {
  for (uint64_t i = 0; i < value->size; i++)
    if (value->data[i] > 1)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": a bool is %d, expected 0 or 1", c->path,
                         shown_size(value), value->key, value->data[i]);
  return DIMPLE_OK;
}

/* The elements of an array: their type, their count, then one after the other. */
static dimple_status read_array(cursor *c, dimple_metadata *value) {
  uint32_t element_type = 0;
  DIMPLE_TRY(cursor_take_u32(c, "an array's element type", &element_type));
  DIMPLE_TRY(cursor_take_u64(c, "an array's length", &value->count));
  if (element_type == DIMPLE_METADATA_ARRAY)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key \"%.*s\" is an array of arrays, which is not supported", c->path,
                       shown_size(value), value->key);
  if (element_type >= GGUF_VALUE_TYPES)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": the array's element type is %" PRIu32 ", expected one of 0 .. %d",
                       c->path, shown_size(value), value->key, element_type, GGUF_VALUE_TYPES - 1);
  value->element_type = (int32_t)element_type;
  uint64_t least = element_type == DIMPLE_METADATA_STRING ? 8 : gguf_scalar_sizes[element_type];
  if (value->count > cursor_remaining(c) / least)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": an array of %" PRIu64 " %s values does not fit into the file",
                       c->path, shown_size(value), value->key, value->count, gguf_type_names[element_type]);
  if (element_type != DIMPLE_METADATA_STRING) {
    value->size = value->count * least;
    return cursor_take(c, value->size, "an array", &value->data);
  }
  value->data = c->mapping->bytes + c->offset;
  for (uint64_t i = 0; i < value->count; i++) {
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    DIMPLE_TRY(cursor_take_string(c, "a string of an array", &bytes, &size));
  }
  value->size = (uint64_t)(c->mapping->bytes + c->offset - value->data);
  return DIMPLE_OK;
}

static dimple_status read_value(cursor *c, dimple_metadata *value) {
  switch (value->type) {
    case DIMPLE_METADATA_ARRAY: DIMPLE_TRY(read_array(c, value)); break;
    case DIMPLE_METADATA_STRING: DIMPLE_TRY(cursor_take_string(c, "a string", &value->data, &value->size)); break;
    default:
      value->size = gguf_scalar_sizes[value->type];
      DIMPLE_TRY(cursor_take(c, value->size, "a value", &value->data));
  }
  return value->element_type == DIMPLE_METADATA_BOOL ? check_bools(c, value) : DIMPLE_OK;
}

static dimple_status read_all(cursor *c, gguf_file *file, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    dimple_metadata *metadata = cursor_make_room(file->metadata, file->metadata_count, sizeof *metadata);
    if (!metadata) return dimple_fail_memory(2 * i * sizeof *metadata, "the metadata of a GGUF file");
    file->metadata = metadata;
    dimple_metadata value = {.count = 1};
    const uint8_t *key = NULL;
    DIMPLE_TRY(cursor_take_string(c, "a metadata key", &key, &value.key_size));
    if (value.key_size == 0 || value.key_size > MAX_KEY) return cursor_fail(c, "a metadata key is empty or above 65535 bytes");
    value.key = (const char *)key;
    uint32_t type = 0;
    DIMPLE_TRY(cursor_take_u32(c, "a metadata type", &type));
    if (type >= GGUF_VALUE_TYPES)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\" has type %" PRIu32 ", expected one of 0 .. %d", file->path,
                         shown_size(&value), value.key, type, GGUF_VALUE_TYPES - 1);
    value.type = value.element_type = (int32_t)type;
    DIMPLE_TRY(read_value(c, &value));
    file->metadata[file->metadata_count++] = value;
  }
  return DIMPLE_OK;
}

static int compare_text(const char *a, uint64_t a_size, const char *b, uint64_t b_size) {
  int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
  return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_keys(const void *a, const void *b) {
  const dimple_metadata *x = *(const dimple_metadata *const *)a, *y = *(const dimple_metadata *const *)b;
  return compare_text(x->key, x->key_size, y->key, y->key_size);
}

static dimple_status index_metadata(gguf_file *file) {
  size_t count = (size_t)file->metadata_count;
  if (count == 0) return DIMPLE_OK;
  file->metadata_by_key = malloc(count * sizeof *file->metadata_by_key);
  file->metadata_read = calloc(count, sizeof *file->metadata_read);
  if (!file->metadata_by_key || !file->metadata_read)
    return dimple_fail_memory(count * (sizeof *file->metadata_by_key + sizeof *file->metadata_read), "the index of a GGUF file's keys");
  for (size_t i = 0; i < count; i++) file->metadata_by_key[i] = &file->metadata[i];
  qsort(file->metadata_by_key, count, sizeof *file->metadata_by_key, compare_keys);
  for (size_t i = 1; i < count; i++)
    if (compare_keys(&file->metadata_by_key[i - 1], &file->metadata_by_key[i]) == 0)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\" is there twice", file->path, shown_size(file->metadata_by_key[i]),
                         file->metadata_by_key[i]->key);
  return DIMPLE_OK;
}

dimple_status gguf_read_metadata(cursor *c, gguf_file *file, uint64_t count) {
  DIMPLE_TRY(read_all(c, file, count));
  return index_metadata(file);
}

/* -------------------------------------------------------------------------------------------------------------------- look-ups */

int64_t gguf_metadata_count(const gguf_file *file) { return file->metadata_count; }

const dimple_metadata *gguf_metadata_at(const gguf_file *file, int64_t index) {
  return index >= 0 && index < file->metadata_count ? &file->metadata[index] : NULL;
}

const dimple_metadata *gguf_find(const gguf_file *file, const char *key) { return gguf_find_sized(file, key, strlen(key)); }

const dimple_metadata *gguf_find_sized(const gguf_file *file, const char *key, uint64_t size) {
  for (int64_t low = 0, high = file->metadata_count; low < high;) {
    int64_t middle = low + (high - low) / 2;
    const dimple_metadata *candidate = file->metadata_by_key[middle];
    int order = compare_text(key, size, candidate->key, candidate->key_size);
    if (order == 0) return candidate;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return NULL;
}

bool gguf_was_read(const gguf_file *file, int64_t index) { return file->metadata_read[index]; }
