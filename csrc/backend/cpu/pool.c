#include "backend/cpu/pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "platform/platform.h"

enum {
  /* How often a waiting thread looks before it sleeps: some tens of microseconds, about the pause between two operations
   * of a forward pass. */
  SPINS = 1500,
  /* Tasks that are helped at a time. Callers beyond them find so many others at work that they lose nothing by working alone. */
  SLOTS = 64
};

/* Where a task stands while it runs. Slots outlive the tasks in them, so a thread that comes late may look at one at any time. */
typedef struct slot {
  /* (number of the task << 32) | next item. An item is claimed by a compare-and-exchange of the whole word, so a thread
   * that comes late, with what it read of an older task, claims nothing. */
  _Alignas(64) _Atomic uint64_t state;
  /* The task. Written only while `state` is closed, so that no claim succeeds; read before a claim and valid if it succeeds. */
  _Atomic(cpu_task *) task;
  _Atomic(void *) work;
  _Atomic uint32_t items;
  _Atomic int32_t helpers_wanted;

  _Alignas(64) _Atomic uint32_t finished;
  _Atomic int32_t helpers; /* threads of the crew inside */
  _Atomic bool caller_sleeps;
  _Atomic bool taken;
  platform_mutex *mutex;
  platform_condition *done;
} slot;

typedef struct crew {
  slot slots[SLOTS];
  _Alignas(64) _Atomic uint32_t calls; /* tasks put into slots */
  _Atomic int32_t slots_used;          /* those behind were never taken */
  _Atomic int32_t sleepers;
  _Atomic bool closing;
  platform_mutex *mutex;
  platform_condition *called;

  /* Under founding.mutex. */
  int32_t references; /* open pools */
  int32_t size;
  int32_t capacity;
  struct worker **workers; /* [size], room for `capacity` */
} crew;

typedef struct worker {
  crew *crew;
  platform_thread *thread;
  void *scratch;
  int32_t number;
} worker;

struct cpu_pool {
  int32_t threads;
  crew *crew;   /* null: the caller works alone */
  int32_t slot; /* where the last task stood */
};

/* The crew that runs, and what its beginning and end hold. */
static struct {
  _Atomic(platform_mutex *) mutex; /* made by the first who wants it, and kept */
  crew *crew;
} founding;

static inline void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ------------------------------------------------------------------------------------------------------------------ tasks */

/* The state of task `number` when it has no items to claim, however many the next one turns out to have. */
static inline uint64_t closed(uint32_t number) { return (uint64_t)number << 32 | UINT32_MAX; }

static inline uint32_t number_of(uint64_t state) { return (uint32_t)(state >> 32); }

/* Works on what stands in the slot while items are left. False: none was. */
static bool take_items(slot *s, void *scratch) {
  bool worked = false;
  uint64_t state = atomic_load(&s->state);
  for (;;) {
    cpu_task *task = atomic_load_explicit(&s->task, memory_order_acquire);
    void *work = atomic_load_explicit(&s->work, memory_order_acquire);
    uint32_t items = atomic_load_explicit(&s->items, memory_order_acquire);
    if ((uint32_t)state >= items) return worked;
    if (!atomic_compare_exchange_weak(&s->state, &state, state + 1)) continue;
    task(work, (uint32_t)state, scratch);
    worked = true;
    if (atomic_fetch_add(&s->finished, 1) + 1 == items && atomic_load(&s->caller_sleeps)) {
      platform_mutex_lock(s->mutex);
      platform_condition_signal(s->done);
      platform_mutex_unlock(s->mutex);
    }
    state = atomic_load(&s->state);
  }
}

/* ------------------------------------------------------------------------------------------------------------------- crew */

static bool has_items(slot *s) {
  return (uint32_t)atomic_load(&s->state) < atomic_load_explicit(&s->items, memory_order_acquire) &&
         atomic_load(&s->helpers) < atomic_load(&s->helpers_wanted);
}

/* One of the crew works on a slot, unless enough others do. */
static bool help(slot *s, void *scratch) {
  bool worked = false;
  if (atomic_fetch_add(&s->helpers, 1) < atomic_load(&s->helpers_wanted)) worked = take_items(s, scratch);
  atomic_fetch_sub(&s->helpers, 1);
  return worked;
}

/* Looks for work from the slot `*next` on, so that every slot has its turn. */
static bool help_next(crew *c, int32_t *next, void *scratch) {
  int32_t used = atomic_load(&c->slots_used);
  for (int32_t i = 0; i < used; i++) {
    int32_t at = (*next + i) % used;
    if (!has_items(&c->slots[at]) || !help(&c->slots[at], scratch)) continue;
    *next = at + 1;
    return true;
  }
  return false;
}

