/* A position in a mapped file that only moves over bytes that are there. */
#ifndef DIMPLE_GGUF_CURSOR_H
#define DIMPLE_GGUF_CURSOR_H

#include <stddef.h>
#include <stdint.h>

#include "dimple.h"
#include "platform/platform.h"

typedef struct cursor {
  const char *path; /* for messages */
  const platform_mapping *mapping;
  int64_t offset;
} cursor;

/* FORMAT: "PATH: at byte OFFSET: PROBLEM". */
dimple_status cursor_fail(const cursor *c, const char *problem);

/* Bytes from here to the end. */
uint64_t cursor_remaining(const cursor *c);

/* What follows reads and moves on; `what` names in a message what the file has no room for. Errors: FORMAT. */

dimple_status cursor_take(cursor *c, uint64_t size, const char *what, const uint8_t **out);
dimple_status cursor_take_u32(cursor *c, const char *what, uint32_t *out);
dimple_status cursor_take_u64(cursor *c, const char *what, uint64_t *out);
/* A uint64 length and that many bytes. */
dimple_status cursor_take_string(cursor *c, const char *what, const uint8_t **bytes, uint64_t *size);

/* `array`, of `count` elements, with room for one more, or null: it doubles at every power of two from 16, so that memory follows what
 * was read and not what the file claims. */
void *cursor_make_room(void *array, int64_t count, size_t element_size);

#endif
