#include "backend/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "platform/platform.h"

static const plugin_devices none;
static const plugin_devices *found = &none;

static const plugin_host host = {.version = PLUGIN_VERSION, .fail = dimple_fail_with};

/* DIMPLE_GGML names the library; otherwise it lies beside this one, or where the system looks for libraries. */
static void *open_library(void) {
  const char *named = getenv("DIMPLE_GGML");
  if (named && *named) return platform_library_open(named);
  char path[4096];
  platform_library_beside("dimple-ggml", path, sizeof path);
  void *library = platform_library_open(path);
  const char *end = strrchr(path, '/');
  end = end ? end : strrchr(path, '\\');
  return library || !end ? library : platform_library_open(end + 1);
}

static void load(void) {
  void *library = open_library();
  void (*function)(void) = library ? platform_library_function(library, "dimple_plugin_open") : NULL;
  const plugin_devices *offered = function ? ((plugin_open)function)(&host) : NULL;
  if (offered) found = offered;
}

const plugin_devices *plugin_find(void) {
  static platform_once once;
  platform_run_once(&once, load);
  return found;
}
