/* macOS: processors and what they have, no AMX, pages that the system chooses. The rest is POSIX. */
#include "platform/platform.h"

#include <mach/mach.h>
#include <stdlib.h>
#include <sys/sysctl.h>
#include <unistd.h>

void *platform_allocate(size_t bytes, size_t alignment) { return aligned_alloc(alignment, bytes ? bytes : alignment); }

void platform_free(void *memory) { free(memory); }

/* What is free, and what the system would drop: pages of files and those not used for long. */
int64_t platform_memory_available(void) {
  vm_statistics64_data_t pages;
  mach_msg_type_number_t count = HOST_VM_INFO64_COUNT;
  if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&pages, &count) != KERN_SUCCESS) return INT64_MAX;
  return ((int64_t)pages.free_count + pages.inactive_count + pages.purgeable_count) * (int64_t)sysconf(_SC_PAGESIZE);
}

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
