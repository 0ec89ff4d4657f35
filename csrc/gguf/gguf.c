#include "gguf.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "platform/platform.h"
#include "quant/block_formats.h"

/* Limits of the format: keys are at most 2^16 - 1 bytes, the data section is aligned to 32 unless general.alignment says otherwise. */
enum { MAX_KEY = 65535, DEFAULT_ALIGNMENT = 32, MIN_ALIGNMENT = 8 };

/* The fewest bytes a key with its value, and a tensor's description, can take: lengths, type, one byte each of text and value;
 * length, one byte of name, dimension count, one dimension, type, offset. A count the file has no room for is refused at once. */
enum { MIN_METADATA_SIZE = 8 + 1 + 4 + 1, MIN_TENSOR_SIZE = 8 + 1 + 4 + 8 + 4 + 8 };


typedef struct tensor_entry {
  gguf_tensor tensor;
  char name[GGUF_MAX_NAME + 1];
} tensor_entry;

struct gguf_file {
  char *path;
  platform_mapping mapping;
  int64_t alignment;
  dimple_metadata *metadata;
  int64_t metadata_count;
  tensor_entry *tensors;
  int64_t tensor_count;
  const dimple_metadata **metadata_by_key; /* sorted, for binary search: no file can make a look-up slow */
  const tensor_entry **tensors_by_name;
};

static const char *const type_names[] = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32",
                                         "bool",  "string", "array", "uint64", "int64", "float64"};
static const uint8_t scalar_sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
enum { TYPE_COUNT = sizeof type_names / sizeof *type_names };

static uint64_t load_little_endian(const uint8_t *at, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; i--) value = value << 8 | at[i];
  return value;
}

/* ------------------------------------------------------------------------------------------------------ reading forward */

/* A position in the file that only moves over bytes that are there. */
typedef struct cursor {
  const gguf_file *file;
  int64_t offset;
} cursor;

static dimple_status fail_at(const cursor *c, const char *problem) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s", c->file->path, c->offset, problem);
}

static uint64_t remaining(const cursor *c) { return (uint64_t)(c->file->mapping.size - c->offset); }

static dimple_status take(cursor *c, uint64_t size, const char *what, const uint8_t **out) {
  if (size > remaining(c))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s takes %" PRIu64 " bytes, but the file ends after %" PRIu64,
                       c->file->path, c->offset, what, size, remaining(c));
  *out = c->file->mapping.bytes + c->offset;
  c->offset += (int64_t)size;
  return DIMPLE_OK;
}

static dimple_status take_u32(cursor *c, const char *what, uint32_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(take(c, 4, what, &at));
  *out = (uint32_t)load_little_endian(at, 4);
  return DIMPLE_OK;
}

static dimple_status take_u64(cursor *c, const char *what, uint64_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(take(c, 8, what, &at));
  *out = load_little_endian(at, 8);
  return DIMPLE_OK;
}

/* A uint64 length and that many bytes. */
static dimple_status take_string(cursor *c, const char *what, const uint8_t **bytes, uint64_t *size) {
  DIMPLE_TRY(take_u64(c, what, size));
  return take(c, *size, what, bytes);
}

/* The array with room for one more element, or null: it doubles at every power of two from 16, so that memory follows what
 * was read and not what the file claims. */
static void *with_room(void *array, int64_t count, size_t element_size) {
  bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
  return full ? realloc(array, (count == 0 ? 16 : 2 * (size_t)count) * element_size) : array;
}

/* ------------------------------------------------------------------------------------------------------------- metadata */

/* Bytes of the key that a message shows: a key may be longer than any message. */
static int shown_size(const dimple_metadata *value) { return value->key_size < 100 ? (int)value->key_size : 100; }

static dimple_status check_bools(const cursor *c, const dimple_metadata *value) {
  for (uint64_t i = 0; i < value->size; i++)
    if (value->data[i] > 1)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": a bool is %d, expected 0 or 1", c->file->path,
                         shown_size(value), value->key, value->data[i]);
  return DIMPLE_OK;
}

