#include "backend/devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/plugin.h"
#include "backend/self_check.h"
#include "error.h"
#include "platform/platform.h"

static const char server_prefix[] = "rpc:", child_prefix[] = "child:";

/* ----------------------------------------------------------------------------------------------------------- self-checks */

/* How the self-check of a device went, once for the process. */
typedef struct verdict {
  const backend_operations *ops;
  dimple_status status;
  char message[256];
} verdict;

enum { MOST_VERDICTS = 256 };

static verdict verdicts[MOST_VERDICTS];
static int32_t verdict_count;

/* Whether the user wants devices even if they compute wrongly: for looking into why they do. */
static bool tries_all(void) {
  const char *untried = getenv("DIMPLE_GGML_UNTRIED");
  return untried && strcmp(untried, "1") == 0;
}

/* A check that the device broke off, because it was lost or is short of memory, says nothing for good. */
static dimple_status check_once(const backend_operations *ops) {
  for (int32_t i = 0; i < verdict_count; i++) {
    if (verdicts[i].ops != ops) continue;
    return verdicts[i].status == DIMPLE_OK ? DIMPLE_OK : dimple_fail(verdicts[i].status, "%s", verdicts[i].message);
  }
  dimple_status status = self_check(ops);
  if ((status == DIMPLE_OK || status == DIMPLE_ERROR_UNSUPPORTED) && verdict_count < MOST_VERDICTS) {
    verdict *v = &verdicts[verdict_count++];
    *v = (verdict){.ops = ops, .status = status};
    if (status != DIMPLE_OK) snprintf(v->message, sizeof v->message, "%s", dimple_last_error());
  }
  return status;
}

/* -------------------------------------------------------------------------------------------------------------- devices */

/* Devices are added by one thread at a time, and looked at by none meanwhile. */
static platform_mutex *adding;

static void make_mutex(void) { adding = platform_mutex_new(); }

static dimple_status lock(void) {
  static platform_once once;
  platform_run_once(&once, make_mutex);
  if (!adding) return dimple_fail_memory(0, "a list of devices");
  platform_mutex_lock(adding);
  return DIMPLE_OK;
}

static void unlock(void) { platform_mutex_unlock(adding); }

/* Of several with a name the last one: those before are lost. */
static const backend_operations *known_device(const char *name) {
  const plugin_devices *plugin = plugin_find();
  for (int32_t i = plugin->count - 1; i >= 0; i--)
    if (strcmp(plugin->devices[i].operations->name, name) == 0) return plugin->devices[i].operations;
  return NULL;
}

/* "HOST:PORT" of a name "rpc:HOST:PORT" or "rpc:HOST:PORT/1". */
static dimple_status add_server_of(const char *name) {
  char endpoint[128];
  const plugin_devices *plugin = plugin_find();
  const char *address = name + sizeof server_prefix - 1;
  snprintf(endpoint, sizeof endpoint, "%.*s", (int)strcspn(address, "/"), address);
  if (!plugin->add_remote)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s needs GGML, but this library finds no libdimple-ggml or no GGML that it works with", name);
  return plugin->add_remote(endpoint);
}

static bool names_server(const char *name) { return strncmp(name, server_prefix, sizeof server_prefix - 1) == 0; }

static bool names_child(const char *name) { return strncmp(name, child_prefix, sizeof child_prefix - 1) == 0; }

static dimple_status find_checked(const char *name, const backend_operations **out) {
  const plugin_devices *plugin = plugin_find();
  if (names_server(name)) DIMPLE_TRY(add_server_of(name));
  if (names_child(name) && plugin->add_child) DIMPLE_TRY(plugin->add_child(name + sizeof child_prefix - 1));
  *out = known_device(name);
  return *out && !tries_all() ? check_once(*out) : DIMPLE_OK;
}

dimple_status device_find(const char *name, const backend_operations **out) {
  *out = NULL;
  DIMPLE_TRY(lock());
  dimple_status status = find_checked(name, out);
  unlock();
  return status;
}

bool is_plugin_device(const backend_operations *ops) {
  if (!backend_is_device(ops->name) || lock() != DIMPLE_OK) return false;
  const plugin_devices *plugin = plugin_find();
  bool found = false;
  for (int32_t i = 0; i < plugin->count; i++) found |= plugin->devices[i].operations == ops;
  unlock();
  return found;
}

dimple_status device_memory(const backend_operations *ops, int64_t *free, int64_t *total) {
  *free = *total = 0;
  return is_plugin_device(ops) ? plugin_find()->memory(ops, free, total) : DIMPLE_OK;
}

void device_add_names(char *target, size_t capacity) {
  if (lock() != DIMPLE_OK) return;
  const plugin_devices *plugin = plugin_find();
  for (int32_t i = 0; i < plugin->count; i++) {
    size_t used = strlen(target);
    snprintf(target + used, capacity - used, ", %s", plugin->devices[i].operations->name);
  }
  unlock();
}

