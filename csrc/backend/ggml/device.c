/* Devices, contexts and buffers; the library's one exported function. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "child.h"
#include "relay.h"
#include "room.h"

/* --------------------------------------------------------------------------------------------------------------- errors */

static const plugin_host *core;

/* What the thread said last, for the thread that called it, where that is another one. */
static _Thread_local char message[512];

/* error.h's functions, by the core's own: the thread's message lies there. */
dimple_status dimple_fail(dimple_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
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

/* --------------------------------------------------------------------------------------------------------------- losing */

/* An entry and how it went. */
typedef struct entered {
  dimple_status (*entry)(void *);
  void *argument;
  dimple_status status;
  char message[sizeof message];
} entered;

static void enter(void *of) {
  entered *e = of;
  e->status = e->entry(e->argument);
  if (e->status != DIMPLE_OK) memcpy(e->message, message, sizeof message);
}

/* Runs an entry under guard. GUARD_RETURNED: *status is the entry's, and its message the thread's. */
static guard_end guard_entry(int server, dimple_status (*entry)(void *), void *argument, dimple_status *status, char *why, size_t capacity) {
  entered *e = calloc(1, sizeof *e); /* stays where a call is left behind */
  if (!e) return GUARD_MEMORY;
  *e = (entered){.entry = entry, .argument = argument};
  guard_end end = guard_run(server, enter, e, why, capacity);
  if (end == GUARD_RETURNED) *status = e->status == DIMPLE_OK ? DIMPLE_OK : dimple_fail(e->status, "%s", e->message);
  if (end != GUARD_LEFT) free(e);
  return end;
}

static dimple_status fail_lost(const device *d) { return dimple_fail(DIMPLE_ERROR_IO, "device %s is lost: %s", d->name, d->why); }

/* Devices live in a static array, written here and where they are added. A process for a device alone is of no use any more. */
static dimple_status lose(device *d, char *why, size_t capacity) {
  if (atomic_exchange(&d->losing, true)) {
    while (!atomic_load(&d->lost)) guard_rest(); /* another call is at it */
  } else {
    if (d->process) child_end(d->process, why, capacity);
    d->process = NULL;
    snprintf(d->why, sizeof d->why, "%s", why);
    atomic_store(&d->lost, true);
  }
  return fail_lost(d);
}

enum { MOST_DEVICES = 256 };

static device devices[MOST_DEVICES];
static device_counts counts[MOST_DEVICES];
static graph_shelf shelves[MOST_DEVICES];
static fused_book books[MOST_DEVICES];

dimple_status on_device(const device *d, dimple_status (*entry)(void *), void *argument) {
  if (atomic_load(&d->lost)) return fail_lost(d);
  dimple_status status = DIMPLE_OK;
  char why[sizeof d->why];
  switch (guard_entry(d->server, entry, argument, &status, why, sizeof why)) {
    case GUARD_RETURNED: return status;
    case GUARD_MEMORY: return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: GGML found no memory on the host", d->name);
    default: return lose(&devices[d - devices], why, sizeof why);
  }
}

void let_go(const device *d, dimple_status (*entry)(void *), void *argument) {
  if (!atomic_load(&d->lost)) on_device(d, entry, argument);
}

/* ------------------------------------------------------------------------------------------------------------- contexts */

static bool is_available(void) { return true; }

static bool is_cancelled(void *of) {
  const context *c = of;
  return c->cancelled && atomic_load(c->cancelled);
}

static void *function_of(const device *d, const char *name) { return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(d->handle), name); }

static dimple_status close_stream(void *of) {
  context *c = of;
  if (c->allocator) ggml_gallocr_free(c->allocator);
  if (c->stream) ggml_backend_free(c->stream);
  return DIMPLE_OK;
}

static void context_close(context *c) {
  if (!c) return;
  drop_class_plans(c);
  let_go(c->device, close_stream, c);
  arena_release(&c->copies);
  free(c->operations);
  free(c->kept);
  free(c->shape.list);
  free(c->buffers);
  free(c);
}

/* A context that is opened for so many threads. */
typedef struct opening {
  context *context;
  int32_t threads;
} opening;

