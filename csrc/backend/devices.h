/* Devices that libraries of their own bring (plugin.h), and lists of backends with them. */
#ifndef DIMPLE_DEVICES_H
#define DIMPLE_DEVICES_H

#include "backend/backend.h"

enum { DEVICES_MOST = 16 };

/* Backends in an order. */
typedef struct backend_names {
  const backend_operations *backends[DEVICES_MOST];
  int32_t count;
} backend_names;

/* The device that a name with a colon names: "ggml:Vulkan0", "child:ggml:Vulkan0" for the same in a process of its own, which is started then, or
 * "rpc:HOST:PORT" for the only one of a server, which is looked for then; with "/0", "/1" and so on behind it for one of several. It has passed
 * self_check. *out is null if there is none. Errors: ARGUMENT (no HOST:PORT), IO (no answer), UNSUPPORTED (wrong results, or there is no RPC), MEMORY. */
dimple_status device_find(const char *name, const backend_operations **out);

/* Whether a backend is a device, and not one of this library's own. */
bool is_plugin_device(const backend_operations *ops);

/* Its free and total memory in bytes, 0 where it does not say. Errors: IO (it is lost). */
dimple_status device_memory(const backend_operations *ops, int64_t *free, int64_t *total);

/* Adds the names of all devices to a text, each behind ", ". */
void device_add_names(char *target, size_t capacity);

/* What names with commas between them name, each as backend_select has it; "rpc:HOST:PORT" stands for all devices of a server. Null: "auto". Errors:
 * as device_find and backend_select; ARGUMENT (an empty name, one that comes twice, too many). */
dimple_status backends_find(const char *names, backend_names *out);

#endif