/* The elements of an array: their type, their count, then one after the other. */
static dimple_status read_array(cursor *c, dimple_metadata *value) {
  uint32_t element_type = 0;
  DIMPLE_TRY(take_u32(c, "an array's element type", &element_type));
  DIMPLE_TRY(take_u64(c, "an array's length", &value->count));
  if (element_type == DIMPLE_METADATA_ARRAY)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: key \"%.*s\" is an array of arrays, which is not supported", c->file->path,
                       shown_size(value), value->key);
  if (element_type >= TYPE_COUNT)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": the array's element type is %" PRIu32 ", expected one of 0 .. %d",
                       c->file->path, shown_size(value), value->key, element_type, TYPE_COUNT - 1);
  value->element_type = (int32_t)element_type;
  uint64_t least = element_type == DIMPLE_METADATA_STRING ? 8 : scalar_sizes[element_type];
  if (value->count > remaining(c) / least)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\": an array of %" PRIu64 " %s values does not fit into the file",
                       c->file->path, shown_size(value), value->key, value->count, type_names[element_type]);
  if (element_type != DIMPLE_METADATA_STRING) {
    value->size = value->count * least;
    return take(c, value->size, "an array", &value->data);
  }
  value->data = c->file->mapping.bytes + c->offset;
  for (uint64_t i = 0; i < value->count; i++) {
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    DIMPLE_TRY(take_string(c, "a string of an array", &bytes, &size));
  }
  value->size = (uint64_t)(c->file->mapping.bytes + c->offset - value->data);
  return DIMPLE_OK;
}

static dimple_status read_value(cursor *c, dimple_metadata *value) {
  switch (value->type) {
    case DIMPLE_METADATA_ARRAY: DIMPLE_TRY(read_array(c, value)); break;
    case DIMPLE_METADATA_STRING: DIMPLE_TRY(take_string(c, "a string", &value->data, &value->size)); break;
    default:
      value->size = scalar_sizes[value->type];
      DIMPLE_TRY(take(c, value->size, "a value", &value->data));
  }
  return value->element_type == DIMPLE_METADATA_BOOL ? check_bools(c, value) : DIMPLE_OK;
}

static dimple_status read_metadata(cursor *c, gguf_file *file, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    dimple_metadata *metadata = with_room(file->metadata, file->metadata_count, sizeof *metadata);
    if (!metadata) return dimple_fail_memory(2 * i * sizeof *metadata, "the metadata of a GGUF file");
    file->metadata = metadata;
    dimple_metadata value = {.count = 1};
    const uint8_t *key = NULL;
    DIMPLE_TRY(take_string(c, "a metadata key", &key, &value.key_size));
    if (value.key_size == 0 || value.key_size > MAX_KEY) return fail_at(c, "a metadata key is empty or above 65535 bytes");
    value.key = (const char *)key;
    uint32_t type = 0;
    DIMPLE_TRY(take_u32(c, "a metadata type", &type));
    if (type >= TYPE_COUNT)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\" has type %" PRIu32 ", expected one of 0 .. %d", file->path,
                         shown_size(&value), value.key, type, TYPE_COUNT - 1);
    value.type = value.element_type = (int32_t)type;
    DIMPLE_TRY(read_value(c, &value));
    file->metadata[file->metadata_count++] = value;
  }
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- tensors */

static dimple_status fail_tensor(const gguf_file *file, const tensor_entry *entry, const char *problem) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": %s", file->path, entry->name, problem);
}

static dimple_status read_tensor_name(cursor *c, tensor_entry *entry) {
  const uint8_t *name = NULL;
  uint64_t size = 0;
  DIMPLE_TRY(take_string(c, "a tensor name", &name, &size));
  if (size == 0 || size > GGUF_MAX_NAME) return fail_at(c, "a tensor name is empty or above 64 bytes");
  if (memchr(name, 0, size)) return fail_at(c, "a tensor name holds a zero byte");
  memcpy(entry->name, name, size);
  return DIMPLE_OK;
}

