/* Measures what a machine does at most, for figures to be compared with. */
#include <string.h>

#include "backend/cpu/operations.h"
#include "error.h"
#include "platform/platform.h"

enum { TRIES = 7 };
static const int64_t LEAST_NANOSECONDS = 30 * 1000 * 1000, MOST_TURNS = INT64_C(1) << 40, MEMORY = INT64_C(1) << 28;

/* Words of 8 bytes: a line of the nearest cache, and how far ahead of it lines are asked for, as the kernels ask for weights. */
enum { LINE_WORDS = 8, READ_AHEAD = 768 };

typedef int64_t peak_kernel(int64_t turns, void *scratch);

typedef struct peak_task {
  peak_kernel *kernel;
  int64_t turns;
  const uint64_t *memory; /* instead of the kernel: what is read, MEMORY bytes in `parts` parts */
  int64_t parts;
  atomic_llong total; /* products; or the sum of what was read, so that it is */
} peak_task;

static void peak_item(void *work, int64_t item, void *scratch) {
  peak_task *t = work;
  if (t->kernel) {
    float *start = scratch;
    for (int i = 0; i < 64; i++) start[i] = i < 16 ? 0.5f : 1; /* sums that stay below 2 */
    atomic_fetch_add(&t->total, t->kernel(t->turns, scratch));
    return;
  }
  int64_t words = MEMORY / 8, first = words * item / t->parts, end = words * (item + 1) / t->parts;
  uint64_t sum = 0;
  for (int64_t i = first; i < end; i += LINE_WORDS) {
    __builtin_prefetch(t->memory + i + READ_AHEAD, 0, 3);
    for (int64_t j = i; j < i + LINE_WORDS && j < end; j++) sum += t->memory[j];
  }
  atomic_fetch_add(&t->total, (long long)(sum & 0xffff));
}

/* Nanoseconds of the task on all threads. */
static int64_t timed(context *c, peak_task *t) {
  atomic_store(&t->total, 0);
  int64_t start = platform_now();
  cpu_pool_run(c->pool, t->parts, peak_item, t, c->scratch);
  int64_t time = platform_now() - start;
  return time > 0 ? time : 1;
}

/* Products a second, the best of a few tries; 0 without a kernel. */
static int64_t peak_of(context *c, peak_kernel *kernel) {
  if (!kernel) return 0;
  peak_task task = {.kernel = kernel, .turns = 1024, .parts = cpu_pool_threads(c->pool)};
  while (timed(c, &task) < LEAST_NANOSECONDS && task.turns < MOST_TURNS) task.turns *= 2;
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    int64_t time = timed(c, &task);
    double found = (double)atomic_load(&task.total) / (double)time * 1e9;
    best = found > best ? found : best;
  }
  return (int64_t)best;
}

static dimple_status memory_peak(context *c, int64_t *out) {
  void *memory;
  DIMPLE_TRY(cpu_allocate(MEMORY, 1, "measuring memory", &memory));
  memset(memory, 1, (size_t)MEMORY);
  peak_task task = {.memory = memory, .parts = cpu_pool_threads(c->pool)};
  for (int i = 0; i < TRIES; i++) {
    int64_t found = (int64_t)((double)MEMORY / (double)timed(c, &task) * 1e9);
    *out = found > *out ? found : *out;
  }
  platform_free(memory);
  return DIMPLE_OK;
}

dimple_status cpu_measure_peaks(context *c, dimple_peaks *out) {
  *out = (dimple_peaks){0};
  DIMPLE_TRY(cpu_pass_begin(c, NULL)); /* for its scratch memory */
  out->int8_products = peak_of(c, c->kernels->peak_codes);
  out->f32_products = peak_of(c, c->kernels->peak_floats);
  return cpu_pass_end(c, memory_peak(c, &out->memory_bytes));
}
