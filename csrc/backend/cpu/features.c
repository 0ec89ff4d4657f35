#include "backend/cpu/features.h"

#include <stdint.h>

#include "platform/platform.h"

static cpu_features features;

#if defined(__x86_64__)
#include <cpuid.h>

/* Register states that the operating system saves, XCR0 (Intel SDM volume 1, section 13.3). */
enum {
  STATE_AVX = 0x6,     /* xmm, ymm */
  STATE_AVX512 = 0xe6, /* and opmask, zmm */
  STATE_AMX = 0x60000  /* tile configuration and data */
};

static uint64_t saved_states(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static bool has(uint32_t word, int bit) { return word >> bit & 1; }

/* Bits: Intel SDM volume 2, CPUID. */
static void probe(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return;
  bool fma = has(c, 12), osxsave = has(c, 27), f16c = has(c, 29);
  if (!osxsave || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return;
  uint32_t leaves = a, ebx = b, ecx = c, edx = d, leaf1 = 0;
  if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) leaf1 = a;
  uint64_t states = saved_states();
  features.avx2 = has(ebx, 5) && fma && f16c && (states & STATE_AVX) == STATE_AVX;
  features.avx_vnni = features.avx2 && has(leaf1, 4);
  features.avx512_vnni = features.avx2 && (states & STATE_AVX512) == STATE_AVX512 && has(ebx, 16) && has(ebx, 17) &&
                         has(ebx, 30) && has(ebx, 31) && has(ecx, 11);
  features.amx = features.avx512_vnni && (states & STATE_AMX) == STATE_AMX && has(edx, 22) && has(edx, 24) &&
                 has(edx, 25) && platform_permit_amx();
}
#else
static void probe(void) {}
#endif

const cpu_features *cpu_features_get(void) {
  static platform_once once;
  platform_run_once(&once, probe);
  return &features;
}