/* Whether a task came after call `seen`. */
static bool called(crew *c, uint32_t seen) { return atomic_load(&c->calls) != seen || atomic_load(&c->closing); }

static void wait_for_call(crew *c, uint32_t seen) {
  for (int i = 0; i < SPINS; i++) {
    if (called(c, seen)) return;
    relax();
  }
  platform_mutex_lock(c->mutex);
  atomic_fetch_add(&c->sleepers, 1);
  while (!called(c, seen)) platform_condition_wait(c->called, c->mutex);
  atomic_fetch_sub(&c->sleepers, 1);
  platform_mutex_unlock(c->mutex);
}

static void work_until_closed(void *argument) {
  worker *w = argument;
  crew *c = w->crew;
  int32_t next = w->number;
  while (!atomic_load(&c->closing)) {
    uint32_t seen = atomic_load(&c->calls);
    if (!help_next(c, &next, w->scratch)) wait_for_call(c, seen);
  }
}

/* Says that a slot has been filled, to as many sleepers as it can use. */
static void call(crew *c, int32_t wanted) {
  atomic_fetch_add(&c->calls, 1);
  int32_t sleepers = atomic_load(&c->sleepers);
  if (sleepers == 0) return;
  platform_mutex_lock(c->mutex);
  if (wanted >= sleepers) platform_condition_broadcast(c->called);
  else
    for (int32_t i = 0; i < wanted; i++) platform_condition_signal(c->called);
  platform_mutex_unlock(c->mutex);
}

/* ------------------------------------------------------------------------------------------------------ beginning and end */

/* Null: there is no memory for it. */
static platform_mutex *founding_mutex(void) {
  platform_mutex *mutex = atomic_load(&founding.mutex);
  if (mutex) return mutex;
  platform_mutex *fresh = platform_mutex_new();
  if (!fresh || atomic_compare_exchange_strong(&founding.mutex, &mutex, fresh)) return fresh;
  platform_mutex_free(fresh);
  return mutex;
}

static void crew_free(crew *c) {
  for (int32_t i = 0; i < SLOTS; i++) {
    platform_condition_free(c->slots[i].done);
    platform_mutex_free(c->slots[i].mutex);
  }
  platform_condition_free(c->called);
  platform_mutex_free(c->mutex);
  free(c->workers);
  platform_free(c);
}

static crew *crew_new(void) {
  size_t bytes = (sizeof(crew) + 63) / 64 * 64;
  crew *c = platform_allocate(bytes, PLATFORM_CACHE_LINE);
  if (!c) return NULL;
  memset(c, 0, bytes);
  c->mutex = platform_mutex_new();
  c->called = platform_condition_new();
  bool complete = c->mutex && c->called;
  for (int32_t i = 0; i < SLOTS; i++) {
    slot *s = &c->slots[i];
    s->mutex = platform_mutex_new();
    s->done = platform_condition_new();
    complete = complete && s->mutex && s->done;
  }
  if (complete) return c;
  crew_free(c);
  return NULL;
}

/* Ends the threads of a crew that no pool refers to. */
static void crew_end(crew *c) {
  platform_mutex_lock(c->mutex);
  atomic_store(&c->closing, true);
  platform_condition_broadcast(c->called);
  platform_mutex_unlock(c->mutex);
  for (int32_t i = 0; i < c->size; i++) {
    platform_thread_join(c->workers[i]->thread);
    platform_free(c->workers[i]->scratch);
    free(c->workers[i]);
  }
  crew_free(c);
}

static dimple_status add_worker(crew *c, int32_t of) {
  worker *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, "a thread");
  *w = (worker){.crew = c, .number = c->size, .scratch = platform_allocate(CPU_SCRATCH, PLATFORM_CACHE_LINE)};
  const char *refusal = w->scratch ? platform_thread_start(work_until_closed, w, &w->thread) : NULL;
  if (w->scratch && !refusal) {
    c->workers[c->size++] = w;
    return DIMPLE_OK;
  }
  dimple_status status = w->scratch ? dimple_fail(DIMPLE_ERROR_MEMORY, "the system refused thread %d of %d: %s", c->size + 2, of, refusal)
                                    : dimple_fail_memory(CPU_SCRATCH, "a thread's scratch memory");
  platform_free(w->scratch);
  free(w);
  return status;
}

/* At least `size` threads. */
static dimple_status crew_grow(crew *c, int32_t size) {
  if (size > c->capacity) {
    worker **workers = realloc(c->workers, (size_t)size * sizeof *workers);
    if (!workers) return dimple_fail_memory((size_t)size * sizeof *workers, "threads");
    c->workers = workers;
    c->capacity = size;
  }
  while (c->size < size) DIMPLE_TRY(add_worker(c, size + 1));
  return DIMPLE_OK;
}

