/* The threads: every item of every task runs once, with scratch memory of its own, and a task is over when the call returns; however many
 * pools are open and busy, the process has the threads of the largest one. */
#include "backend/cpu/pool.h"

#include <stdatomic.h>

#ifdef __linux__
#include <dirent.h>
#endif

#include "platform/platform.h"
#include "test/expect.h"

enum { MAX_ITEMS = 48, ROUNDS = 60000, CALLERS = 12, CALLER_ROUNDS = 4000 };

typedef struct tally {
  uint32_t round;
  uint32_t results[MAX_ITEMS]; /* the round, as plain data: what an item leaves is the caller's when the task is over */
  atomic_int runs[MAX_ITEMS];
  atomic_int clashes; /* items that found another one's mark in their scratch memory */
} tally;

static void count_item(void *work, int64_t item, void *scratch) {
  tally *t = work;
  _Atomic(atomic_int *) *owner = scratch;
  atomic_store(owner, &t->runs[item]);
  t->results[item] = t->round;
  atomic_fetch_add(&t->runs[item], 1);
  if (atomic_load(owner) != &t->runs[item]) atomic_fetch_add(&t->clashes, 1);
}

/* Short tasks one after the other, growing and shrinking, so that threads often come late to the one before. */
static int32_t run_tasks(cpu_pool *pool, tally *t, uint32_t rounds) {
  static _Thread_local _Alignas(64) uint8_t scratch[64];
  int32_t wrong = 0;
  for (uint32_t round = 0; round < rounds; round++) {
    int32_t items = (int32_t)(round * 2654435761u >> 16) % (MAX_ITEMS + 1);
    for (int32_t i = 0; i < MAX_ITEMS; i++) atomic_store_explicit(&t->runs[i], 0, memory_order_relaxed);
    t->round = round;
    cpu_pool_run(pool, items, count_item, t, scratch);
    for (int32_t i = 0; i < MAX_ITEMS; i++) wrong += atomic_load_explicit(&t->runs[i], memory_order_relaxed) != (i < items);
    for (int32_t i = 0; i < items; i++) wrong += t->results[i] != round;
  }
  return wrong;
}

static void every_item_runs_once(int32_t threads) {
  static tally t;
  cpu_pool *pool = NULL;
  EXPECT_OK(cpu_pool_open(threads, &pool));
  EXPECT(cpu_pool_threads(pool) == threads, "%d threads", cpu_pool_threads(pool));
  int32_t wrong = run_tasks(pool, &t, ROUNDS);
  EXPECT(wrong == 0, "%d threads: %d items ran not at all or twice, or left nothing", threads, wrong);
  EXPECT(atomic_load(&t.clashes) == 0, "%d threads: two of them shared their scratch memory %d times", threads, t.clashes);
  cpu_pool_close(pool);
}

/* Of this process; -1 where the system does not list them. */
static int32_t count_threads(void) {
  int32_t count = -1;
#ifdef __linux__
  DIR *tasks = opendir("/proc/self/task");
  if (!tasks) return count;
  for (count = -2; readdir(tasks);) count++; /* . and .. */
  closedir(tasks);
#endif
  return count;
}

typedef struct caller {
  platform_thread *thread;
  tally t;
  int32_t threads, wrong;
  atomic_int *ready;
} caller;

/* A session: a pool of its own, at work at the same time as the others. */
static void run_caller(void *argument) {
  caller *c = argument;
  cpu_pool *pool = NULL;
  if (cpu_pool_open(c->threads, &pool) != DIMPLE_OK) {
    c->wrong = -1;
    return;
  }
  atomic_fetch_add(c->ready, 1);
  while (atomic_load(c->ready) < CALLERS) platform_yield();
  c->wrong = run_tasks(pool, &c->t, CALLER_ROUNDS);
  cpu_pool_close(pool);
}

static void pools_share_the_threads(void) {
  static caller callers[CALLERS];
  atomic_int ready = 0;
  int32_t before = count_threads();
  cpu_pool *largest = NULL;
  EXPECT_OK(cpu_pool_open(6, &largest));
  for (int32_t i = 0; i < CALLERS; i++) {
    callers[i] = (caller){.threads = 1 + i % 6, .ready = &ready};
    const char *refusal = platform_thread_start(run_caller, &callers[i], &callers[i].thread);
    EXPECT(!refusal, "%s", refusal);
  }
  int32_t during = count_threads();
  for (int32_t i = 0; i < CALLERS; i++) {
    platform_thread_join(callers[i].thread);
    EXPECT(callers[i].wrong == 0, "caller %d: %d items ran not at all or twice, or left nothing", i, callers[i].wrong);
    EXPECT(atomic_load(&callers[i].t.clashes) == 0, "caller %d: shared scratch memory", i);
  }
  EXPECT(during <= before + CALLERS + 5, "%d threads became %d: %d callers and 5 to help them were expected", before, during, CALLERS);
  cpu_pool_close(largest);
  /* A thread that has ended may be listed a moment longer, under an emulator above all: now, and before. */
  int64_t deadline = platform_now() + 5000000000;
  while (count_threads() > before && platform_now() < deadline) platform_yield();
  EXPECT(count_threads() <= before, "%d threads became %d when all pools were closed", before, count_threads());
}

int main(void) {
  static const int32_t threads[] = {1, 2, 3, 9};
  for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) every_item_runs_once(threads[i]);
  pools_share_the_threads();
  cpu_pool_close(NULL);
  return expect_summary("pool");
}