static dimple_status open_stream(void *of) {
  const opening *o = of;
  context *c = o->context;
  const device *d = c->device;
  forget_complaint();
  c->stream = ggml_backend_dev_init(d->handle, NULL);
  c->allocator = c->stream ? ggml_gallocr_new(d->memory) : NULL;
  if (!c->allocator) return dimple_fail(DIMPLE_ERROR_IO, "%s cannot be opened%s%s", d->name, *complaint ? ": " : "", complaint);
  ggml_backend_set_n_threads_t set_threads = (ggml_backend_set_n_threads_t)function_of(d, "ggml_backend_set_n_threads");
  if (set_threads) set_threads(c->stream, o->threads);
  ggml_backend_set_abort_callback_t set_abort = (ggml_backend_set_abort_callback_t)function_of(d, "ggml_backend_set_abort_callback");
  if (set_abort) set_abort(c->stream, is_cancelled, c);
  return DIMPLE_OK;
}

static dimple_status context_open(const backend_operations *self, int32_t threads, context **out) {
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  static atomic_uint_fast64_t contexts;
  c->number = atomic_fetch_add(&contexts, 1) + 1;
  c->device = (const device *)(const void *)self;
  dimple_status status = on_device(c->device, open_stream, &(opening){c, threads});
  if (status == DIMPLE_OK)
    *out = c;
  else
    context_close(c);
  return status;
}

static int64_t context_bytes(const context *c) {
  int64_t intermediates = (int64_t)ggml_gallocr_get_buffer_size(c->allocator, 0);
  return (int64_t)sizeof *c + c->operation_room * (int64_t)sizeof *c->operations + class_plan_bytes(c) + intermediates;
}

static dimple_status free_memory(void *of) {
  ggml_backend_buffer_free(of);
  return DIMPLE_OK;
}

static void buffer_free(context *c, buffer *b) {
  (void)c;
  if (!b) return;
  if (b->memory) let_go(b->device, free_memory, b->memory);
  free(b);
}

static dimple_status take_memory(void *of) {
  buffer *b = of;
  size_t bytes = (size_t)b->count * sizeof(float);
  forget_complaint();
  b->memory = ggml_backend_buft_alloc_buffer(b->device->memory, bytes);
  if (b->memory) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: cannot allocate %zu bytes for activations%s%s", b->device->name, bytes, *complaint ? ": " : "", complaint);
}

static dimple_status buffer_alloc(context *c, int64_t count, buffer **out) {
  if (count < 0 || (uint64_t)count > SIZE_MAX / sizeof(float) - 64) return dimple_fail_memory(SIZE_MAX, "activations");
  buffer *b = calloc(1, sizeof *b);
  if (!b) return dimple_fail_memory(sizeof *b, "activations");
  static atomic_uint_fast64_t buffers;
  *b = (buffer){.device = c->device, .count = count > 0 ? count : 1, .number = atomic_fetch_add(&buffers, 1) + 1};
  dimple_status status = on_device(c->device, take_memory, b);
  if (status == DIMPLE_OK)
    *out = b;
  else
    buffer_free(c, b);
  return status;
}

/* -------------------------------------------------------------------------------------------------------------- devices */

static plugin_device offered[MOST_DEVICES];
static plugin_devices offer = {.devices = offered};

/* Where devices are. */
typedef struct origin {
  const char *name;         /* "rpc:HOST:PORT", "child:ggml:NAME"; null: this machine, each by its own name */
  int server;               /* guard.h */
  ggml_backend_dev_t lent;  /* by a process of ours */
  child *process;
} origin;

/* Adds a device, the `index`-th of `count`. */
static dimple_status add_device(ggml_backend_dev_t handle, const origin *from, size_t index, size_t count) {
  enum ggml_backend_dev_type type = ggml_backend_dev_type(handle);
  bool runs_all = type == GGML_BACKEND_DEVICE_TYPE_CPU || type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
  if (!runs_all) return DIMPLE_OK;
  if (offer.count == MOST_DEVICES) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "there are %d devices already, no more can be added", MOST_DEVICES);
  device *d = &devices[offer.count];
  d->handle = handle;
  d->judge = from->lent ? from->lent : handle;
  d->process = from->process;
  d->counts = &counts[offer.count];
  d->shelf = &shelves[offer.count];
  d->fused = &books[offer.count];
  d->server = from->server;
  if (!from->name)
    snprintf(d->name, sizeof d->name, "ggml:%s", ggml_backend_dev_name(handle));
  else if (count == 1)
    snprintf(d->name, sizeof d->name, "%s", from->name);
  else
    snprintf(d->name, sizeof d->name, "%s/%zu", from->name, index);
  snprintf(d->origin, sizeof d->origin, "%s", from->name ? from->name : "");
  d->memory = ggml_backend_dev_buffer_type(handle);
  if (!d->memory) return dimple_fail(DIMPLE_ERROR_IO, "%s has no memory%s%s", d->name, *complaint ? ": " : "", complaint);
  d->operations = (backend_operations){
      .name = d->name,
      .head_parts = HEAD_LISTS | HEAD_BIASES | HEAD_GUIDANCE | HEAD_COMPARISONS,
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
  const char *description = from->name && !from->lent ? "a device of another machine" : ggml_backend_dev_description(d->judge);
  offered[offer.count] = (plugin_device){&d->operations, description, type == GGML_BACKEND_DEVICE_TYPE_CPU};
  offer.count++;
  return DIMPLE_OK;
}

