#include "gguf/cursor.h"

#include <inttypes.h>
#include <stdlib.h>

dimple_status cursor_fail(const cursor *c, const char *problem) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s", c->path, c->offset, problem);
}

dimple_status cursor_fail_room(const cursor *c, uint64_t size, const char *what) {
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: at byte %" PRId64 ": %s takes %" PRIu64 " bytes, but the file ends after %" PRIu64,
                     c->path, c->offset, what, size, cursor_remaining(c));
}

void *cursor_make_room(void *array, int64_t count, size_t element_size) {
  bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);
  return full ? realloc(array, (count == 0 ? 16 : 2 * (size_t)count) * element_size) : array;
}
