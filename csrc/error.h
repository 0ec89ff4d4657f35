/* The thread's error message: what dimple_last_error() returns. */
#ifndef DIMPLE_ERROR_H
#define DIMPLE_ERROR_H

#include <stdarg.h>

#include "dimple.h"

/* Formats the calling thread's message and returns `status`, so that a failing function ends in
 * `return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: ...", path)`. Messages longer than the buffer are cut. */
__attribute__((format(printf, 2, 3))) dimple_status dimple_fail(dimple_status status, const char *format, ...);

/* The same with the arguments at hand. */
__attribute__((format(printf, 2, 0))) dimple_status dimple_fail_with(dimple_status status, const char *format, va_list arguments);

/* Makes one line of UTF-8 of whatever a file name or a key from a file holds: control characters, and bytes that are no character's, become "?". */
void dimple_make_line(char *text);

/* The message for an allocation of `bytes` bytes that failed; always DIMPLE_ERROR_MEMORY. */
dimple_status dimple_fail_memory(uint64_t bytes, const char *purpose);

/* Returns the failure of a nested call to the caller. */
#define DIMPLE_TRY(call)                                     \
  do {                                                       \
    dimple_status try_status = (call);                       \
    if (try_status != DIMPLE_OK) return try_status;          \
  } while (0)

#endif
