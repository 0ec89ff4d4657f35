#include "test/gguf_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void give_up(const char *what) {
  perror(what);
  exit(1);
}

/* ------------------------------------------------------------------------------------------------------------- pieces */

void gguf_bytes_free(gguf_bytes *b) {
  free(b->data);
  *b = (gguf_bytes){0};
}

/* The place of `size` more bytes, not yet written. */
static uint8_t *extend(gguf_bytes *b, size_t size) {
  if (b->size + size > b->capacity) {
    b->capacity = 2 * (b->size + size);
    b->data = realloc(b->data, b->capacity);
    if (!b->data) give_up("the bytes of a GGUF file");
  }
  b->size += size;
  return b->data + b->size - size;
}

void gguf_put(gguf_bytes *b, const void *data, size_t size) {
  if (size > 0) memcpy(extend(b, size), data, size);
}

void gguf_put_zeros(gguf_bytes *b, size_t count) {
  if (count > 0) memset(extend(b, count), 0, count);
}

void gguf_put_padding(gguf_bytes *b, size_t alignment) { gguf_put_zeros(b, (alignment - b->size % alignment) % alignment); }

void gguf_put_u8(gguf_bytes *b, uint8_t x) { gguf_put(b, &x, sizeof x); }

void gguf_put_u32(gguf_bytes *b, uint32_t x) { gguf_put(b, &x, sizeof x); }

void gguf_put_u64(gguf_bytes *b, uint64_t x) { gguf_put(b, &x, sizeof x); }

void gguf_put_f32(gguf_bytes *b, float x) { gguf_put(b, &x, sizeof x); }

void gguf_put_f64(gguf_bytes *b, double x) { gguf_put(b, &x, sizeof x); }

void gguf_put_string(gguf_bytes *b, const char *s) {
  gguf_put_u64(b, strlen(s));
  gguf_put(b, s, strlen(s));
}

void gguf_put_header(gguf_bytes *b, uint32_t version, uint64_t tensors, uint64_t keys) {
  gguf_put(b, "GGUF", 4);
  gguf_put_u32(b, version);
  gguf_put_u64(b, tensors);
  gguf_put_u64(b, keys);
}

void gguf_put_key(gguf_bytes *b, const char *name, uint32_t type) {
  gguf_put_string(b, name);
  gguf_put_u32(b, type);
}

void gguf_put_array_key(gguf_bytes *b, const char *name, uint32_t element_type, uint64_t count) {
  gguf_put_key(b, name, DIMPLE_METADATA_ARRAY);
  gguf_put_u32(b, element_type);
  gguf_put_u64(b, count);
}

void gguf_put_tensor(gguf_bytes *b, const char *name, uint32_t dimension_count, const uint64_t *dimensions, uint32_t type,
                     uint64_t offset) {
  gguf_put_string(b, name);
  gguf_put_u32(b, dimension_count);
  for (uint32_t i = 0; i < dimension_count; i++) gguf_put_u64(b, dimensions[i]);
  gguf_put_u32(b, type);
  gguf_put_u64(b, offset);
}

/* --------------------------------------------------------------------------------------------------- well-formed files */

/* Whether the name is new; it is known from now on. */
static bool claim(gguf_writer *w, const char *name) {
  for (size_t at = 0; at < w->names.size; at += strlen((const char *)w->names.data + at) + 1)
    if (strcmp((const char *)w->names.data + at, name) == 0) return false;
  gguf_put(&w->names, name, strlen(name) + 1);
  return true;
}

void gguf_writer_leave_out(gguf_writer *w, const char *name) { claim(w, name); }

static bool start_key(gguf_writer *w, const char *key, uint32_t type) {
  if (!claim(w, key)) return false;
  gguf_put_key(&w->keys, key, type);
  w->key_count++;
  return true;
}

static bool start_array(gguf_writer *w, const char *key, uint32_t element_type, uint64_t count) {
  if (!claim(w, key)) return false;
  gguf_put_array_key(&w->keys, key, element_type, count);
  w->key_count++;
  return true;
}

void gguf_writer_u32(gguf_writer *w, const char *key, uint32_t x) {
  if (start_key(w, key, DIMPLE_METADATA_UINT32)) gguf_put_u32(&w->keys, x);
}

