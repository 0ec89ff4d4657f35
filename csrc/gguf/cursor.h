/* A position in a mapped file that only moves over bytes that are there. */
#ifndef DIMPLE_GGUF_CURSOR_H
#define DIMPLE_GGUF_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "gguf/scalars.h"
#include "platform/platform.h"

typedef struct cursor {
  const char *path; /* for messages */
  const platform_mapping *mapping;
  int64_t offset;
} cursor;

/* FORMAT: "PATH: at byte OFFSET: PROBLEM". */
dimple_status cursor_fail(const cursor *c, const char *problem);

/* The same for `size` bytes of `what`, for which there is no room. */
dimple_status cursor_fail_room(const cursor *c, uint64_t size, const char *what);

/* Bytes from here to the end. */
static inline uint64_t cursor_remaining(const cursor *c) { return (uint64_t)(c->mapping->size - c->offset); }

/* What follows reads and moves on; `what` names in a message what the file has no room for. Errors: FORMAT. */

static inline dimple_status cursor_take(cursor *c, uint64_t size, const char *what, const uint8_t **out) {
  if (size > cursor_remaining(c)) return cursor_fail_room(c, size, what);
  *out = c->mapping->bytes + c->offset;
  c->offset += (int64_t)size;
  return DIMPLE_OK;
}

static inline dimple_status cursor_take_u32(cursor *c, const char *what, uint32_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(cursor_take(c, 4, what, &at));
  *out = (uint32_t)gguf_load_bits(at, 4);
  return DIMPLE_OK;
}

static inline dimple_status cursor_take_u64(cursor *c, const char *what, uint64_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(cursor_take(c, 8, what, &at));
  *out = gguf_load_bits(at, 8);
  return DIMPLE_OK;
}

/* A uint64 length and that many bytes. */
static inline dimple_status cursor_take_string(cursor *c, const char *what, const uint8_t **bytes, uint64_t *size) {
  DIMPLE_TRY(cursor_take_u64(c, what, size));
  return cursor_take(c, *size, what, bytes);
}

/* `array`, of `count` elements, with room for one more, or null: it doubles at every power of two from 16, so that memory follows what
 * was read and not what the file claims. */
void *cursor_make_room(void *array, int64_t count, size_t element_size);

#endif