/* What is asked for the memory of a device. */
typedef struct memory_question {
  const device *device;
  size_t left, all;
} memory_question;

static dimple_status ask_memory(void *of) {
  memory_question *q = of;
  ggml_backend_dev_memory(q->device->handle, &q->left, &q->all);
  return DIMPLE_OK;
}

static dimple_status memory_of(const backend_operations *table, int64_t *free_bytes, int64_t *total_bytes) {
  memory_question q = {.device = (const device *)(const void *)table};
  DIMPLE_TRY(on_device(q.device, ask_memory, &q));
  *free_bytes = (int64_t)q.left;
  *total_bytes = (int64_t)q.all;
  return DIMPLE_OK;
}

static plugin_counts counts_of(const backend_operations *table) {
  const device *d = (const device *)(const void *)table;
  device_counts *n = d->counts;
  return (plugin_counts){.computes = atomic_load(&n->computes), .graphs_built = atomic_load(&n->graphs_built), .graphs_kept = count_graphs(d),
                         .bytes_in = atomic_load(&n->bytes_in), .bytes_out = atomic_load(&n->bytes_out), .fused = atomic_load(&n->fused),
                         .spelled_out = atomic_load(&n->spelled_out)};
}

/* --------------------------------------------------------------------------------------------------------------- servers */

typedef ggml_backend_reg_t (*add_server)(const char *endpoint);

/* A server that is being added. */
typedef struct adding {
  add_server add;
  origin from;
  char name[80];    /* as the user wrote it, */
  char called[32];  /* and as GGML is told */
  bool left; /* GGML still waits with it */
} adding;

static int server_count;

static dimple_status connect_server(void *of) {
  const adding *a = of;
  forget_complaint();
  ggml_backend_reg_t found = a->add(a->called);
  size_t count = found ? ggml_backend_reg_dev_count(found) : 0;
  if (count == 0) return dimple_fail(DIMPLE_ERROR_IO, "%s offers no devices%s%s", a->name, *complaint ? ": " : "", complaint);
  for (size_t i = 0; i < count; i++) {
    ggml_backend_dev_t handle = ggml_backend_reg_dev_get(found, i);
    DIMPLE_TRY(add_device(handle, &a->from, i, count));
    device *d = &devices[offer.count - 1];
    d->registered = found;
    d->held = ggml_backend_buft_alloc_buffer(d->memory, 64);
    if (!d->held) return dimple_fail(DIMPLE_ERROR_MEMORY, "%s has no memory left", a->name);
  }
  return DIMPLE_OK;
}

/* Whether the devices of this name are there: added before, and not lost. */
static bool is_connected(const char *name) {
  for (int32_t i = 0; i < offer.count; i++)
    if (strcmp(devices[i].origin, name) == 0 && !atomic_load(&devices[i].lost)) return true;
  return false;
}

/* HOST:PORT, or [HOST]:PORT where the host is an address with colons. */
static bool is_endpoint(const char *text) {
  const char *colon = strrchr(text, ':'), *host_end;
  char *end;
  if (!colon || colon == text || strlen(text) + sizeof "rpc:" > sizeof devices->origin) return false;
  host_end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
  if (!host_end || (*text == '[' ? host_end + 1 != colon || host_end == text + 1 : host_end != colon)) return false;
  long port = colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : 0;
  return port >= 1 && port <= 65535 && !*end;
}

