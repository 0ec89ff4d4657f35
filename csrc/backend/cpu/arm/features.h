/* What an AArch64 processor offers: what levels.cmake may name as a need. */
#ifndef DIMPLE_CPU_ARM_FEATURES_H
#define DIMPLE_CPU_ARM_FEATURES_H

#include "platform/platform.h"

enum {
  ARM_NEON = 0, /* vectors of 128 bits: every AArch64 processor has them */
  ARM_DOTPROD = PLATFORM_ARM_DOTPROD,
  ARM_I8MM = PLATFORM_ARM_I8MM
};

/* Whether this machine has all of `features`, a sum of these. Any thread. */
static inline bool arm_has(uint32_t features) { return (platform_arm_features() & features) == features; }

#endif
