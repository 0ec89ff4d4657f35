/* Whether a device computes what `ref` computes: a few operations of every kind, of small shapes. */
#ifndef DIMPLE_SELF_CHECK_H
#define DIMPLE_SELF_CHECK_H

#include "backend/backend.h"

/* One call at a time. Errors: UNSUPPORTED, with the operation's name and how far off it is; or those of the device. */
dimple_status self_check(const backend_operations *ops);

#endif
