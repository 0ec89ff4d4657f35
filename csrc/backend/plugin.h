/*
 * Backends in libraries of their own, loaded at run time: libdimple-ggml (backend/ggml/), where it was built and GGML is there. Such a library
 * exports one function, dimple_plugin_open.
 */
#ifndef DIMPLE_PLUGIN_H
#define DIMPLE_PLUGIN_H

#include <stdarg.h>

#include "backend/backend.h"

/* Raised with every change of backend.h or of this file: a library of another number is not used. */
enum { PLUGIN_VERSION = 10 };

/* What the core lends to a plugin. */
typedef struct plugin_host {
  int32_t version; /* PLUGIN_VERSION */
  /* dimple_fail: the calling thread's message. */
  dimple_status (*fail)(dimple_status status, const char *format, va_list arguments);
} plugin_host;

/* A device that a plugin offers. */
typedef struct plugin_device {
  const backend_operations *operations; /* its name is the device's: "ggml:Vulkan0" */
  const char *description;              /* as the vendor calls it */
  bool is_processor;                    /* runs on the CPU, in its memory */
} plugin_device;

/* What passes have cost a device since the process began. */
typedef struct plugin_counts {
  int64_t computes;     /* how often it was set to work */
  int64_t graphs_built; /* for passes of new shapes */
  int64_t graphs_kept;  /* that wait for their next pass */
  int64_t bytes_in, bytes_out; /* to and from it, besides weights */
  int64_t fused, spelled_out; /* attentions in the graphs that were built: by the device's fused operation, and by others */
} plugin_counts;

/* What a plugin offers; everything lives until the process ends. */
typedef struct plugin_devices {
  const plugin_device *devices;
  int32_t count;
  /* Free and total memory of a device, in bytes; both 0 where it does not say. Errors: IO (it is lost). */
  dimple_status (*memory)(const backend_operations *operations, int64_t *free, int64_t *total);
  /* Null: they are not counted. Any thread. */
  plugin_counts (*counts)(const backend_operations *operations);
  /* Adds the devices of a machine that serves them ("192.168.0.7:50052") behind the others, as "rpc:192.168.0.7:50052", or with "/0", "/1" behind
   * it if they are several; does nothing where it is known and not lost. Errors: UNSUPPORTED (there is no RPC in this GGML), IO, MEMORY. */
  dimple_status (*add_remote)(const char *endpoint);
  /* The same of a device of this machine ("ggml:Vulkan0") in a process of its own, as "child:ggml:Vulkan0"; adds nothing if there is none of this
   * name. */
  dimple_status (*add_child)(const char *device);
} plugin_devices;

/* The type of `dimple_plugin_open`. Null: the plugin was made for another version of the core. */
typedef const plugin_devices *(*plugin_open)(const plugin_host *host);

/* What the plugin of this process offers, loaded at the first call; no devices where there is none. Any thread. */
const plugin_devices *plugin_find(void);

#endif
