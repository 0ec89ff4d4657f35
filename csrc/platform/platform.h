/*
 * What the core asks of the operating system: files mapped into memory, aligned memory, processors, a clock, threads. Nothing
 * outside this folder includes a header of the system or asks which one it is. A system is a file: windows.c alone; linux.c or darwin.c with
 * posix.c, which has what these two do alike; CMakeLists.txt takes those of the system it builds for.
 */
#ifndef DIMPLE_PLATFORM_H
#define DIMPLE_PLATFORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dimple.h"

/* ---------------------------------------------------------------------------------------------------------- mapped files */

/* What the system says of a file: whoever finds all of it as it was finds the file as it was. */
typedef struct platform_identity {
  uint64_t volume, file;     /* where it lies, and which it is there */
  int64_t size;              /* bytes */
  int64_t modified, changed; /* when its bytes, and when anything about it, changed last */
} platform_identity;

/* A whole file in memory, read only and shared with every process that maps it. */
typedef struct platform_mapping {
  const uint8_t *bytes; /* null: nothing is mapped */
  int64_t size;
  platform_identity identity;
  int descriptor; /* of the open file, for platform_read alone; below 0 where there is none */
} platform_mapping;

/* Maps the regular file at `path`, UTF-8 on every system; `expected` ("a GGUF file") ends the message for a path that is none. Never waits for a pipe.
 * Errors: IO (cannot be opened or mapped, a directory, not a regular file), FORMAT (empty). */
dimple_status platform_map(const char *path, const char *expected, platform_mapping *out);
void platform_unmap(platform_mapping *mapping); /* one with nothing mapped is allowed */

/* Lets the system drop the pages that lie wholly within `size` bytes from `offset` on: they stay readable, from the file, but no
 * longer count as this process's memory. */
void platform_release(const platform_mapping *mapping, int64_t offset, int64_t size);

/* Copies `size` bytes from `offset` on, as they stand in `bytes`. The system copies them where it can: pages of a mapping that nobody has touched cost more,
 * each a fault, than their bytes. Any thread. */
void platform_read(const platform_mapping *mapping, int64_t offset, int64_t size, void *target);

/* A file that comes to be whole or not at all, whenever the process may end: it is written beside its name, under that and ".partial", and takes
 * its name, another file's place, at the end. One process writes it at a time. */
typedef struct platform_writer platform_writer;

/* Null, or why not: text that holds until the calling thread's next call of these three. */
const char *platform_write_begin(const char *path, platform_writer **out);
const char *platform_write(platform_writer *writer, const void *bytes, int64_t size);
/* Ends it, in its place if `keep`; on failure nothing of it is left. */
const char *platform_write_end(platform_writer *writer, bool keep);

/* ------------------------------------------------------------------------------------------------------------- libraries */

/* Loads a shared library and keeps it until the process ends; `path` is a file, or a name that the system looks for by its own rules. Null: it
 * is not there, or what it needs is not. */
void *platform_library_open(const char *path);

/* A function of it, or null. */
void (*platform_library_function(void *library, const char *name))(void);

/* The file name of a library of this system ("libx.so", "x.dll") beside the one that this code is in, or by itself where that is not known. */
void platform_library_beside(const char *name, char *path, size_t capacity);

/* -------------------------------------------------------------------------------------------------------- aligned memory */

/* Memory aligned to so much is asked to come in pages of that size: walking it, or rows that lie a small page apart, then costs no
 * page walks, and the processor's prefetcher, which stops at page ends, runs on. */
enum { PLATFORM_CACHE_LINE = 64, PLATFORM_LARGE_PAGE = 2 << 20 };

/* Uninitialised memory for platform_free, not for free(). `alignment`: one of the two above; `bytes`: a multiple of it. Null:
 * there is none. */
void *platform_allocate(size_t bytes, size_t alignment);
void platform_free(void *memory); /* null is allowed */

/* Bytes that this process could still fill without the system's swapping, those of files that it would drop among them, within what a container
 * allows; INT64_MAX where the system does not say. A moment's figure. */
int64_t platform_memory_available(void);

/* ------------------------------------------------------------------------------------------------- processors and clocks */

/* Processors this process may use, at least 1: what it is allowed to run on, less what a quota on its processor time (a
 * container's; on Linux) leaves unused. */
int32_t platform_processor_count(void);

/* Asks the system for the registers of AMX's tiles, for all threads. False: refused, or there are none. */
bool platform_permit_amx(void);

/* What the system says that an ARM processor has beyond the vectors that every AArch64 has; a sum of bits, 0 on others. */
enum {
  PLATFORM_ARM_DOTPROD = 1, /* dot products of four bytes, FEAT_DotProd */
  PLATFORM_ARM_I8MM = 2     /* products of 2 x 8 by 8 x 2 bytes, FEAT_I8MM */
};
uint32_t platform_arm_features(void);

/* Nanoseconds since some moment; never goes back. */
int64_t platform_now(void);

/* ---------------------------------------------------------------------------------------------------------------- threads */

typedef struct platform_thread platform_thread;
typedef struct platform_mutex platform_mutex;
typedef struct platform_condition platform_condition;

/* Starts run(argument) on a new thread that takes no signals, so that the process's handlers (a Java machine's among them) run on
 * its own threads. Returns null, or why the system refused: text that holds until the calling thread's next call of this
 * function. */
const char *platform_thread_start(void (*run)(void *), void *argument, platform_thread **out);
/* Waits for its end and frees it. */
void platform_thread_join(platform_thread *thread);

platform_mutex *platform_mutex_new(void); /* null: no memory */
void platform_mutex_free(platform_mutex *mutex); /* null is allowed */
void platform_mutex_lock(platform_mutex *mutex);
void platform_mutex_unlock(platform_mutex *mutex);

platform_condition *platform_condition_new(void); /* null: no memory */
void platform_condition_free(platform_condition *condition); /* null is allowed */
/* Unlocks the mutex, sleeps, locks it again; may wake without cause. */
void platform_condition_wait(platform_condition *condition, platform_mutex *mutex);
void platform_condition_signal(platform_condition *condition); /* one waiting thread */
void platform_condition_broadcast(platform_condition *condition); /* all */

/* Lets another thread run. */
void platform_yield(void);

/* Static; zero is its beginning. */
typedef struct platform_once {
  atomic_int state;
} platform_once;

/* The first caller runs `task`, the others wait for its end. */
void platform_run_once(platform_once *once, void (*task)(void));

#endif