/* The crew, with one reference more and at least `size` threads. Under founding.mutex. */
static dimple_status join_crew(int32_t size, crew **out) {
  if (!founding.crew) founding.crew = crew_new();
  crew *c = founding.crew;
  if (!c) return dimple_fail_memory(sizeof *c, "a thread pool");
  dimple_status status = crew_grow(c, size);
  if (status == DIMPLE_OK) {
    c->references++;
    *out = c;
  } else if (c->references == 0) {
    founding.crew = NULL;
    crew_end(c);
  }
  return status;
}

static void leave_crew(crew *c) {
  platform_mutex *mutex = atomic_load(&founding.mutex);
  platform_mutex_lock(mutex);
  bool last = --c->references == 0;
  if (last) founding.crew = NULL;
  platform_mutex_unlock(mutex);
  if (last) crew_end(c);
}

/* ------------------------------------------------------------------------------------------------------------------ pools */

static dimple_status pool_join(cpu_pool *pool) {
  if (pool->threads == 1) return DIMPLE_OK;
  platform_mutex *mutex = founding_mutex();
  if (!mutex) return dimple_fail(DIMPLE_ERROR_MEMORY, "no memory for a thread pool");
  platform_mutex_lock(mutex);
  dimple_status status = join_crew(pool->threads - 1, &pool->crew);
  platform_mutex_unlock(mutex);
  return status;
}

dimple_status cpu_pool_open(int32_t threads, cpu_pool **out) {
  cpu_pool *pool = calloc(1, sizeof *pool);
  if (!pool) return dimple_fail_memory(sizeof *pool, "a thread pool");
  pool->threads = threads;
  dimple_status status = pool_join(pool);
  if (status != DIMPLE_OK) {
    free(pool);
    return status;
  }
  *out = pool;
  return DIMPLE_OK;
}

void cpu_pool_close(cpu_pool *pool) {
  if (!pool) return;
  if (pool->crew) leave_crew(pool->crew);
  free(pool);
}

int32_t cpu_pool_threads(const cpu_pool *pool) { return pool->threads; }

static bool take(crew *c, int32_t at) {
  if (atomic_exchange(&c->slots[at].taken, true)) return false;
  int32_t used = atomic_load(&c->slots_used);
  while (used <= at && !atomic_compare_exchange_weak(&c->slots_used, &used, at + 1)) {}
  return true;
}

/* A slot for the pool's task, the last one if it is free; null: all are taken. */
static slot *take_slot(cpu_pool *pool) {
  for (int32_t i = -1; i < SLOTS; i++) {
    int32_t at = i < 0 ? pool->slot : i;
    if (!take(pool->crew, at)) continue;
    pool->slot = at;
    return &pool->crew->slots[at];
  }
  return NULL;
}

static void wait_until_finished(slot *s, uint32_t items) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&s->finished) == items) return;
    relax();
  }
  platform_mutex_lock(s->mutex);
  /* An exchange, no store: qemu 7.2 lets the load below pass a store of aarch64's, and the last helper then wakes nobody. */
  atomic_exchange(&s->caller_sleeps, true);
  while (atomic_load(&s->finished) != items) platform_condition_wait(s->done, s->mutex);
  atomic_store(&s->caller_sleeps, false);
  platform_mutex_unlock(s->mutex);
}

/* A thread that still holds the last state of the previous task must not take the new, larger count for that task's and
 * claim an item: whoever sees the new values finds the state closed. */
static void fill(slot *s, uint32_t items, cpu_task *task, void *work, int32_t helpers) {
  uint32_t number = number_of(atomic_load(&s->state));
  atomic_store(&s->state, closed(number));
  atomic_store(&s->finished, 0);
  atomic_store_explicit(&s->task, task, memory_order_release);
  atomic_store_explicit(&s->work, work, memory_order_release);
  atomic_store_explicit(&s->items, items, memory_order_release);
  atomic_store(&s->helpers_wanted, helpers);
  atomic_store(&s->state, (uint64_t)(number + 1) << 32);
}

void cpu_pool_run(cpu_pool *pool, int64_t items, cpu_task *task, void *work, void *scratch) {
  slot *s = items > 1 && pool->crew ? take_slot(pool) : NULL;
  if (!s) {
    for (int64_t i = 0; i < items; i++) task(work, i, scratch);
    return;
  }
  int64_t wanted = items < pool->threads ? items - 1 : pool->threads - 1;
  fill(s, (uint32_t)items, task, work, pool->threads - 1);
  call(pool->crew, (int32_t)wanted);
  take_items(s, scratch);
  wait_until_finished(s, (uint32_t)items);
  atomic_store(&s->taken, false);
}
