#include "error.h"

#include <inttypes.h>
#include <stdio.h>

enum { MESSAGE_SIZE = 1024 };

static _Thread_local char message[MESSAGE_SIZE];

dimple_status dimple_fail(dimple_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dimple_fail_with(status, format, arguments);
  va_end(arguments);
  return status;
}

dimple_status dimple_fail_with(dimple_status status, const char *format, va_list arguments) {
  vsnprintf(message, sizeof message, format, arguments);
  /* One line, whatever a file name or a key from a file holds. */
  for (char *c = message; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
  return status;
}

dimple_status dimple_fail_memory(uint64_t bytes, const char *purpose) {
  return dimple_fail(DIMPLE_ERROR_MEMORY, "cannot allocate %" PRIu64 " bytes for %s", bytes, purpose);
}

const char *dimple_last_error(void) { return message; }

int32_t dimple_api_version(void) { return DIMPLE_API_VERSION; }
