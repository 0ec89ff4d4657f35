#include "backend/cpu/x86/features.h"

#include <cpuid.h>

#include "platform/platform.h"

/* Registers whose contents the operating system saves, XCR0 (Intel SDM volume 1, section 13.3). */
enum {
  REGISTERS_AVX = 0x6,     /* xmm, ymm */
  REGISTERS_AVX512 = 0xe6, /* and opmask, zmm */
  REGISTERS_AMX = 0x60000  /* tile configuration and data */
};

typedef enum cpuid_word { LEAF_1_ECX, LEAF_7_EBX, LEAF_7_ECX, LEAF_7_EDX, LEAF_7_1_EAX, CPUID_WORDS } cpuid_word;

static uint32_t found;

static uint64_t saved_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* False if the operating system saves no registers beyond those every x86-64 processor has. */
static bool read_words(uint32_t words[CPUID_WORDS]) {
  enum { OSXSAVE = 27 };
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> OSXSAVE & 1)) return false;
  words[LEAF_1_ECX] = c;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  words[LEAF_7_EBX] = b;
  words[LEAF_7_ECX] = c;
  words[LEAF_7_EDX] = d;
  if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) words[LEAF_7_1_EAX] = a;
  return true;
}

static void probe(void) {
  uint32_t words[CPUID_WORDS] = {0};
  if (!read_words(words)) return;
  uint64_t saved = saved_registers();
  if ((saved & REGISTERS_AMX) == REGISTERS_AMX && !platform_permit_amx()) saved &= ~(uint64_t)REGISTERS_AMX;
#define FEATURE(name, word, bit, registers) \
  if ((saved & REGISTERS_##registers) == REGISTERS_##registers && (words[word] >> (bit) & 1)) found |= X86_##name;
  X86_FEATURES(FEATURE)
#undef FEATURE
}

bool x86_has(uint32_t features) {
  static platform_once once;
  platform_run_once(&once, probe);
  return (found & features) == features;
}
