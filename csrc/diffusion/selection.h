/* The first items of an order, without sorting. */
#ifndef DIMPLE_SELECTION_H
#define DIMPLE_SELECTION_H

#include <stdbool.h>
#include <stdint.h>

/* Something to be ranked: by key, the highest first, and by index, the lowest first, among equal keys. */
typedef struct ranked {
  double key;   /* not NaN */
  float weight; /* >= 0 */
  int32_t index;
} ranked;

bool selection_before(const ranked *a, const ranked *b);

/* The last item, in order of rank, whose predecessors weigh at most `limit` >= 0 together. Everything that does not rank
 * behind it is selected. A quickselect: linear time on average; reorders items[count >= 1]. */
ranked selection_last(ranked *items, int32_t count, double limit);

#endif
