/* Between GGML and a server: a connection of this library's own, which can be watched and cut. GGML waits for an answer without a limit of time. */
#ifndef DIMPLE_GGML_RELAY_H
#define DIMPLE_GGML_RELAY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Connects to HOST:PORT, or [HOST]:PORT, and listens at a port of 127.0.0.1, which it returns: GGML is told that one, and a thread passes on what
 * comes. -1: it went wrong, and `why` says how. Once per `server` (guard.h). */
int relay_open(int server, const char *endpoint, char *why, size_t capacity);

/* How long nothing has come from the server and nothing has gone to it, in milliseconds. */
long long relay_quiet(int server);

/* Ends the connection, for this reason, and with it the call that waits for an answer. */
void relay_cut(int server, const char *reason);

/* Why the connection has ended; "": it has not, or the one who ended it was GGML. */
void relay_reason(int server, char *reason, size_t capacity);

/* How long a server may be quiet during a call, in milliseconds, from the environment's DIMPLE_RPC_TIMEOUT in seconds; 0: for ever. -1: it is no number. */
long long relay_limit(void);

#ifdef __cplusplus
}
#endif

#endif
