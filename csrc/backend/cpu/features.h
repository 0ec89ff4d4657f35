/* What the processor and the operating system offer, probed once. */
#ifndef DIMPLE_CPU_FEATURES_H
#define DIMPLE_CPU_FEATURES_H

#include <stdbool.h>

typedef struct cpu_features {
  bool avx2;        /* with FMA and half conversion */
  bool avx_vnni;    /* 8-bit dot products on 256-bit vectors, on top of avx2 */
  bool avx512_vnni; /* F, BW, DQ, VL and 8-bit dot products on 512-bit vectors */
  bool amx;         /* 8-bit and bfloat16 tiles, on top of avx512_vnni, and the kernel lets this process use them */
} cpu_features;

/* Static; any thread. */
const cpu_features *cpu_features_get(void);

#endif