void gguf_writer_f32(gguf_writer *w, const char *key, float x) {
  if (start_key(w, key, DIMPLE_METADATA_FLOAT32)) gguf_put_f32(&w->keys, x);
}

void gguf_writer_bool(gguf_writer *w, const char *key, bool x) {
  if (start_key(w, key, DIMPLE_METADATA_BOOL)) gguf_put_u8(&w->keys, x);
}

void gguf_writer_string(gguf_writer *w, const char *key, const char *x) {
  if (start_key(w, key, DIMPLE_METADATA_STRING)) gguf_put_string(&w->keys, x);
}

void gguf_writer_ints(gguf_writer *w, const char *key, const int32_t *x, uint64_t count) {
  if (start_array(w, key, DIMPLE_METADATA_INT32, count)) gguf_put(&w->keys, x, count * sizeof *x);
}

void gguf_writer_floats(gguf_writer *w, const char *key, const float *x, uint64_t count) {
  if (start_array(w, key, DIMPLE_METADATA_FLOAT32, count)) gguf_put(&w->keys, x, count * sizeof *x);
}

void gguf_writer_bools(gguf_writer *w, const char *key, const bool *x, uint64_t count) {
  if (!start_array(w, key, DIMPLE_METADATA_BOOL, count)) return;
  for (uint64_t i = 0; i < count; i++) gguf_put_u8(&w->keys, x[i]);
}

void gguf_writer_strings(gguf_writer *w, const char *key, const char *const *x, uint64_t count) {
  if (!start_array(w, key, DIMPLE_METADATA_STRING, count)) return;
  for (uint64_t i = 0; i < count; i++) gguf_put_string(&w->keys, x[i]);
}

void gguf_writer_copy(gguf_writer *w, const dimple_metadata *entry) {
  char key[256];
  snprintf(key, sizeof key, "%.*s", (int)entry->key_size, entry->key);
  bool array = entry->type == DIMPLE_METADATA_ARRAY;
  if (array ? !start_array(w, key, (uint32_t)entry->element_type, entry->count) : !start_key(w, key, (uint32_t)entry->type)) return;
  if (entry->type == DIMPLE_METADATA_STRING) gguf_put_u64(&w->keys, entry->size);
  gguf_put(&w->keys, entry->data, entry->size);
}

void gguf_writer_tensor(gguf_writer *w, const char *name, uint32_t dimension_count, const uint64_t *dimensions, int32_t type,
                        const float *values) {
  if (!claim(w, name)) return;
  gguf_put_padding(&w->data, GGUF_ALIGNMENT);
  gguf_put_tensor(&w->tensors, name, dimension_count, dimensions, (uint32_t)type, w->data.size);
  w->tensor_count++;
  uint64_t rows = 1;
  for (uint32_t i = 1; i < dimension_count; i++) rows *= dimensions[i];
  dimple_tensor_type_info info = {0};
  dimple_status status = dimple_tensor_type_get_info(type, &info);
  if (status == DIMPLE_OK) {
    size_t size = rows * dimensions[0] / (size_t)info.block_length * (size_t)info.block_size;
    uint8_t *target = extend(&w->data, size);
    status = dimple_quantize_rows(type, values, (int64_t)rows, (int64_t)dimensions[0], NULL, target, (int64_t)size);
  }
  if (status != DIMPLE_OK) {
    fprintf(stderr, "tensor %s: %s\n", name, dimple_last_error());
    exit(1);
  }
}

void gguf_writer_save(const gguf_writer *w, const char *path) {
  gguf_bytes head = {0};
  gguf_put_header(&head, 3, w->tensor_count, w->key_count);
  gguf_put(&head, w->keys.data, w->keys.size);
  gguf_put(&head, w->tensors.data, w->tensors.size);
  gguf_put_padding(&head, GGUF_ALIGNMENT);
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(head.data, 1, head.size, f) != head.size ||
      (w->data.size > 0 && fwrite(w->data.data, 1, w->data.size, f) != w->data.size) || fclose(f) != 0)
    give_up(path);
  gguf_bytes_free(&head);
}

void gguf_writer_free(gguf_writer *w) {
  gguf_bytes_free(&w->keys);
  gguf_bytes_free(&w->tensors);
  gguf_bytes_free(&w->data);
  gguf_bytes_free(&w->names);
  *w = (gguf_writer){0};
}