/* Reads one description; `data` follows once the start of the data section is known. */
static dimple_status read_tensor(cursor *c, tensor_entry *entry) {
  gguf_tensor *tensor = &entry->tensor;
  uint32_t dimension_count = 0, type = 0;
  DIMPLE_TRY(read_tensor_name(c, entry));
  DIMPLE_TRY(take_u32(c, "a tensor's dimension count", &dimension_count));
  if (dimension_count < 1 || dimension_count > GGUF_MAX_DIMENSIONS)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\" has %" PRIu32 " dimensions, expected 1 .. %d", c->file->path,
                       entry->name, dimension_count, GGUF_MAX_DIMENSIONS);
  tensor->dimension_count = (int32_t)dimension_count;
  int64_t elements = 1;
  for (uint32_t i = 0; i < GGUF_MAX_DIMENSIONS; i++) {
    uint64_t dimension = 1;
    if (i < dimension_count) DIMPLE_TRY(take_u64(c, "a tensor's dimension", &dimension));
    if (dimension < 1 || dimension > INT64_MAX || __builtin_mul_overflow(elements, (int64_t)dimension, &elements))
      return dimple_fail(DIMPLE_ERROR_FORMAT,
                         "%s: tensor \"%s\": dimension %" PRIu32 " is %" PRIu64 ", expected at least 1 and a product below 2^63",
                         c->file->path, entry->name, i, dimension);
    tensor->dimensions[i] = (int64_t)dimension;
  }
  DIMPLE_TRY(take_u32(c, "a tensor's type", &type));
  tensor->type = (int32_t)type;
  uint64_t offset = 0;
  DIMPLE_TRY(take_u64(c, "a tensor's offset", &offset));
  if (offset > INT64_MAX || offset % (uint64_t)c->file->alignment != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": offset %" PRIu64 " is not a multiple of the alignment %" PRId64,
                       c->file->path, entry->name, offset, c->file->alignment);
  tensor->offset = (int64_t)offset;

  const block_format *format = block_format_of(tensor->type);
  if (!format) return DIMPLE_OK;
  DIMPLE_TRY(block_format_check_columns(format, tensor->dimensions[0], DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": rows of %" PRId64,
                                        c->file->path, entry->name, tensor->dimensions[0]));
  if (__builtin_mul_overflow(elements / format->block_length, (int64_t)format->block_size, &tensor->size))
    return fail_tensor(c->file, entry, "its size overflows");
  return DIMPLE_OK;
}

static dimple_status read_tensors(cursor *c, gguf_file *file, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    tensor_entry *tensors = with_room(file->tensors, file->tensor_count, sizeof *tensors);
    if (!tensors) return dimple_fail_memory(2 * i * sizeof *tensors, "the tensor list of a GGUF file");
    file->tensors = tensors;
    tensor_entry *entry = &file->tensors[file->tensor_count];
    *entry = (tensor_entry){0};
    DIMPLE_TRY(read_tensor(c, entry));
    file->tensor_count++;
  }
  return DIMPLE_OK;
}

/* Points the tensors into the data section, which starts at the next multiple of the alignment. */
static dimple_status locate_tensors(const cursor *c, gguf_file *file) {
  if (file->tensor_count == 0) return DIMPLE_OK; /* then the padding before the data section may be missing */
  int64_t start = c->offset + (file->alignment - c->offset % file->alignment) % file->alignment;
  for (int64_t i = 0; i < file->tensor_count; i++) {
    tensor_entry *entry = &file->tensors[i];
    gguf_tensor *tensor = &entry->tensor;
    tensor->name = entry->name;
    if (start > file->mapping.size || tensor->offset > file->mapping.size - start || tensor->size > file->mapping.size - start - tensor->offset)
      return dimple_fail(DIMPLE_ERROR_FORMAT,
                         "%s: tensor \"%s\" takes %" PRId64 " bytes from %" PRId64 " + %" PRId64 ", but the file has %" PRId64,
                         file->path, entry->name, tensor->size, start, tensor->offset, file->mapping.size);
    if (block_format_of(tensor->type)) tensor->data = file->mapping.bytes + start + tensor->offset;
  }
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------- order and checks */

static int compare_text(const char *a, uint64_t a_size, const char *b, uint64_t b_size) {
  int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
  return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_keys(const void *a, const void *b) {
  const dimple_metadata *x = *(const dimple_metadata *const *)a, *y = *(const dimple_metadata *const *)b;
  return compare_text(x->key, x->key_size, y->key, y->key_size);
}

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const tensor_entry *const *)a)->name, (*(const tensor_entry *const *)b)->name);
}

static int compare_offsets(const void *a, const void *b) {
  int64_t x = (*(const tensor_entry *const *)a)->tensor.offset, y = (*(const tensor_entry *const *)b)->tensor.offset;
  return (x > y) - (x < y);
}

