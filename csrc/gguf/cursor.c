#include "gguf/cursor.h"

#include <inttypes.h>
#include <stdlib.h>

#include "error.h"
#include "gguf/scalars.h"

dimple_status cursor_fail(const cursor *c, const char *problem) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s", c->path, c->offset, problem);
}

uint64_t cursor_remaining(const cursor *c) { return (uint64_t)(c->mapping->size - c->offset); }

dimple_status cursor_take(cursor *c, uint64_t size, const char *what, const uint8_t **out) {
  if (size > cursor_remaining(c))
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s takes %" PRIu64 " bytes, but the file ends after %" PRIu64,
                       c->path, c->offset, what, size, cursor_remaining(c));
  *out = c->mapping->bytes + c->offset;
  c->offset += (int64_t)size;
  return DIMPLE_OK;
}

dimple_status cursor_take_u32(cursor *c, const char *what, uint32_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(cursor_take(c, 4, what, &at));
  *out = (uint32_t)gguf_load_bits(at, 4);
  return DIMPLE_OK;
}

dimple_status cursor_take_u64(cursor *c, const char *what, uint64_t *out) {
  const uint8_t *at = NULL;
  DIMPLE_TRY(cursor_take(c, 8, what, &at));
  *out = gguf_load_bits(at, 8);
  return DIMPLE_OK;
}

dimple_status cursor_take_string(cursor *c, const char *what, const uint8_t **bytes, uint64_t *size) {
  DIMPLE_TRY(cursor_take_u64(c, what, size));
  return cursor_take(c, *size, what, bytes);
}

void *cursor_make_room(void *array, int64_t count, size_t element_size) {
  bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
  return full ? realloc(array, (count == 0 ? 16 : 2 * (size_t)count) * element_size) : array;
}
