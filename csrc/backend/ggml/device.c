/* Devices, contexts and buffers; the library's one exported function. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "room.h"

/* --------------------------------------------------------------------------------------------------------------- errors */

static const plugin_host *core;

/* error.h's functions, by the core's own: the thread's message lies there. */
dimple_status dimple_fail(dimple_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  dimple_status same = core->fail(status, format, arguments);
  va_end(arguments);
  return same;
}

dimple_status dimple_fail_memory(uint64_t bytes, const char *purpose) {
  return dimple_fail(DIMPLE_ERROR_MEMORY, "cannot allocate %llu bytes for %s", (unsigned long long)bytes, purpose);
}

static _Thread_local char complaint[256];

void forget_complaint(void) { complaint[0] = '\0'; }

const char *last_complaint(void) { return complaint; }

/* GGML writes to standard error unless somebody listens. */
static void listen(enum ggml_log_level level, const char *text, void *nobody) {
  (void)nobody;
  if (level != GGML_LOG_LEVEL_ERROR && level != GGML_LOG_LEVEL_WARN) return;
  snprintf(complaint, sizeof complaint, "%s", text);
  complaint[strcspn(complaint, "\r\n")] = '\0';
}

/* ------------------------------------------------------------------------------------------------------------- contexts */

static bool is_available(void) { return true; }

static bool is_cancelled(void *of) {
  const context *c = of;
  return c->cancelled && atomic_load(c->cancelled);
}

static void *function_of(const device *d, const char *name) { return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(d->handle), name); }

static void context_close(context *c) {
  if (!c) return;
  if (c->allocator) ggml_gallocr_free(c->allocator);
  if (c->stream) ggml_backend_free(c->stream);
  arena_release(&c->copies);
  free(c->operations);
  free(c->inputs);
  free(c->outputs);
  free(c);
}

static dimple_status context_open(const backend_operations *self, int32_t threads, context **out) {
  const device *d = (const device *)(const void *)self;
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  c->device = d;
  forget_complaint();
  c->stream = ggml_backend_dev_init(d->handle, NULL);
  c->allocator = c->stream ? ggml_gallocr_new(ggml_backend_dev_buffer_type(d->handle)) : NULL;
  if (!c->allocator) {
    context_close(c);
    return dimple_fail(DIMPLE_ERROR_IO, "%s cannot be opened%s%s", d->name, *complaint ? ": " : "", complaint);
  }
  ggml_backend_set_n_threads_t set_threads = (ggml_backend_set_n_threads_t)function_of(d, "ggml_backend_set_n_threads");
  if (set_threads) set_threads(c->stream, threads);
  ggml_backend_set_abort_callback_t set_abort = (ggml_backend_set_abort_callback_t)function_of(d, "ggml_backend_set_abort_callback");
  if (set_abort) set_abort(c->stream, is_cancelled, c);
  *out = c;
  return DIMPLE_OK;
}

static int64_t context_bytes(const context *c) {
  return (int64_t)sizeof *c + c->operation_room * (int64_t)sizeof *c->operations + (int64_t)ggml_gallocr_get_buffer_size(c->allocator, 0);
}

static void buffer_free(context *c, buffer *b) {
  (void)c;
  if (!b) return;
  if (b->memory) ggml_backend_buffer_free(b->memory);
  free(b);
}

static dimple_status buffer_alloc(context *c, int64_t count, buffer **out) {
  if (count < 0 || (uint64_t)count > SIZE_MAX / sizeof(float) - 64) return dimple_fail_memory(SIZE_MAX, "activations");
  buffer *b = calloc(1, sizeof *b);
  if (!b) return dimple_fail_memory(sizeof *b, "activations");
  b->count = count > 0 ? count : 1;
  forget_complaint();
  b->memory = ggml_backend_buft_alloc_buffer(ggml_backend_dev_buffer_type(c->device->handle), (size_t)b->count * sizeof(float));
  if (!b->memory) {
    buffer_free(c, b);
    return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: cannot allocate %llu bytes for activations%s%s", c->device->name,
                       (unsigned long long)count * sizeof(float), *complaint ? ": " : "", complaint);
  }
  *out = b;
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- devices */

enum { MOST_DEVICES = 64 };

static device devices[MOST_DEVICES];
static plugin_device offered[MOST_DEVICES];
static plugin_devices offer = {.devices = offered};

static const device *known_device(ggml_backend_dev_t handle) {
  for (int32_t i = 0; i < offer.count; i++)
    if (devices[i].handle == handle) return &devices[i];
  return NULL;
}

static void add_device(ggml_backend_dev_t handle) {
  enum ggml_backend_dev_type type = ggml_backend_dev_type(handle);
  bool runs_all = type == GGML_BACKEND_DEVICE_TYPE_CPU || type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
  if (!runs_all || offer.count == MOST_DEVICES || known_device(handle)) return;
  device *d = &devices[offer.count];
  d->handle = handle;
  snprintf(d->name, sizeof d->name, "ggml:%s", ggml_backend_dev_name(handle));
  d->operations = (backend_operations){
      .name = d->name,
      .available = is_available,
      .weight_upload = ggml_room_weight_upload,
      .weight_free = ggml_room_weight_free,
      .weight_bytes = ggml_room_weight_bytes,
      .context_open = context_open,
      .context_close = context_close,
      .context_bytes = context_bytes,
      .buffer_alloc = buffer_alloc,
      .buffer_free = buffer_free,
  };
  record_operations(&d->operations);
  offered[offer.count] = (plugin_device){&d->operations, ggml_backend_dev_description(handle), type == GGML_BACKEND_DEVICE_TYPE_CPU};
  offer.count++;
}

static void memory_of(const backend_operations *table, int64_t *free_bytes, int64_t *total_bytes) {
  size_t left = 0, all = 0;
  ggml_backend_dev_memory(((const device *)(const void *)table)->handle, &left, &all);
  *free_bytes = (int64_t)left;
  *total_bytes = (int64_t)all;
}

typedef ggml_backend_reg_t (*add_server)(const char *endpoint);

static dimple_status add_remote(const char *endpoint) {
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  add_server add = rpc ? (add_server)ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server") : NULL;
  if (!add) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "this GGML has no RPC backend");
  forget_complaint();
  ggml_backend_reg_t server = add(endpoint);
  if (!server || ggml_backend_reg_dev_count(server) == 0)
    return dimple_fail(DIMPLE_ERROR_IO, "%s offers no devices%s%s", endpoint, *complaint ? ": " : "", complaint);
  for (size_t i = 0; i < ggml_backend_reg_dev_count(server); i++) add_device(ggml_backend_reg_dev_get(server, i));
  return DIMPLE_OK;
}

__attribute__((visibility("default"))) const plugin_devices *dimple_plugin_open(const plugin_host *host);

const plugin_devices *dimple_plugin_open(const plugin_host *host) {
  if (host->version != PLUGIN_VERSION) return NULL;
  core = host;
  ggml_log_set(listen, NULL);
  ggml_backend_load_all();
  offer.memory = memory_of;
  offer.add_remote = add_remote;
  for (size_t i = 0; i < ggml_backend_dev_count(); i++) add_device(ggml_backend_dev_get(i));
  return &offer;
}