static dimple_status index_metadata(gguf_file *file) {
  size_t count = (size_t)file->metadata_count;
  if (count == 0) return DIMPLE_OK;
  file->metadata_by_key = malloc(count * sizeof *file->metadata_by_key);
  if (!file->metadata_by_key) return dimple_fail_memory(count * sizeof *file->metadata_by_key, "the index of a GGUF file's keys");
  for (size_t i = 0; i < count; i++) file->metadata_by_key[i] = &file->metadata[i];
  qsort(file->metadata_by_key, count, sizeof *file->metadata_by_key, compare_keys);
  for (size_t i = 1; i < count; i++)
    if (compare_keys(&file->metadata_by_key[i - 1], &file->metadata_by_key[i]) == 0)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%.*s\" is there twice", file->path, shown_size(file->metadata_by_key[i]),
                         file->metadata_by_key[i]->key);
  return DIMPLE_OK;
}

/* Checks in order of offset that the tensors lie one behind the other, each at the next multiple of the alignment, as GGML's own reader
 * asks: a description with a wrong type or shape shows here. In order of name, that none is there twice. */
static dimple_status index_tensors(gguf_file *file) {
  size_t count = (size_t)file->tensor_count;
  if (count == 0) return DIMPLE_OK;
  const tensor_entry **entries = malloc(count * sizeof *entries);
  if (!entries) return dimple_fail_memory(count * sizeof *entries, "the index of a GGUF file's tensors");
  file->tensors_by_name = entries;
  for (size_t i = 0; i < count; i++) entries[i] = &file->tensors[i];
  qsort(entries, count, sizeof *entries, compare_offsets);
  if (entries[0]->tensor.offset != 0) return fail_tensor(file, entries[0], "is the first, but does not start at offset 0");
  for (size_t i = 1; i < count; i++) {
    const gguf_tensor *a = &entries[i - 1]->tensor, *b = &entries[i]->tensor;
    if (b->offset - a->offset < (a->size > 0 ? a->size : 1)) /* of an unknown type at least a byte */
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensors \"%s\" and \"%s\" overlap at offset %" PRId64, file->path, a->name,
                         b->name, b->offset);
    if (a->size > 0 && b->offset - a->offset - a->size >= file->alignment)
      return dimple_fail(DIMPLE_ERROR_FORMAT,
                         "%s: tensor \"%s\" takes %" PRId64 " bytes at offset %" PRId64 ", but the next one, \"%s\", starts at %" PRId64
                         ": type or shape is wrong",
                         file->path, a->name, a->size, a->offset, b->name, b->offset);
  }
  qsort(entries, count, sizeof *entries, compare_names);
  for (size_t i = 1; i < count; i++)
    if (strcmp(entries[i - 1]->name, entries[i]->name) == 0) return fail_tensor(file, entries[i], "is there twice");
  return DIMPLE_OK;
}

/* ------------------------------------------------------------------------------------------------------------- open, close */

static dimple_status read_header(cursor *c, uint64_t *tensor_count, uint64_t *metadata_count) {
  const char *path = c->file->path;
  const uint8_t *magic = NULL;
  uint32_t version = 0;
  DIMPLE_TRY(take(c, 4, "the magic", &magic));
  if (memcmp(magic, "GGUF", 4) != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: is not a GGUF file: it starts with %02x %02x %02x %02x, expected \"GGUF\"", path,
                       magic[0], magic[1], magic[2], magic[3]);
  DIMPLE_TRY(take_u32(c, "the version", &version));
  if (version != 0 && (version & 0xffff) == 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: is a big-endian GGUF file; only little-endian ones are supported", path);
  if (version != 2 && version != 3)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: is GGUF version %" PRIu32 "; versions 2 and 3 are supported", path, version);
  DIMPLE_TRY(take_u64(c, "the tensor count", tensor_count));
  DIMPLE_TRY(take_u64(c, "the metadata count", metadata_count));
  if (*metadata_count > remaining(c) / MIN_METADATA_SIZE || *tensor_count > remaining(c) / MIN_TENSOR_SIZE)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: claims %" PRIu64 " keys and %" PRIu64 " tensors, more than fit into its %" PRId64 " bytes",
                       path, *metadata_count, *tensor_count, c->file->mapping.size);
  return DIMPLE_OK;
}

