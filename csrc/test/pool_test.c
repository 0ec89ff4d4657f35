/* The thread pool: every item of every task runs once, and a task is over when the call returns. */
#include "backend/cpu/pool.h"

#include <stdatomic.h>

#include "test/expect.h"

enum { MAX_ITEMS = 48, MAX_LANES = 9, ROUNDS = 60000 };

typedef struct tally {
  atomic_int runs[MAX_ITEMS];
  atomic_int in_lane[MAX_LANES]; /* threads inside a lane at the moment */
  atomic_int lane_clashes;
} tally;

static void count_item(void *work, int64_t item, int32_t lane) {
  tally *t = work;
  if (atomic_fetch_add(&t->in_lane[lane], 1) != 0) atomic_fetch_add(&t->lane_clashes, 1);
  atomic_fetch_add(&t->runs[item], 1);
  atomic_fetch_sub(&t->in_lane[lane], 1);
}

/* Short tasks one after the other, growing and shrinking, so that threads often come late to the one before. */
static void every_item_runs_once(int32_t threads) {
  static tally t;
  cpu_pool *pool = NULL;
  EXPECT_OK(cpu_pool_open(threads, &pool));
  EXPECT(cpu_pool_threads(pool) == threads, "%d threads", cpu_pool_threads(pool));
  int32_t wrong = 0;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    int32_t items = (int32_t)(round * 2654435761u >> 16) % (MAX_ITEMS + 1);
    for (int32_t i = 0; i < MAX_ITEMS; i++) atomic_store_explicit(&t.runs[i], 0, memory_order_relaxed);
    cpu_pool_run(pool, items, count_item, &t);
    for (int32_t i = 0; i < MAX_ITEMS; i++) wrong += atomic_load_explicit(&t.runs[i], memory_order_relaxed) != (i < items);
  }
  EXPECT(wrong == 0, "%d threads: %d items ran not at all or twice", threads, wrong);
  EXPECT(atomic_load(&t.lane_clashes) == 0, "%d threads: two of them shared a lane %d times", threads, t.lane_clashes);
  cpu_pool_close(pool);
}

int main(void) {
  static const int32_t threads[] = {1, 2, 3, MAX_LANES};
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) every_item_runs_once(threads[i]);
  cpu_pool_close(NULL);
  return expect_summary("pool");
}