/* ---------------------------------------------------------------------------------------------------------------- lists */

static dimple_status add(backend_names *list, const backend_operations *ops) {
  for (int32_t i = 0; i < list->count; i++)
    if (list->backends[i] == ops) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "%s is named twice", ops->name);
  if (list->count == DEVICES_MOST) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "more than %d devices are named", DEVICES_MOST);
  list->backends[list->count++] = ops;
  return DIMPLE_OK;
}

static dimple_status add_name(backend_names *list, const char *name) {
  const backend_operations *ops;
  char numbered[160];
  if (!names_server(name) || strchr(name, '/')) {
    DIMPLE_TRY(backend_select(name, &ops));
    return add(list, ops);
  }
  DIMPLE_TRY(device_find(name, &ops));
  if (ops) return add(list, ops);
  for (int32_t i = 0;; i++) { /* its server has several */
    snprintf(numbered, sizeof numbered, "%s/%d", name, i);
    DIMPLE_TRY(device_find(numbered, &ops));
    if (!ops) return i > 0 ? DIMPLE_OK : backend_select(name, &ops);
    DIMPLE_TRY(add(list, ops));
  }
}

dimple_status backends_find(const char *names, backend_names *out) {
  *out = (backend_names){.count = 0};
  if (!names || !strchr(names, ',')) return names ? add_name(out, names) : backend_select(NULL, &out->backends[out->count++]);
  for (const char *at = names;; at++) {
    char name[128];
    size_t length = strcspn(at, ",");
    if (length == 0 || length >= sizeof name) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "\"%s\" is no list of backends: one of its names is %s", names, length ? "too long" : "empty");
    snprintf(name, sizeof name, "%.*s", (int)length, at);
    DIMPLE_TRY(add_name(out, name));
    at += length;
    if (!*at) return DIMPLE_OK;
  }
}

/* -------------------------------------------------------------------------------------------------------------- listing */

/* The `index`-th of this machine, of those with one name the last. Null: there are fewer. */
static const plugin_device *device_at(int64_t index) {
  const plugin_devices *plugin = plugin_find();
  for (int32_t i = 0; i < plugin->count; i++) {
    const char *name = plugin->devices[i].operations->name;
    if (known_device(name) != plugin->devices[i].operations || names_server(name) || names_child(name)) continue;
    if (index-- == 0) return &plugin->devices[i];
  }
  return NULL;
}

static const plugin_device *device_with(const backend_operations *ops) {
  const plugin_devices *plugin = plugin_find();
  for (int32_t i = 0; i < plugin->count; i++)
    if (plugin->devices[i].operations == ops) return &plugin->devices[i];
  return NULL;
}

static void describe_processor(const char *name, dimple_device *out) {
  snprintf(out->name, sizeof out->name, "%s", name);
  snprintf(out->description, sizeof out->description, "%s", dimple_cpu_description());
}

static void describe_device(const plugin_device *device, dimple_device *out) {
  snprintf(out->name, sizeof out->name, "%s", device->operations->name);
  snprintf(out->description, sizeof out->description, "%s", device->description);
  dimple_status status = check_once(device->operations);
  if (status == DIMPLE_OK) status = plugin_find()->memory(device->operations, &out->memory_free, &out->memory_total);
  if (status != DIMPLE_OK) snprintf(out->problem, sizeof out->problem, "%s", dimple_last_error());
}

static dimple_status fail_past_last(int64_t index) {
  return dimple_fail(DIMPLE_ERROR_NOT_FOUND, "there is no device %lld", (long long)index);
}

static dimple_status describe_named(const char *names, int64_t index, dimple_device *out) {
  backend_names list;
  DIMPLE_TRY(backends_find(names, &list));
  if (index >= list.count) return fail_past_last(index);
  const backend_operations *ops = list.backends[index];
  DIMPLE_TRY(lock());
  const plugin_device *device = device_with(ops);
  if (device)
    describe_device(device, out);
  else
    describe_processor(ops->name, out);
  unlock();
  return DIMPLE_OK;
}

dimple_status dimple_get_device(const char *names, int64_t index, dimple_device *device) {
  if (!device || index < 0) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_get_device: %s", device ? "the index is negative" : "device is null");
  dimple_device found = {.memory_free = 0};
  if (names) {
    DIMPLE_TRY(describe_named(names, index, &found));
  } else if (index == 0) {
    describe_processor("cpu", &found);
  } else {
    DIMPLE_TRY(lock());
    const plugin_device *other = device_at(index - 1);
    if (other) describe_device(other, &found);
    unlock();
    if (!other) return fail_past_last(index);
  }
  *device = found;
  return DIMPLE_OK;
}
