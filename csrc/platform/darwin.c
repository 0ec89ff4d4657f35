/* macOS: processors and what they have, no AMX, pages that the system chooses. The rest is POSIX. */
#include "platform/platform.h"

#include <stdlib.h>
#include <sys/sysctl.h>
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

static bool system_says(const char *name) {
  int32_t value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value != 0;
}

/* Names that an Intel Mac does not know are as good as 0. */
uint32_t platform_arm_features(void) {
  uint32_t dotprod = system_says("hw.optional.arm.FEAT_DotProd"), i8mm = system_says("hw.optional.arm.FEAT_I8MM");
  return dotprod * PLATFORM_ARM_DOTPROD + i8mm * PLATFORM_ARM_I8MM;
}
