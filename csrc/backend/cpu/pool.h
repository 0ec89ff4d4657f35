/*
 * The threads of the process that work on the CPU, and a session's share of them. There is one crew of threads, however many pools are
 * open: as many as the largest pool asks for, less the caller. A pool shares out the items of one task at a time among its caller and
 * whoever of the crew is free; pools that run at once are helped in turn, a task each. The caller works too, and never waits for a
 * thread that has not taken an item: on a busy machine a task is finished by whoever gets to run.
 */
#ifndef DIMPLE_CPU_POOL_H
#define DIMPLE_CPU_POOL_H

#include <stdint.h>

#include "dimple.h"

/* Every thread's scratch memory, in bytes: enough for what the kernels of any instruction set ask for. A page of it is the system's until
 * it is written. */
enum { CPU_SCRATCH = 5 << 18 };

typedef struct cpu_pool cpu_pool;

/* Works on item `item` of a task, with CPU_SCRATCH bytes for this thread alone, or the caller's. */
typedef void cpu_task(void *work, int64_t item, void *scratch);

/* At most `threads` >= 1 work on a task at a time, the caller's included. The first pool starts the crew, a larger one adds to it. Any
 * thread. Errors: MEMORY (also when the system refuses a thread). */
dimple_status cpu_pool_open(int32_t threads, cpu_pool **out);

/* No task may be running. The last pool ends the crew. Null is allowed. Any thread. */
void cpu_pool_close(cpu_pool *pool);

int32_t cpu_pool_threads(const cpu_pool *pool);

/* Runs task(work, item, scratch) for every item in 0 .. items - 1 (items < 2^32), in any order, and returns when all are done; `scratch` is
 * what the caller's items get. One caller at a time; tasks must not call it. */
void cpu_pool_run(cpu_pool *pool, int64_t items, cpu_task *task, void *work, void *scratch);

#endif
