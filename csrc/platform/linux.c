/* Linux: processors and their quotas, AMX, pages of 2 MiB. The rest is POSIX. */
#include "platform/platform.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/cgroup.h"

void *platform_allocate(size_t bytes, size_t alignment) {
  void *memory = aligned_alloc(alignment, bytes ? bytes : alignment);
  if (memory && alignment == PLATFORM_LARGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: refusal does no harm */
  return memory;
}

void platform_free(void *memory) { free(memory); }

static int32_t allowed_processors(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : (int32_t)online;
}

int32_t platform_processor_count(void) {
  int32_t allowed = allowed_processors(), quota = cgroup_processors("/proc/self/cgroup", "/proc/self/mountinfo");
  return quota < allowed ? quota : allowed;
}

/* Linux hands out the 8 KiB of tile registers only to processes that ask (arch_prctl(2), ARCH_REQ_XCOMP_PERM); the
 * permission covers all threads started later and those running. */
bool platform_permit_amx(void) {
#if defined(__x86_64__)
  enum { ARCH_REQUEST_PERMISSION = 0x1023, TILE_DATA_COMPONENT = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQUEST_PERMISSION, TILE_DATA_COMPONENT) == 0;
#else
  return false;
#endif
}
