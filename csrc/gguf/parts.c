#include "gguf/parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* The highest count that the five digits of the file names allow. */
enum { MAX_PARTS = 99999 };

void gguf_parts_close(gguf_parts *parts) {
  for (int32_t i = 0; i < parts->count; i++) gguf_close(parts->files[i]);
  free(parts->files);
  *parts = (gguf_parts){0};
}

/* Opens part `number` (from 1) of `count`, whose path differs from the first one's in the number alone. */
static dimple_status open_part(const char *first_path, int64_t number, int64_t count, gguf_file **out) {
  char first_suffix[64], suffix[64];
  snprintf(first_suffix, sizeof first_suffix, "-00001-of-%05" PRId64 ".gguf", count);
  snprintf(suffix, sizeof suffix, "-%05" PRId64 "-of-%05" PRId64 ".gguf", number, count);
  size_t length = strlen(first_path), suffix_length = strlen(first_suffix);
  if (length < suffix_length || strcmp(first_path + length - suffix_length, first_suffix) != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s is one of %" PRId64 " parts; give the first one, whose name ends in %s", first_path, count, first_suffix);
  char *path = malloc(length + 1);
  if (!path) return dimple_fail_memory(length + 1, "a file name");
  memcpy(path, first_path, length - suffix_length);
  memcpy(path + length - suffix_length, suffix, suffix_length + 1);
  dimple_status status = gguf_open(path, out);
  free(path);
  return status;
}

static dimple_status check_part(const gguf_file *file, int64_t index, int64_t count) {
  int64_t found_index = -1, found_count = -1;
  DIMPLE_TRY(gguf_require_int(file, "split.no", 0, MAX_PARTS, &found_index));
  DIMPLE_TRY(gguf_require_int(file, "split.count", 1, MAX_PARTS, &found_count));
  if (found_index != index || found_count != count)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s says it is part %" PRId64 " of %" PRId64 ", expected part %" PRId64 " of %" PRId64, gguf_path(file),
                       found_index + 1, found_count, index + 1, count);
  return DIMPLE_OK;
}

/* A part of another model may have tensors of the same names and shapes. */
static dimple_status check_model(const gguf_file *first, const gguf_file *file) {
  const dimple_metadata *model = gguf_find(first, "general.architecture"), *own = gguf_find(file, "general.architecture");
  if (model && own && (own->type != model->type || own->size != model->size || memcmp(own->data, model->data, own->size) != 0))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s is a part of another model: its key general.architecture is not that of the first part",
                       gguf_path(file));
  return DIMPLE_OK;
}

/* What any of the parts says of all. */
static dimple_status check_tensors(const gguf_parts *parts, int64_t tensors) {
  for (int32_t i = 0; i < parts->count; i++) {
    int64_t expected = tensors;
    DIMPLE_TRY(gguf_optional_int(parts->files[i], "split.tensors.count", 0, INT64_MAX, &expected));
    if (expected != tensors)
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s and its other parts hold %" PRId64 " tensors, key split.tensors.count says %" PRId64,
                         gguf_path(parts->files[i]), tensors, expected);
  }
  return DIMPLE_OK;
}

static dimple_status open_others(const char *path, int64_t count, gguf_parts *parts) {
  DIMPLE_TRY(check_part(parts->files[0], 0, count));
  int64_t tensors = gguf_tensor_count(parts->files[0]);
  for (; parts->count < count; parts->count++) {
    gguf_file **file = &parts->files[parts->count];
    DIMPLE_TRY(open_part(path, parts->count + 1, count, file));
    dimple_status status = check_part(*file, parts->count, count);
    if (status == DIMPLE_OK) status = check_model(parts->files[0], *file);
    if (status != DIMPLE_OK) {
      gguf_close(*file);
      return status;
    }
    tensors += gguf_tensor_count(*file);
  }
  return check_tensors(parts, tensors);
}

dimple_status gguf_parts_open(const char *path, gguf_parts *parts) {
  gguf_file *first = NULL;
  int64_t count = 1;
  DIMPLE_TRY(gguf_open(path, &first));
  dimple_status status = gguf_optional_int(first, "split.count", 0, MAX_PARTS, &count);
  if (count == 0) count = 1;
  gguf_parts opened = {.files = status == DIMPLE_OK ? calloc((size_t)count, sizeof *opened.files) : NULL};
  if (status == DIMPLE_OK && !opened.files) status = dimple_fail_memory((uint64_t)count * sizeof *opened.files, "the parts of a file");
  if (status != DIMPLE_OK) {
    gguf_close(first);
    return status;
  }
  opened.files[opened.count++] = first;
  if (count > 1) status = open_others(path, count, &opened);
  if (status == DIMPLE_OK)
    *parts = opened;
  else
    gguf_parts_close(&opened);
  return status;
}

const gguf_tensor *gguf_parts_find_tensor(const gguf_parts *parts, const char *name, const gguf_file **file) {
  for (int32_t i = 0; i < parts->count; i++) {
    const gguf_tensor *t = gguf_find_tensor(parts->files[i], name);
    if (t) {
      *file = parts->files[i];
      return t;
    }
  }
  return NULL;
}

int64_t gguf_parts_size(const gguf_parts *parts) {
  int64_t size = 0;
  for (int32_t i = 0; i < parts->count; i++) size += gguf_file_size(parts->files[i]);
  return size;
}
