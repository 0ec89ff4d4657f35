/* Where GGML would end the process, a call ends instead. */
#ifndef DIMPLE_GGML_GUARD_H
#define DIMPLE_GGML_GUARD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a guarded call went. */
typedef enum guard_end {
  GUARD_RETURNED, /* `body` did */
  GUARD_MEMORY,   /* there was none for what GGML keeps on the host */
  GUARD_FAILED,   /* GGML gave up, for the reason that `why` says: what it was working on must not be used again */
  GUARD_LEFT      /* the same, and the call was left behind: it waits in GGML for ever, and `argument` itself must stay */
} guard_end;

/* Servers, each with a thread that calls are made on. */
enum { GUARD_SERVERS = 256, GUARD_NO_SERVER = -1 };

/* Takes over GGML's abort. Once, before anything else. */
void guard_install(void);

/*
 * Runs body(argument). GGML gives up by aborting (CUDA's errors, a server that gives no answer) or by an exception (Vulkan's lost device): either
 * unwinds GGML's frames, which lets go of what they hold, up to here, if it happens on the thread that called it.
 *
 * GGML's connections to servers have threads of their own, which abort on their own, and whoever waits for them then waits for ever. So calls to a
 * server are made on a thread for it, one after the other; when its connection's thread aborts, that is put to sleep, and the call that waits is
 * left behind: two threads of the process, and what they hold, are lost with each server.
 *
 * What other threads of GGML's give up on (those that compute on a processor), and what a driver kills, ends the process that the device is in:
 * child.h has one for it alone.
 */
guard_end guard_run(int server, void (*body)(void *), void *argument, char *why, size_t capacity);

/* A millisecond, for who waits for another thread without anything to be woken by. */
void guard_rest(void);

#ifdef __cplusplus
}
#endif

#endif
