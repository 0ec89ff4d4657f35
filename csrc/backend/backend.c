#include "backend/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/devices.h"
#include "error.h"
#include "platform/platform.h"

static const char cpu_prefix[] = "cpu-";

static bool is_cpu(const backend_operations *b) { return strncmp(b->name, cpu_prefix, sizeof cpu_prefix - 1) == 0; }

/* The names of the backends this machine can run, separated by commas; `only_cpu` leaves out the others and the prefix. */
static void list_names(char *target, size_t capacity, bool only_cpu, const backend_operations *selected) {
  size_t used = 0;
  target[0] = '\0';
  for (const backend_operations *const *b = backend_list; *b; b++) {
    if (!(*b)->available() || (only_cpu && !is_cpu(*b))) continue;
    int written = snprintf(target + used, capacity - used, "%s%s%s", used ? ", " : "",
                           (*b)->name + (only_cpu ? sizeof cpu_prefix - 1 : 0), *b == selected ? " (selected)" : "");
    if (written < 0 || (size_t)written >= capacity - used) return;
    used += (size_t)written;
  }
}

static dimple_status refuse(const char *name) {
  char names[768];
  list_names(names, sizeof names, false, NULL);
  if (backend_is_device(name)) device_add_names(names, sizeof names);
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "backend \"%s\" is not available; this machine offers auto, cpu, %s", name, names);
}

static dimple_status refuse_environment(const char *value) {
  char names[256];
  list_names(names, sizeof names, true, NULL);
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "DIMPLE_CPU=\"%s\" is not available; this machine offers %s", value, names);
}

dimple_status backend_select(const char *name, const backend_operations **out) {
  bool any = !name || strcmp(name, "auto") == 0;
  bool any_cpu = name && strcmp(name, "cpu") == 0;
  const char *environment = any || any_cpu ? getenv("DIMPLE_CPU") : NULL;
  char forced[64];
  if (environment && *environment) {
    snprintf(forced, sizeof forced, "%s%s", cpu_prefix, environment);
    name = forced;
    any = any_cpu = false;
  }
  for (const backend_operations *const *b = backend_list; *b; b++) {
    bool wanted = any || (any_cpu && is_cpu(*b)) || (name && strcmp(name, (*b)->name) == 0);
    if (wanted && (*b)->available()) {
      *out = *b;
      return DIMPLE_OK;
    }
  }
  if (environment && *environment) return refuse_environment(environment);
  *out = NULL;
  if (name && backend_is_device(name)) DIMPLE_TRY(device_find(name, out));
  if (*out) return DIMPLE_OK;
  return refuse(name ? name : "auto");
}

#if defined(__x86_64__)
#define ARCHITECTURE "x86-64"
#elif defined(__aarch64__)
#define ARCHITECTURE "aarch64"
#else
#define ARCHITECTURE "cpu"
#endif

static char description[256];

static void describe(void) {
  const backend_operations *selected = NULL;
  if (backend_select("cpu", &selected) != DIMPLE_OK) selected = NULL;
  char names[200];
  list_names(names, sizeof names, true, selected);
  snprintf(description, sizeof description, ARCHITECTURE ": %s", names);
}

const char *dimple_cpu_description(void) {
  static platform_once once;
  platform_run_once(&once, describe);
  return description;
}

dimple_status dimple_measure_peaks(const char *name, int32_t threads, dimple_peaks *out) {
  if (!out) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "dimple_measure_peaks: out is null");
  DIMPLE_TRY(dimple_resolve_threads(threads, &threads));
  const backend_operations *ops;
  DIMPLE_TRY(backend_select(name, &ops));
  if (!ops->measure_peaks) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "backend %s: what it does at most is not measured", ops->name);
  context *c;
  DIMPLE_TRY(ops->context_open(ops, threads, &c));
  dimple_status status = ops->measure_peaks(c, out);
  ops->context_close(c);
  return status;
}
