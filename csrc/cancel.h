/* A request to stop, which another thread may make at any time. */
#ifndef DIMPLE_CANCEL_H
#define DIMPLE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "error.h"

/* Fails with CANCELLED, and takes the request back, if `cancelled` is set. Null: nobody can cancel. */
static inline dimple_status check_cancelled(atomic_bool *cancelled) {
  if (cancelled && atomic_exchange(cancelled, false)) return dimple_fail(DIMPLE_ERROR_CANCELLED, "the call was cancelled");
  return DIMPLE_OK;
}

#endif
