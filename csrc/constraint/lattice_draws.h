/* The random numbers of a lattice. */
#ifndef DIMPLE_LATTICE_DRAWS_H
#define DIMPLE_LATTICE_DRAWS_H

#include "constraint/lattice.h"
#include "draws.h"

/* Uniform in [0, 1), 64 bits: some classes have a hundred thousand members. */
static inline double lattice_uniform(const path_settings *s, int32_t position, draw_purpose purpose, int32_t index) {
  uint64_t high = draw_word(s->seed, (uint32_t)s->iteration, (uint32_t)position, purpose, 2 * (uint32_t)index);
  uint64_t low = draw_word(s->seed, (uint32_t)s->iteration, (uint32_t)position, purpose, 2 * (uint32_t)index + 1);
  return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

#endif
