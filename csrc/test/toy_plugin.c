/* A library of devices as libdimple-ggml is one, for tests of what loads such libraries: `ref` under several names, which has little memory, computes
 * wrongly, or is lost in the middle of a pass. */
#include <stdio.h>
#include <string.h>

#include "backend/plugin.h"
#include "error.h"

extern const backend_operations backend_ref;

enum { ROOMY, SMALL, WRONG, LOST, COMMON, LOCAL, MOST = 16 };

static backend_operations tables[MOST];
static plugin_device devices[MOST];
static char names[MOST][64];
static plugin_devices offer = {.devices = devices};
static const plugin_host *core;

static dimple_status fail(dimple_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  core->fail(status, format, arguments);
  va_end(arguments);
  return status;
}

static dimple_status wrong_attention(context *c, const attention_call *call) {
  attention_call other = *call;
  other.scale = call->scale > 0 ? 2 * call->scale : 1;
  return backend_ref.attention(c, &other);
}

/* Rows have nothing of their own. */
static dimple_status common_head(context *c, const head_call *call) {
  head_call other = *call;
  head_bias bias = call->bias ? *call->bias : (head_bias){0};
  bias.row_first = NULL;
  if (call->bias) other.bias = &bias;
  return backend_ref.head(c, &other);
}

/* Passes end well until there is a softmax to compute over more than 97 keys, which the self-check has not. */
static _Thread_local bool lost;

static dimple_status losing_attention(context *c, const attention_call *call) {
  lost |= call->k.rows > 97;
  return backend_ref.attention(c, call);
}

static dimple_status losing_pass_end(context *c, dimple_status recorded) {
  dimple_status status = backend_ref.pass_end(c, recorded);
  return status == DIMPLE_OK && lost ? fail(DIMPLE_ERROR_IO, "device toy:lost is lost: somebody pulled the plug") : status;
}

static dimple_status memory(const backend_operations *operations, int64_t *free, int64_t *total) {
  *total = (int64_t)1 << 40;
  *free = operations == &tables[SMALL] ? (int64_t)270 << 20 : (int64_t)1 << 39;
  return DIMPLE_OK;
}

static void add(const char *name) {
  snprintf(names[offer.count], sizeof names[0], "%s", name);
  tables[offer.count] = backend_ref;
  tables[offer.count].name = names[offer.count];
  devices[offer.count] = (plugin_device){&tables[offer.count], "a toy", false};
  offer.count++;
}

/* Servers at port 1 do not answer, those at 2 have two devices. */
static dimple_status add_remote(const char *endpoint) {
  char name[64];
  if (strcmp(endpoint, "toy:1") == 0) return fail(DIMPLE_ERROR_IO, "%s gives no answer", endpoint);
  for (int32_t i = LOCAL; i < offer.count; i++)
    if (strncmp(names[i] + 4, endpoint, strlen(endpoint)) == 0) return DIMPLE_OK;
  for (int32_t i = 0; i < 2; i++) {
    snprintf(name, sizeof name, "rpc:%s/%d", endpoint, i);
    add(name);
  }
  return DIMPLE_OK;
}

/* Of its devices one can be lent. */
static dimple_status add_child(const char *device) {
  if (strcmp(device, "toy:lost") == 0) return fail(DIMPLE_ERROR_IO, "child:%s: it does not start", device);
  for (int32_t i = LOCAL; i < offer.count; i++)
    if (strncmp(names[i], "child:", 6) == 0) return DIMPLE_OK;
  if (strcmp(device, "toy:roomy") == 0) add("child:toy:roomy");
  return DIMPLE_OK;
}

DIMPLE_API const plugin_devices *dimple_plugin_open(const plugin_host *host);

const plugin_devices *dimple_plugin_open(const plugin_host *host) {
  if (host->version != PLUGIN_VERSION) return NULL;
  core = host;
  add("toy:roomy");
  add("toy:small");
  add("toy:wrong");
  add("toy:lost");
  add("toy:common");
  tables[COMMON].head = common_head;
  tables[WRONG].attention = wrong_attention;
  tables[LOST].attention = losing_attention;
  tables[LOST].pass_end = losing_pass_end;
  offer.memory = memory;
  offer.add_remote = add_remote;
  offer.add_child = add_child;
  return &offer;
}
