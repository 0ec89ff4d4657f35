/*
 * Reading GGUF v2 and v3 files (little-endian) by mmap. Every count, length, type, offset and alignment is checked
 * before use, so that no file can make a reader look outside its mapping. Format: ggml's docs/gguf.md.
 */
#ifndef DIMPLE_GGUF_H
#define DIMPLE_GGUF_H

#include <stdbool.h>
#include <stdint.h>

#include "dimple.h"
#include "platform/platform.h"

enum { GGUF_MAX_DIMENSIONS = 4, GGUF_MAX_NAME = 64 };

typedef struct gguf_tensor {
  const char *name; /* NUL-terminated copy, at most GGUF_MAX_NAME bytes */
  int32_t type;     /* number in the file; a known dimple_tensor_type, or the file is refused only when the tensor is used */
  int32_t dimension_count;
  int64_t dimensions[GGUF_MAX_DIMENSIONS]; /* fastest first, as in the file; unused ones are 1 */
  int64_t offset; /* from the start of the data section */
  int64_t size;   /* bytes; 0 when the type is unknown */
  const uint8_t *data; /* in the mapping; null when the type is unknown */
} gguf_tensor;

typedef struct gguf_file gguf_file;

/* Maps and checks the file. Errors: IO (no such file, a directory, cannot map), FORMAT (names offset, key or tensor), UNSUPPORTED
 * (other versions, big-endian files, arrays of arrays), MEMORY. */
dimple_status gguf_open(const char *path, gguf_file **out);
void gguf_close(gguf_file *file); /* null is allowed */

const char *gguf_path(const gguf_file *file);
int64_t gguf_file_size(const gguf_file *file);
platform_identity gguf_identity(const gguf_file *file);
const platform_mapping *gguf_mapping(const gguf_file *file);

int64_t gguf_metadata_count(const gguf_file *file);
/* The value of a key, or null. Pointers into the mapping. */
const dimple_metadata *gguf_find(const gguf_file *file, const char *key);
const dimple_metadata *gguf_find_sized(const gguf_file *file, const char *key, uint64_t size); /* key[size], of any bytes */
const dimple_metadata *gguf_metadata_at(const gguf_file *file, int64_t index);

int64_t gguf_tensor_count(const gguf_file *file);
const gguf_tensor *gguf_tensor_at(const gguf_file *file, int64_t index);
/* The tensor called `name`, or null. */
const gguf_tensor *gguf_find_tensor(const gguf_file *file, const char *name);

/* Whether typed access has looked at the `index`-th key. */
bool gguf_was_read(const gguf_file *file, int64_t index);

/* Typed access, which notes what is read: not from two threads at once. A key that is absent: FORMAT for the require_ functions, `*out`
 * untouched for the optional_ ones. A key of another type or out of the target's range: FORMAT always, naming file, key, type found
 * and type expected. Any integer type is accepted for integers, float32 and float64 for floats; a float that is not finite is out of
 * range. */
dimple_status gguf_require_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out);
dimple_status gguf_optional_int(const gguf_file *file, const char *key, int64_t minimum, int64_t maximum, int64_t *out);
dimple_status gguf_require_int32(const gguf_file *file, const char *key, int32_t minimum, int32_t maximum, int32_t *out);
dimple_status gguf_optional_int32(const gguf_file *file, const char *key, int32_t minimum, int32_t maximum, int32_t *out);
dimple_status gguf_require_float(const gguf_file *file, const char *key, float *out);
dimple_status gguf_optional_float(const gguf_file *file, const char *key, float *out);
/* Fails with FORMAT unless low < value < high, the value of `key` or its default. */
dimple_status gguf_check_between(const gguf_file *file, const char *key, float value, float low, float high);
dimple_status gguf_optional_bool(const gguf_file *file, const char *key, bool *out);
/* Only that a key is there, whatever its type. */
dimple_status gguf_require_key(const gguf_file *file, const char *key);
/* Copies a string into `out` (capacity bytes, NUL-terminated); one that does not fit or holds a NUL is FORMAT. */
dimple_status gguf_require_string(const gguf_file *file, const char *key, char *out, int64_t capacity);
dimple_status gguf_optional_string(const gguf_file *file, const char *key, char *out, int64_t capacity);
/* Up to `capacity` elements of an integer / float array; *count says how many the array has (more than capacity: FORMAT). An absent
 * key leaves both untouched. */
dimple_status gguf_optional_int_array(const gguf_file *file, const char *key, int64_t *out, int64_t capacity, int64_t *count);
dimple_status gguf_optional_float_array(const gguf_file *file, const char *key, float *out, int64_t capacity, int64_t *count);

/* The same of an array of bools. */
dimple_status gguf_optional_bool_array(const gguf_file *file, const char *key, bool *out, int64_t capacity, int64_t *count);

/* Lets the operating system drop the pages of a tensor of some size: the contents stay readable but no longer count as this process's
 * memory. Called after a tensor is packed. */
void gguf_release(const gguf_file *file, const gguf_tensor *tensor);

#endif
