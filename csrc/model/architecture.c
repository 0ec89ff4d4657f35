#include "model/architecture.h"

#include <stdio.h>
#include <string.h>

/* The table: a line for each, whose name is that of its file. */
#define ARCHITECTURES(ENTRY) \
  ENTRY(dimple)              \
  ENTRY(dream)               \
  ENTRY(llada)               \
  ENTRY(llada_moe)           \
  ENTRY(llada_v)             \
  ENTRY(lavida_dream)        \
  ENTRY(a2d_qwen2)           \
  ENTRY(a2d_qwen3)           \
  ENTRY(sdar)                \
  ENTRY(sdar_moe)            \
  ENTRY(sdar_vl)             \
  ENTRY(rnd1)                \
  ENTRY(dream_vl)            \
  ENTRY(dimple_block)        \
  ENTRY(fast_dllm_v2)        \
  ENTRY(llada2)              \
  ENTRY(llada22)             \
  ENTRY(stable_diffcoder)    \
  ENTRY(diffuse)             \
  ENTRY(diffusion_gemma)

#define DECLARE(name) extern const architecture architecture_##name;
ARCHITECTURES(DECLARE)

#define ADDRESS(name) &architecture_##name,
static const architecture *const architectures[] = {ARCHITECTURES(ADDRESS)};
enum { ARCHITECTURE_COUNT = sizeof architectures / sizeof *architectures };

const architecture *architecture_find(const char *name) {
  for (size_t i = 0; i < ARCHITECTURE_COUNT; i++)
    if (strcmp(architectures[i]->name, name) == 0) return architectures[i];
  return NULL;
}

void architecture_names(char *target, size_t capacity) {
  size_t used = 0;
  for (size_t i = 0; i < ARCHITECTURE_COUNT && used < capacity; i++) {
    const char *separator = i == 0 ? "" : i + 1 == ARCHITECTURE_COUNT ? " or " : ", ";
    used += (size_t)snprintf(target + used, capacity - used, "%s%s", separator, architectures[i]->name);
  }
}
