/* Linux: processors, what they have and their quotas, pages of 2 MiB. The rest is POSIX. */
#include "platform/platform.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/auxv.h>
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

/* Bits of AT_HWCAP and AT_HWCAP2 (arch/arm64/include/uapi/asm/hwcap.h: HWCAP_ASIMDDP, HWCAP2_I8MM). */
uint32_t platform_arm_features(void) {
#if defined(__aarch64__)
  enum { CAPABILITY_DOTPROD = 20, CAPABILITY_2_I8MM = 13 };
  uint32_t dotprod = getauxval(AT_HWCAP) >> CAPABILITY_DOTPROD & 1, i8mm = getauxval(AT_HWCAP2) >> CAPABILITY_2_I8MM & 1;
  return dotprod * PLATFORM_ARM_DOTPROD + i8mm * PLATFORM_ARM_I8MM;
#else
  return 0;
#endif
}
