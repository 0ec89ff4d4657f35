#include "backend/cpu/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "error.h"
#include "platform/platform.h"

/* How often a waiting thread looks before it sleeps: some tens of microseconds, about the pause between two operations
 * of a forward pass. */
enum { SPINS = 1500 };

struct cpu_pool {
  /* (number of the task << 32) | next item. An item is claimed by a compare-and-exchange of the whole word, so a thread
   * that comes late, with what it read of an older task, claims nothing. */
  _Atomic uint64_t state;
  /* The task. Written only while `state` is closed, so that no claim succeeds; read before a claim and valid if it succeeds. */
  _Atomic(cpu_task *) task;
  _Atomic(void *) work;
  _Atomic uint32_t items;

  _Alignas(64) _Atomic uint32_t finished;
  _Alignas(64) _Atomic int32_t sleepers;
  _Atomic bool caller_sleeps;
  _Atomic bool closing;
  platform_mutex *mutex;
  platform_condition *started;
  platform_condition *done;

  int32_t threads;
  int32_t running; /* worker threads to join */
  struct worker {
    cpu_pool *pool;
    platform_thread *thread;
    int32_t lane;
  } workers[];
};

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* The state of task `number` when it has no items to claim, however many the next one turns out to have. */
static inline uint64_t closed(uint32_t number) { return (uint64_t)number << 32 | UINT32_MAX; }

static inline uint32_t number_of(uint64_t state) { return (uint32_t)(state >> 32); }

/* Works on the current task while items are left; returns the number of the task that had none left. */
static uint32_t take_items(cpu_pool *pool, int32_t lane) {
  uint64_t state = atomic_load(&pool->state);
  for (;;) {
    cpu_task *task = atomic_load_explicit(&pool->task, memory_order_acquire);
    void *work = atomic_load_explicit(&pool->work, memory_order_acquire);
    uint32_t items = atomic_load_explicit(&pool->items, memory_order_acquire);
    if ((uint32_t)state >= items) return number_of(state);
    if (!atomic_compare_exchange_weak(&pool->state, &state, state + 1)) continue;
    task(work, (uint32_t)state, lane);
    if (atomic_fetch_add(&pool->finished, 1) + 1 == items && atomic_load(&pool->caller_sleeps)) {
      platform_mutex_lock(pool->mutex);
      platform_condition_signal(pool->done);
      platform_mutex_unlock(pool->mutex);
    }
    state = atomic_load(&pool->state);
  }
}

/* Whether there is something newer than task `seen`. */
static bool called(cpu_pool *pool, uint32_t seen) {
  return number_of(atomic_load(&pool->state)) != seen || atomic_load(&pool->closing);
}

static void wait_for_call(cpu_pool *pool, uint32_t seen) {
  for (int i = 0; i < SPINS; i++) {
    if (called(pool, seen)) return;
    relax();
  }
  platform_mutex_lock(pool->mutex);
  atomic_fetch_add(&pool->sleepers, 1);
  while (!called(pool, seen)) platform_condition_wait(pool->started, pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  platform_mutex_unlock(pool->mutex);
}

static void work_until_closed(void *argument) {
  struct worker *w = argument;
  cpu_pool *pool = w->pool;
  uint32_t seen = 0;
  while (!atomic_load(&pool->closing)) {
    wait_for_call(pool, seen);
    seen = take_items(pool, w->lane);
  }
}

static void wait_until_finished(cpu_pool *pool, uint32_t items) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&pool->finished) == items) return;
    relax();
  }
  platform_mutex_lock(pool->mutex);
  atomic_store(&pool->caller_sleeps, true);
  while (atomic_load(&pool->finished) != items) platform_condition_wait(pool->done, pool->mutex);
  atomic_store(&pool->caller_sleeps, false);
  platform_mutex_unlock(pool->mutex);
}

void cpu_pool_run(cpu_pool *pool, int64_t items, cpu_task *task, void *work) {
  if (items <= 1 || pool->running == 0) {
    for (int64_t i = 0; i < items; i++) task(work, i, 0);
    return;
  }
  /* A thread that still holds the last state of the previous task must not take the new, larger count for that task's and
   * claim an item: whoever sees the new values finds the state closed. */
  uint32_t number = number_of(atomic_load(&pool->state));
  atomic_store(&pool->state, closed(number));
  atomic_store(&pool->finished, 0);
  atomic_store_explicit(&pool->task, task, memory_order_release);
  atomic_store_explicit(&pool->work, work, memory_order_release);
  atomic_store_explicit(&pool->items, (uint32_t)items, memory_order_release);
  atomic_store(&pool->state, (uint64_t)(number + 1) << 32);
  if (atomic_load(&pool->sleepers) > 0) {
    platform_mutex_lock(pool->mutex);
    platform_condition_broadcast(pool->started);
    platform_mutex_unlock(pool->mutex);
  }
  take_items(pool, 0);
  wait_until_finished(pool, (uint32_t)items);
}

int32_t cpu_pool_threads(const cpu_pool *pool) { return pool->threads; }

/* Null, or why the system refused a thread. */
static const char *start_workers(cpu_pool *pool) {
  for (int32_t i = 0; i < pool->threads - 1; i++) {
    pool->workers[i] = (struct worker){.pool = pool, .lane = i + 1};
    const char *refusal = platform_thread_start(work_until_closed, &pool->workers[i], &pool->workers[i].thread);
    if (refusal) return refusal;
    pool->running++;
  }
  return NULL;
}

dimple_status cpu_pool_open(int32_t threads, cpu_pool **out) {
  size_t bytes = (sizeof(cpu_pool) + (size_t)(threads - 1) * sizeof(struct worker) + 63) / 64 * 64;
  cpu_pool *pool = platform_allocate(bytes, PLATFORM_CACHE_LINE);
  if (!pool) return dimple_fail_memory(bytes, "a thread pool");
  memset(pool, 0, bytes);
  pool->threads = threads;
  pool->mutex = platform_mutex_new();
  pool->started = platform_condition_new();
  pool->done = platform_condition_new();
  if (!pool->mutex || !pool->started || !pool->done) {
    cpu_pool_close(pool);
    return dimple_fail_memory(bytes, "a thread pool");
  }
  const char *refusal = start_workers(pool);
  if (refusal) {
    int32_t started = pool->running;
    cpu_pool_close(pool);
    return dimple_fail(DIMPLE_ERROR_MEMORY, "the system refused thread %d of %d: %s", started + 2, threads, refusal);
  }
  *out = pool;
  return DIMPLE_OK;
}

static void stop_workers(cpu_pool *pool) {
  if (pool->running == 0) return;
  platform_mutex_lock(pool->mutex);
  atomic_store(&pool->closing, true);
  platform_condition_broadcast(pool->started);
  platform_mutex_unlock(pool->mutex);
  for (int32_t i = 0; i < pool->running; i++) platform_thread_join(pool->workers[i].thread);
}

void cpu_pool_close(cpu_pool *pool) {
  if (!pool) return;
  stop_workers(pool);
  platform_condition_free(pool->started);
  platform_condition_free(pool->done);
  platform_mutex_free(pool->mutex);
  platform_free(pool);
}
