/* What an x86-64 processor and the operating system offer. */
#ifndef DIMPLE_CPU_X86_FEATURES_H
#define DIMPLE_CPU_X86_FEATURES_H

#include <stdbool.h>
#include <stdint.h>

/* FEATURE(name, word of CPUID, bit of that word, registers that the operating system must save): what levels.cmake may name as a need,
 * with X86_ before it. Words and bits: Intel SDM volume 2, CPUID; the words and registers are listed in features.c. */
#define X86_FEATURES(FEATURE)                     \
  FEATURE(FMA, LEAF_1_ECX, 12, AVX)               \
  FEATURE(F16C, LEAF_1_ECX, 29, AVX)              \
  FEATURE(AVX2, LEAF_7_EBX, 5, AVX)               \
  FEATURE(AVX_VNNI, LEAF_7_1_EAX, 4, AVX)         \
  FEATURE(AVX512F, LEAF_7_EBX, 16, AVX512)        \
  FEATURE(AVX512DQ, LEAF_7_EBX, 17, AVX512)       \
  FEATURE(AVX512BW, LEAF_7_EBX, 30, AVX512)       \
  FEATURE(AVX512VL, LEAF_7_EBX, 31, AVX512)       \
  FEATURE(AVX512_VNNI, LEAF_7_ECX, 11, AVX512)    \
  FEATURE(AMX_BF16, LEAF_7_EDX, 22, AMX)          \
  FEATURE(AMX_TILE, LEAF_7_EDX, 24, AMX)          \
  FEATURE(AMX_INT8, LEAF_7_EDX, 25, AMX)

enum {
#define FEATURE(name, word, bit, registers) X86_INDEX_##name,
  X86_FEATURES(FEATURE)
#undef FEATURE
};

enum {
#define FEATURE(name, word, bit, registers) X86_##name = 1 << X86_INDEX_##name,
  X86_FEATURES(FEATURE)
#undef FEATURE
};

/* Whether this machine has all of `features`, a sum of X86_ bits. Probed once; any thread. */
bool x86_has(uint32_t features);

#endif
