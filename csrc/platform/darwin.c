/* macOS: processors, no AMX, pages that the system chooses. The rest is POSIX. */
#include "platform/platform.h"

#include <stdlib.h>
#include <unistd.h>

void *platform_allocate(size_t bytes, size_t alignment) { return aligned_alloc(alignment, bytes ? bytes : alignment); }

void platform_free(void *memory) { free(memory); }

/* There is neither a set of allowed processors nor a quota. */
int32_t platform_processor_count(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (int32_t)online;
}

/* No Mac has a processor with these registers. */
bool platform_permit_amx(void) { return false; }
