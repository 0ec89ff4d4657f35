#include "gguf/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "gguf/file.h"

/* The data section is aligned to 32 unless general.alignment says otherwise. */
enum { DEFAULT_ALIGNMENT = 32, MIN_ALIGNMENT = 8 };

/* The fewest bytes a key with its value, and a tensor's description, can take: lengths, type, one byte each of text and value;
 * length, one byte of name, dimension count, one dimension, type, offset. A count the file has no room for is refused at once. */
enum { MIN_METADATA_SIZE = 8 + 1 + 4 + 1, MIN_TENSOR_SIZE = 8 + 1 + 4 + 8 + 4 + 8 };

static dimple_status read_header(cursor *c, uint64_t *tensor_count, uint64_t *metadata_count) {
  const char *path = c->path;
  const uint8_t *magic = NULL;
  uint32_t version = 0;
  DIMPLE_TRY(cursor_take(c, 4, "the magic", &magic));
  if (memcmp(magic, "GGUF", 4) != 0)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: is not a GGUF file: it starts with %02x %02x %02x %02x, expected \"GGUF\"", path,
                       magic[0], magic[1], magic[2], magic[3]);
  DIMPLE_TRY(cursor_take_u32(c, "the version", &version));
  if (version != 0 && (version & 0xffff) == 0)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: is a big-endian GGUF file; only little-endian ones are supported", path);
  if (version != 2 && version != 3)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: is GGUF version %" PRIu32 "; versions 2 and 3 are supported", path, version);
  DIMPLE_TRY(cursor_take_u64(c, "the tensor count", tensor_count));
  DIMPLE_TRY(cursor_take_u64(c, "the metadata count", metadata_count));
  if (*metadata_count > cursor_remaining(c) / MIN_METADATA_SIZE || *tensor_count > cursor_remaining(c) / MIN_TENSOR_SIZE)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: claims %" PRIu64 " keys and %" PRIu64 " tensors, more than fit into its %" PRId64 " bytes",
                       path, *metadata_count, *tensor_count, c->mapping->size);
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
  cursor c = {file->path, &file->mapping, 0};
  DIMPLE_TRY(read_header(&c, &tensor_count, &metadata_count));
  DIMPLE_TRY(gguf_read_metadata(&c, file, metadata_count));
  DIMPLE_TRY(read_alignment(file));
  return gguf_read_tensors(&c, file, tensor_count);
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
  free(file->metadata_read);
  free(file->metadata);
  free(file->path);
  free(file);
}

const char *gguf_path(const gguf_file *file) { return file->path; }
int64_t gguf_file_size(const gguf_file *file) { return file->mapping.size; }

platform_identity gguf_identity(const gguf_file *file) { return file->mapping.identity; }

const platform_mapping *gguf_mapping(const gguf_file *file) { return &file->mapping; }