static dimple_status read_alignment(gguf_file *file) {
  int64_t alignment = DEFAULT_ALIGNMENT;
  DIMPLE_TRY(gguf_optional_int(file, "general.alignment", MIN_ALIGNMENT, UINT32_MAX, &alignment));
  if (alignment & (alignment - 1))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: general.alignment is %" PRId64 ", expected a power of two", file->path, alignment);
  file->alignment = alignment;
  return DIMPLE_OK;
}

static dimple_status read_file(gguf_file *file) {
  uint64_t tensor_count = 0, metadata_count = 0;
  DIMPLE_TRY(platform_map(file->path, "a GGUF file", &file->mapping));
  cursor c = {file, 0};
  DIMPLE_TRY(read_header(&c, &tensor_count, &metadata_count));
  DIMPLE_TRY(read_metadata(&c, file, metadata_count));
  DIMPLE_TRY(index_metadata(file));
  DIMPLE_TRY(read_alignment(file));
  DIMPLE_TRY(read_tensors(&c, file, tensor_count));
  DIMPLE_TRY(locate_tensors(&c, file));
  return index_tensors(file);
}

dimple_status gguf_open(const char *path, gguf_file **out) {
  gguf_file *file = calloc(1, sizeof *file);
  if (!file) return dimple_fail_memory(sizeof *file, "a GGUF file");
  size_t path_size = strlen(path) + 1;
  file->path = malloc(path_size);
  if (file->path) memcpy(file->path, path, path_size);
  dimple_status status = file->path ? read_file(file) : dimple_fail_memory(path_size, "a path");
  if (status != DIMPLE_OK) {
    gguf_close(file);
    return status;
  }
  *out = file;
  return DIMPLE_OK;
}

void gguf_close(gguf_file *file) {
  if (!file) return;
  platform_unmap(&file->mapping);
  free(file->tensors_by_name);
  free(file->metadata_by_key);
  free(file->tensors);
  free(file->metadata);
  free(file->path);
  free(file);
}

const char *gguf_path(const gguf_file *file) { return file->path; }
int64_t gguf_file_size(const gguf_file *file) { return file->mapping.size; }

/* -------------------------------------------------------------------------------------------------------------- look-ups */

int64_t gguf_metadata_count(const gguf_file *file) { return file->metadata_count; }

const dimple_metadata *gguf_metadata_at(const gguf_file *file, int64_t index) {
  return index >= 0 && index < file->metadata_count ? &file->metadata[index] : NULL;
}

const dimple_metadata *gguf_find(const gguf_file *file, const char *key) {
  uint64_t size = strlen(key);
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

int64_t gguf_tensor_count(const gguf_file *file) { return file->tensor_count; }

const gguf_tensor *gguf_tensor_at(const gguf_file *file, int64_t index) {
  return index >= 0 && index < file->tensor_count ? &file->tensors[index].tensor : NULL;
}

const gguf_tensor *gguf_find_tensor(const gguf_file *file, const char *name) {
  for (int64_t low = 0, high = file->tensor_count; low < high;) {
    int64_t middle = low + (high - low) / 2;
    int order = strcmp(name, file->tensors_by_name[middle]->name);
    if (order == 0) return &file->tensors_by_name[middle]->tensor;
    if (order < 0) high = middle;
    else low = middle + 1;
  }
  return NULL;
}

/* ---------------------------------------------------------------------------------------------------------- typed access */

static dimple_status fail_absent(const gguf_file *file, const char *key) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is missing", file->path, key);
}

static dimple_status fail_type(const gguf_file *file, const char *key, const dimple_metadata *value, const char *expected) {
  int array = value->type == DIMPLE_METADATA_ARRAY;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %s%s, expected %s", file->path, key, array ? "an array of " : "of type ",
                     type_names[value->element_type], expected);
}

static bool is_integer(int32_t type) {
  return type <= DIMPLE_METADATA_INT32 || type == DIMPLE_METADATA_UINT64 || type == DIMPLE_METADATA_INT64;
}