/* Connects to HOST:PORT, and tells GGML the near end of the connection. */
static dimple_status connect_relayed(adding *a, const char *address) {
  char why[256];
  int port = relay_open(a->from.server, address, why, sizeof why);
  if (port < 0) return dimple_fail(DIMPLE_ERROR_IO, "cannot connect to %s: %s", address, why);
  snprintf(a->called, sizeof a->called, "127.0.0.1:%d", port);
  dimple_status status = DIMPLE_OK;
  switch (guard_entry(a->from.server, connect_server, a, &status, why, sizeof why)) {
    case GUARD_RETURNED: return status;
    case GUARD_MEMORY: return dimple_fail_memory(sizeof *a, "a connection");
    case GUARD_LEFT: a->left = true; break;
    default: break;
  }
  return dimple_fail(DIMPLE_ERROR_IO, "%s gives no answer that GGML understands, so it is no server of its, or of another version: %s", address, why);
}

/* Adds what a server at HOST:PORT lends. */
static dimple_status add_served(add_server add, const origin *from, const char *address) {
  adding *a = calloc(1, sizeof *a);
  if (!a) return dimple_fail_memory(sizeof *a, "a connection");
  *a = (adding){.add = add, .from = *from};
  snprintf(a->name, sizeof a->name, "%s", from->name);
  a->from.name = a->name;
  a->from.server = server_count;
  dimple_status status = connect_relayed(a, address);
  if (*a->called) server_count++; /* a number is given away with its relay */
  if (status != DIMPLE_OK && *a->called) relay_cut(a->from.server, "it was no use");
  if (!a->left) free(a);
  return status;
}

/* GGML's function that adds servers, and that one more can be. */
static dimple_status find_add(const char *name, add_server *out) {
  if (relay_limit() < 0)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "the environment's DIMPLE_RPC_TIMEOUT is \"%s\", expected seconds from 0 to 1000000", getenv("DIMPLE_RPC_TIMEOUT"));
  ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC");
  *out = rpc ? (add_server)ggml_backend_reg_get_proc_address(rpc, "ggml_backend_rpc_add_server") : NULL;
  if (!*out) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "this GGML has no RPC backend, which %s needs", name);
  if (server_count < GUARD_SERVERS) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: this process has had %d connections to servers, no more can be made", name, GUARD_SERVERS);
}

static dimple_status add_remote(const char *endpoint) {
  char name[sizeof devices->origin];
  add_server add;
  if (!is_endpoint(endpoint)) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "\"%s\" is no server, expected HOST:PORT", endpoint);
  snprintf(name, sizeof name, "rpc:%s", endpoint);
  if (is_connected(name)) return DIMPLE_OK;
  DIMPLE_TRY(find_add(name, &add));
  return add_served(add, &(origin){.name = name}, endpoint);
}

static dimple_status add_child(const char *of) {
  char name[sizeof devices->origin], address[32], why[256];
  add_server add;
  int port;
  static const char prefix[] = "ggml:";
  ggml_backend_dev_t lent = strncmp(of, prefix, sizeof prefix - 1) == 0 ? ggml_backend_dev_by_name(of + sizeof prefix - 1) : NULL;
  if (!lent || snprintf(name, sizeof name, "child:%s", of) >= (int)sizeof name) return DIMPLE_OK;
  if (is_connected(name)) return DIMPLE_OK;
  DIMPLE_TRY(find_add(name, &add));
  child *process = child_start(of + sizeof prefix - 1, &port, why, sizeof why);
  if (!process) return dimple_fail(DIMPLE_ERROR_IO, "%s: %s", name, why);
  snprintf(address, sizeof address, "127.0.0.1:%d", port);
  int32_t before = offer.count;
  dimple_status status = add_served(add, &(origin){.name = name, .lent = lent, .process = process}, address);
  if (status == DIMPLE_OK || offer.count > before) return status;
  child_end(process, why, sizeof why);
  return status;
}

DIMPLE_API const plugin_devices *dimple_plugin_open(const plugin_host *host);

const plugin_devices *dimple_plugin_open(const plugin_host *host) {
  if (host->version != PLUGIN_VERSION) return NULL;
  core = host;
  ggml_log_set(listen, NULL);
  guard_install();
  ggml_backend_load_all();
  offer.memory = memory_of;
  offer.counts = counts_of;
  offer.add_remote = add_remote;
  offer.add_child = add_child;
  for (size_t i = 0; i < ggml_backend_dev_count(); i++) add_device(ggml_backend_dev_get(i), &(origin){.server = GUARD_NO_SERVER}, 0, 1);
  return &offer;
}
