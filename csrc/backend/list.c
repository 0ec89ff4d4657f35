/* The backends of this build. DIMPLE_EXTRA_BACKEND names one more, behind all others, so that it runs only when it is asked for: the
 * tests' `deferred`. */
#include "backend/backend.h"
#include "cpu_levels.h"

extern const backend_operations backend_ref;

#define DECLARED(level, name, usable) extern const backend_operations backend_cpu_##level;
CPU_LEVELS(DECLARED)
#ifdef DIMPLE_EXTRA_BACKEND
extern const backend_operations DIMPLE_EXTRA_BACKEND;
#endif

#define LISTED(level, name, usable) &backend_cpu_##level,
const backend_operations *const backend_list[] = {
    CPU_LEVELS(LISTED) &backend_ref,
#ifdef DIMPLE_EXTRA_BACKEND
    &DIMPLE_EXTRA_BACKEND,
#endif
    NULL,
};
