#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gguf/file.h"
#include "quant/block_formats.h"

/* --------------------------------------------------------------------------------------------------------------------- reading */

static dimple_status fail_tensor(const gguf_file *file, const tensor_entry *entry, const char *problem) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": %s", file->path, entry->name, problem);
}

static dimple_status read_tensor_name(cursor *c, tensor_entry *entry) {
  const uint8_t *name = NULL;
  uint64_t size = 0;
  DIMPLE_TRY(cursor_take_string(c, "a tensor name", &name, &size));
  if (size == 0 || size > GGUF_MAX_NAME) return cursor_fail(c, "a tensor name is empty or above 64 bytes");
  if (memchr(name, 0, size)) return cursor_fail(c, "a tensor name holds a zero byte");
  memcpy(entry->name, name, size);
  return DIMPLE_OK;
}

/* Reads one description; `data` follows once the start of the data section is known. */
static dimple_status read_tensor(cursor *c, const gguf_file *file, tensor_entry *entry) {
  gguf_tensor *tensor = &entry->tensor;
  uint32_t dimension_count = 0, type = 0;
  DIMPLE_TRY(read_tensor_name(c, entry));
  DIMPLE_TRY(cursor_take_u32(c, "a tensor's dimension count", &dimension_count));
  if (dimension_count < 1 || dimension_count > GGUF_MAX_DIMENSIONS)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\" has %" PRIu32 " dimensions, expected 1 .. %d", c->path,
                       entry->name, dimension_count, GGUF_MAX_DIMENSIONS);
  tensor->dimension_count = (int32_t)dimension_count;
  int64_t elements = 1;
  for (uint32_t i = 0; i < GGUF_MAX_DIMENSIONS; i++) {
    uint64_t dimension = 1;
    if (i < dimension_count) DIMPLE_TRY(cursor_take_u64(c, "a tensor's dimension", &dimension));
    if (dimension < 1 || dimension > INT64_MAX || __builtin_mul_overflow(elements, (int64_t)dimension, &elements))
      return dimple_fail(DIMPLE_ERROR_FORMAT,
                         "%s: tensor \"%s\": dimension %" PRIu32 " is %" PRIu64 ", expected at least 1 and a product below 2^63",
                         c->path, entry->name, i, dimension);
    tensor->dimensions[i] = (int64_t)dimension;
  }
  DIMPLE_TRY(cursor_take_u32(c, "a tensor's type", &type));
  tensor->type = (int32_t)type;
  uint64_t offset = 0;
  DIMPLE_TRY(cursor_take_u64(c, "a tensor's offset", &offset));
  if (offset > INT64_MAX || offset % (uint64_t)file->alignment != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": offset %" PRIu64 " is not a multiple of the alignment %" PRId64,
                       c->path, entry->name, offset, file->alignment);
  tensor->offset = (int64_t)offset;

  const block_format *format = block_format_of(tensor->type);
  if (!format) return DIMPLE_OK;
  DIMPLE_TRY(block_format_check_columns(format, tensor->dimensions[0], DIMPLE_ERROR_FORMAT, "%s: tensor \"%s\": rows of %" PRId64,
                                        c->path, entry->name, tensor->dimensions[0]));
  if (__builtin_mul_overflow(elements / format->block_length, (int64_t)format->block_size, &tensor->size))
    return fail_tensor(file, entry, "its size overflows");
  return DIMPLE_OK;
}

static dimple_status read_all(cursor *c, gguf_file *file, uint64_t count) {
  for (uint64_t i = 0; i < count; i++) {
    tensor_entry *tensors = cursor_make_room(file->tensors, file->tensor_count, sizeof *tensors);
    if (!tensors) return dimple_fail_memory(2 * i * sizeof *tensors, "the tensor list of a GGUF file");
    file->tensors = tensors;
    tensor_entry *entry = &file->tensors[file->tensor_count];
    *entry = (tensor_entry){0};
    DIMPLE_TRY(read_tensor(c, file, entry));
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

/* ----------------------------------------------------------------------------------------------------------- order and checks */

static int compare_names(const void *a, const void *b) {
  return strcmp((*(const tensor_entry *const *)a)->name, (*(const tensor_entry *const *)b)->name);
}

static int compare_offsets(const void *a, const void *b) {
  int64_t x = (*(const tensor_entry *const *)a)->tensor.offset, y = (*(const tensor_entry *const *)b)->tensor.offset;
  return (x > y) - (x < y);
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

dimple_status gguf_read_tensors(cursor *c, gguf_file *file, uint64_t count) {
  DIMPLE_TRY(read_all(c, file, count));
  DIMPLE_TRY(locate_tensors(c, file));
  return index_tensors(file);
}

/* -------------------------------------------------------------------------------------------------------------------- look-ups */

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

enum { RELEASED = 64 << 10 }; /* a call takes longer than fewer pages are worth */

void gguf_release(const gguf_file *file, const gguf_tensor *tensor) {
  if (tensor->data && tensor->size >= RELEASED) platform_release(&file->mapping, tensor->data - file->mapping.bytes, tensor->size);
}
