/* Devices of this machine in processes of their own, which a driver that crashes or a kernel that gives up takes with it instead of ours. */
#ifndef DIMPLE_GGML_CHILD_H
#define DIMPLE_GGML_CHILD_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct child child;

/* Starts `dimple-ggml-server`, which lends the device that GGML calls `name` at a port of 127.0.0.1, and waits until it answers; *port is that one.
 * The program lies beside this library, or where the environment's DIMPLE_GGML_SERVER says. It ends with this process. Null: `why` says why not. */
child *child_start(const char *name, int *port, char *why, size_t capacity);

/* Ends it, if it has not ended, waits for that, and puts how it ended before what `why` says. */
void child_end(child *c, char *why, size_t capacity);

#ifdef __cplusplus
}
#endif

#endif
