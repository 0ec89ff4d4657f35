/* Linux: processors, what they have and their quotas, pages of 2 MiB. The rest is POSIX. */
#include "platform/platform.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/cgroup.h"

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)

/* The sanitizer's own memory, which it watches. */
void *platform_allocate(size_t bytes, size_t alignment) { return aligned_alloc(alignment, bytes ? bytes : alignment); }

void platform_free(void *memory) { free(memory); }

#else

/* What stands in the cache line before memory that was handed out. */
typedef struct origin {
  void *start;
  size_t mapped; /* bytes of a mapping of its own; 0: the C library's memory */
} origin;

/*
 * Buffers of this size and more are mappings of their own, which go back to the system when they are freed. The C library would keep them: its
 * bound for mappings rises with what was freed (mallopt(3), M_MMAP_THRESHOLD) up to 32 MiB, and buffers of sessions of all sizes that are closed in
 * any order leave each thread's arena full of holes (a server under load held 170 MB of them, for 59 MB in use).
 */
enum { MAPPED = 64 << 10 };

static void *hand_out(uint8_t *memory, void *start, size_t mapped) {
  *(origin *)(memory - PLATFORM_CACHE_LINE) = (origin){start, mapped};
  return memory;
}

static void *allocate_mapping(size_t bytes, size_t alignment) {
  size_t size = bytes + PLATFORM_CACHE_LINE + (alignment == PLATFORM_LARGE_PAGE ? alignment : 0);
  void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return NULL;
  uintptr_t first = (uintptr_t)start + PLATFORM_CACHE_LINE;
  uint8_t *memory = (uint8_t *)start + PLATFORM_CACHE_LINE + (alignment - first % alignment) % alignment;
  if (alignment == PLATFORM_LARGE_PAGE) madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: refusal does no harm */
  return hand_out(memory, start, size);
}

void *platform_allocate(size_t bytes, size_t alignment) {
  bytes = bytes ? bytes : alignment;
  if (bytes > SIZE_MAX - 2 * (size_t)PLATFORM_LARGE_PAGE) return NULL;
  if (bytes >= MAPPED) return allocate_mapping(bytes, alignment);
  void *start = aligned_alloc(alignment, alignment + bytes);
  return start ? hand_out((uint8_t *)start + alignment, start, 0) : NULL;
}

void platform_free(void *memory) {
  if (!memory) return;
  origin of = *(origin *)((uint8_t *)memory - PLATFORM_CACHE_LINE);
  if (of.mapped)
    munmap(of.start, of.mapped);
  else
    free(of.start);
}

#endif

int64_t platform_memory_available(void) {
  int64_t available = INT64_MAX, kib;
  char line[128];
  FILE *file = fopen("/proc/meminfo", "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "MemAvailable: %" SCNd64 " kB", &kib) == 1) available = kib * 1024;
  if (file) fclose(file);
  int64_t allowed = cgroup_memory("/proc/self/cgroup", "/proc/self/mountinfo");
  return allowed < available ? allowed : available;
}

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
