/* The list of what an iteration revealed, which its room holds: positions of the response, ascending, and what there is to say of each. */
#ifndef DIMPLE_REVEALED_H
#define DIMPLE_REVEALED_H

#include "diffusion/iteration.h"

/* Takes in a position that is not in it, and comes from none of the scored rows. */
void revealed_insert(iteration *it, int32_t position, int32_t token, float confidence);

/* Has a token at a position, with confidence 1, whether or not it is in the list. */
void revealed_put(iteration *it, int32_t position, int32_t token);

/* A way through the list, position by position, that leaves out or moves what it meets. */
typedef struct revealed_walk {
  int32_t met, kept; /* so many entries; those kept are the list's first ones */
} revealed_walk;

/* The position that was `from`, if it is in the list, is `to` now; -1: it is none any more. Calls come in the order of `from`, and those that stay in that of `to`. */
void revealed_move(iteration *it, revealed_walk *w, int32_t from, int32_t to);

/* The list is what was kept. */
static inline void revealed_end(iteration *it, const revealed_walk *w) { it->revealed_count = w->kept; }

#endif
