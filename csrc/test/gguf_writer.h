/*
 * Writes GGUF files for tests. Below: the pieces of the format one by one, so that a test can also put them together wrongly.
 * On top of them: a writer of well-formed files, version 3, aligned to GGUF_ALIGNMENT. When memory or the disk is full the test
 * program ends with a message.
 */
#ifndef DIMPLE_TEST_GGUF_WRITER_H
#define DIMPLE_TEST_GGUF_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dimple.h"

/* ------------------------------------------------------------------------------------------------------------- pieces */

/* Bytes that grow. A zeroed one is empty; setting size to 0 empties it and keeps its memory. */
typedef struct gguf_bytes {
  uint8_t *data;
  size_t size, capacity;
} gguf_bytes;

void gguf_bytes_free(gguf_bytes *b);

/* Each appends to `b`; numbers little-endian, a string as its length in a uint64 and its bytes. */
void gguf_put(gguf_bytes *b, const void *data, size_t size);
void gguf_put_zeros(gguf_bytes *b, size_t count);
void gguf_put_padding(gguf_bytes *b, size_t alignment); /* zeros up to a multiple of `alignment` */
void gguf_put_u8(gguf_bytes *b, uint8_t x);
void gguf_put_u32(gguf_bytes *b, uint32_t x);
void gguf_put_u64(gguf_bytes *b, uint64_t x);
void gguf_put_f32(gguf_bytes *b, float x);
void gguf_put_f64(gguf_bytes *b, double x);
void gguf_put_string(gguf_bytes *b, const char *s);

/* Magic, version and counts: the first 24 bytes of a file. */
void gguf_put_header(gguf_bytes *b, uint32_t version, uint64_t tensors, uint64_t keys);

/* Name and type of a key; its value follows. An array's `count` elements follow. `type` is a dimple_metadata_type. */
void gguf_put_key(gguf_bytes *b, const char *name, uint32_t type);
void gguf_put_array_key(gguf_bytes *b, const char *name, uint32_t element_type, uint64_t count);

/* The description of a tensor: the dimension that varies fastest comes first, `offset` counts from the data section. */
void gguf_put_tensor(gguf_bytes *b, const char *name, uint32_t dimension_count, const uint64_t *dimensions, uint32_t type,
                     uint64_t offset);

/* --------------------------------------------------------------------------------------------------- well-formed files */

enum { GGUF_ALIGNMENT = 32 };

/* Keys, descriptions of tensors and data, collected until they are saved. A zeroed one is empty. Of several keys or tensors of a
 * name the first is kept, so a test writes what it wants otherwise before somebody else writes the rest. */
typedef struct gguf_writer {
  gguf_bytes keys, tensors, data;
  gguf_bytes names; /* NUL-terminated, of all that was written or left out */
  uint64_t key_count, tensor_count;
} gguf_writer;

/* A key or tensor of this name is not written, whoever tries. */
void gguf_writer_leave_out(gguf_writer *w, const char *name);

void gguf_writer_u32(gguf_writer *w, const char *key, uint32_t x);
void gguf_writer_f32(gguf_writer *w, const char *key, float x);
void gguf_writer_bool(gguf_writer *w, const char *key, bool x);
void gguf_writer_string(gguf_writer *w, const char *key, const char *x);
void gguf_writer_ints(gguf_writer *w, const char *key, const int32_t *x, uint64_t count);
void gguf_writer_bools(gguf_writer *w, const char *key, const bool *x, uint64_t count);
void gguf_writer_floats(gguf_writer *w, const char *key, const float *x, uint64_t count);
void gguf_writer_strings(gguf_writer *w, const char *key, const char *const *x, uint64_t count);

/* A key of another file, as it is. */
void gguf_writer_copy(gguf_writer *w, const dimple_metadata *entry);

/* A tensor of the given dimensions, fastest first, with `values` encoded in `type` (dimple_tensor_type). The first dimension is a
 * multiple of the type's block. */
void gguf_writer_tensor(gguf_writer *w, const char *name, uint32_t dimension_count, const uint64_t *dimensions, int32_t type,
                        const float *values);

/* Writes the file, replacing one of that name. The writer stays as it is. */
void gguf_writer_save(const gguf_writer *w, const char *path);

void gguf_writer_free(gguf_writer *w);

#endif