/* False for a uint64 above INT64_MAX. */
static bool load_int(int32_t type, const uint8_t *at, int64_t *out) {
  uint64_t bits = load_little_endian(at, scalar_sizes[type]);
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

static bool is_float(int32_t type) { return type == DIMPLE_METADATA_FLOAT32 || type == DIMPLE_METADATA_FLOAT64; }

/* False for NaN, infinity and a float64 beyond float32. */
static bool load_float(int32_t type, const uint8_t *at, float *out) {
  double value;
  if (type == DIMPLE_METADATA_FLOAT32) {
    float single;
    uint32_t bits = (uint32_t)load_little_endian(at, 4);
    memcpy(&single, &bits, sizeof single);
    value = single;
  } else {
    uint64_t bits = load_little_endian(at, 8);
    memcpy(&value, &bits, sizeof value);
  }
  if (!(fabs(value) <= FLT_MAX)) return false;
  *out = (float)value;
  return true;
}

dimple_status gguf_optional_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out) {
  const dimple_metadata *value = gguf_find(file, key);
  if (!value) return DIMPLE_OK;
  if (!is_integer(value->type)) return fail_type(file, key, value, "an integer");
  int64_t number;
  if (!load_int(value->type, value->data, &number))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %" PRIu64 ", expected %" PRId64 " .. %" PRId64, file->path, key,
                       load_little_endian(value->data, 8), minimum, maximum);
  if (number < minimum || number > maximum)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is %" PRId64 ", expected %" PRId64 " .. %" PRId64, file->path, key,
                       number, minimum, maximum);
  *out = number;
  return DIMPLE_OK;
}

dimple_status gguf_require_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out) {
  if (!gguf_find(file, key)) return fail_absent(file, key);
  return gguf_optional_int(file, key, minimum, maximum, out);
}

dimple_status gguf_optional_float(const gguf_file *file, const char *key, float *out) {
  const dimple_metadata *value = gguf_find(file, key);
  if (!value) return DIMPLE_OK;
  if (!is_float(value->type)) return fail_type(file, key, value, "a float");
  float number;
  if (!load_float(value->type, value->data, &number))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\" is not a finite float32", file->path, key);
  *out = number;
  return DIMPLE_OK;
}

dimple_status gguf_require_float(const gguf_file *file, const char *key, float *out) {
  if (!gguf_find(file, key)) return fail_absent(file, key);
  return gguf_optional_float(file, key, out);
}

dimple_status gguf_optional_bool(const gguf_file *file, const char *key, bool *out) {
  const dimple_metadata *value = gguf_find(file, key);
  if (!value) return DIMPLE_OK;
  if (value->type != DIMPLE_METADATA_BOOL) return fail_type(file, key, value, "a bool");
  *out = value->data[0];
  return DIMPLE_OK;
}

dimple_status gguf_optional_string(const gguf_file *file, const char *key, char *out, int64_t capacity) {
  const dimple_metadata *value = gguf_find(file, key);
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
  if (!gguf_find(file, key)) return fail_absent(file, key);
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
  const dimple_metadata *value = gguf_find(file, key);
  if (!value) return DIMPLE_OK;
  DIMPLE_TRY(check_array(file, key, value, is_integer(value->element_type), "an array of integers", capacity));
  int64_t elements = (int64_t)value->count, size = scalar_sizes[value->element_type], number;
  for (int64_t i = 0; i < elements; i++)
    if (!load_int(value->element_type, value->data + i * size, &number))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\": element %" PRId64 " is above 2^63 - 1", file->path, key, i);
  for (int64_t i = 0; i < elements; i++) load_int(value->element_type, value->data + i * size, &out[i]);
  *count = elements;
  return DIMPLE_OK;
}

dimple_status gguf_optional_float_array(const gguf_file *file, const char *key, float *out, int64_t capacity, int64_t *count) {
  const dimple_metadata *value = gguf_find(file, key);
  if (!value) return DIMPLE_OK;
  DIMPLE_TRY(check_array(file, key, value, is_float(value->element_type), "an array of floats", capacity));
  int64_t elements = (int64_t)value->count, size = scalar_sizes[value->element_type];
  float number;
  for (int64_t i = 0; i < elements; i++)
    if (!load_float(value->element_type, value->data + i * size, &number))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: key \"%s\": element %" PRId64 " is not a finite float32", file->path, key, i);
  for (int64_t i = 0; i < elements; i++) load_float(value->element_type, value->data + i * size, &out[i]);
  *count = elements;
  return DIMPLE_OK;
}

void gguf_release(const gguf_file *file, const gguf_tensor *tensor) {
  if (tensor->data) platform_release(&file->mapping, tensor->data - file->mapping.bytes, tensor->size);
}
