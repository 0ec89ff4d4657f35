/* Selection against a full sort. */
#include <stdlib.h>

#include "draws.h"
#include "diffusion/selection.h"
#include "test/expect.h"

enum { MOST = 500 };

static int by_rank(const void *a, const void *b) { return selection_before(a, b) ? -1 : selection_before(b, a); }

static void equal_keys_go_by_index(void) {
  ranked low = {1, 0, 3}, high = {2, 0, 9}, tied = {1, 0, 4};
  EXPECT(selection_before(&high, &low) && !selection_before(&low, &high), "by key");
  EXPECT(selection_before(&low, &tied) && !selection_before(&tied, &low) && !selection_before(&low, &low), "by index");
}

/* Keys in `steps` values, so that few steps mean many ties; weights 0 .. 1. */
static void fill(ranked *items, int32_t count, uint64_t seed, double steps) {
  for (int32_t i = 0; i < count; i++) {
    items[i] = (ranked){floor(steps * draw_uniform(seed, 0, (uint32_t)i, 0, 0)), draw_uniform(seed, 1, (uint32_t)i, 0, 0), i};
  }
}

static void selection_equals_sorting(void) {
  static const int32_t counts[] = {1, 2, 3, 17, MOST};
  for (size_t n = 0; n < sizeof counts / sizeof counts[0]; n++) {
    for (uint64_t seed = 0; seed < 40; seed++) {
      ranked items[MOST], sorted[MOST];
      int32_t count = counts[n], last = 0;
      fill(items, count, seed, seed % 2 ? 1e6 : 4);
      memcpy(sorted, items, sizeof *items * (size_t)count);
      qsort(sorted, (size_t)count, sizeof *sorted, by_rank);
      double limit = (double)count * draw_uniform(seed, 2, 0, 0, 0) * 0.7, before = 0;
      while (last + 1 < count && before + sorted[last].weight <= limit) before += sorted[last++].weight;
      int32_t found = selection_last(items, count, limit).index;
      EXPECT(found == sorted[last].index, "%d items, seed %d: %d, not %d", count, (int)seed, found, sorted[last].index);
    }
  }
}

/* By number: with weights of 1, a limit of k - 1 selects k. */
static void sorted_rows_are_no_worse(void) {
  for (int32_t direction = 0; direction < 2; direction++) {
    ranked items[MOST];
    for (int32_t i = 0; i < MOST; i++) items[i] = (ranked){direction ? i : -i, 1, i};
    int32_t found = selection_last(items, MOST, 9).index;
    EXPECT(found == (direction ? MOST - 10 : 9), "the tenth is %d", found);
  }
}

static void no_limit_selects_the_first(void) {
  ranked items[3] = {{1, 1, 0}, {3, 1, 1}, {2, 1, 2}};
  EXPECT(selection_last(items, 3, 0).index == 1, "the highest");
}

int main(void) {
  equal_keys_go_by_index();
  selection_equals_sorting();
  sorted_rows_are_no_worse();
  no_limit_selects_the_first();
  return expect_summary("selection");
}
