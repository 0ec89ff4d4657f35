/* Memory for arrays, with the error every function that needs some returns. */
#ifndef DIMPLE_ALLOCATE_H
#define DIMPLE_ALLOCATE_H

#include <stdlib.h>

#include "error.h"

/* Lets `target` point to uninitialised room for `count` of its elements, for free(); also for a count of 0. Makes the calling function
 * return MEMORY, with a message that says what for, when there is none. */
#define ALLOCATE(target, count, purpose)                                              \
  do {                                                                                \
    size_t allocate_count = (size_t)(count);                                          \
    size_t allocate_bytes = (allocate_count ? allocate_count : 1) * sizeof *(target); \
    (target) = malloc(allocate_bytes);                                                \
    if (!(target)) return dimple_fail_memory(allocate_bytes, purpose);                \
  } while (0)

#endif
