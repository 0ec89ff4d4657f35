/*
 * A fixed set of threads that share out the items of one task at a time. The caller works too, and never waits for a
 * thread that has not taken an item: on a busy machine a task is finished by whoever gets to run.
 */
#ifndef DIMPLE_CPU_POOL_H
#define DIMPLE_CPU_POOL_H

#include <stdint.h>

#include "dimple.h"

typedef struct cpu_pool cpu_pool;

/* Works on item `item` of a task; `lane` < threads says which thread does it, for scratch memory. */
typedef void cpu_task(void *work, int64_t item, int32_t lane);

/* threads >= 1, the caller's included. Errors: MEMORY (also when the system refuses a thread). */
dimple_status cpu_pool_open(int32_t threads, cpu_pool **out);

/* No task may be running. Null is allowed. */
void cpu_pool_close(cpu_pool *pool);

int32_t cpu_pool_threads(const cpu_pool *pool);

/* Runs task(work, item, lane) for every item in 0 .. items - 1 (items < 2^32), in any order, and returns when all are done. One caller at
 * a time; tasks must not call it. */
void cpu_pool_run(cpu_pool *pool, int64_t items, cpu_task *task, void *work);

#endif
