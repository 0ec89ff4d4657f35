#include "diffusion/selection.h"

bool selection_before(const ranked *a, const ranked *b) {
  return a->key > b->key || (a->key == b->key && a->index < b->index);
}

static void swap(ranked *a, ranked *b) {
  ranked held = *a;
  *a = *b;
  *b = held;
}

/* Brings what ranks before the last of items[low] .. items[high - 1] to the front. Returns its number and adds up its weight. */
static int32_t partition(ranked *items, int32_t low, int32_t high, double *weight) {
  ranked pivot = items[high - 1];
  int32_t middle = low;
  *weight = 0;
  for (int32_t i = low; i < high - 1; i++) {
    if (!selection_before(&items[i], &pivot)) continue;
    *weight += items[i].weight;
    swap(&items[i], &items[middle++]);
  }
  return middle;
}

ranked selection_last(ranked *items, int32_t count, double limit) {
  double before = 0; /* weight of all items that rank before items[low] .. items[high - 1] */
  int32_t low = 0, high = count;
  ranked last = items[0];
  uint32_t spread = 0; /* a pivot at a varying place: no common order of the items makes it quadratic */
  while (low < high) {
    spread = spread * 1664525u + 1013904223u;
    swap(&items[low + (int32_t)(((uint64_t)spread * (uint32_t)(high - low)) >> 32)], &items[high - 1]);
    ranked pivot = items[high - 1];
    double weight;
    int32_t middle = partition(items, low, high, &weight);
    if (before + weight <= limit) {
      last = pivot;
      before += weight + pivot.weight;
      swap(&items[middle], &items[high - 1]);
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return last;
}
