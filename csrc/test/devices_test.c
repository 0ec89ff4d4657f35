/* Devices of a library that is loaded, models split over them: names, shares, memory, what crosses, what is lost. The library is toy_plugin. */
#include "backend/devices.h"
#include "backend/split.h"
#include "diffusion/session.h"
#include "error.h"
#include "model/model.h"
#include "test/expect.h"
#include "test/files.h"
#include "test/random_model.h"
#include "test/session_fixture.h"

enum { LONG_RESPONSE = 110 };

static dimple_status load_on(const char *backend, int32_t device_layers, dimple_model **m) {
  char path[64];
  *m = NULL;
  random_model_save(&(model_shape){.context = 256, .layers = 4}, path);
  dimple_status status = dimple_model_load(path, &(dimple_model_options){.backend = backend, .threads = 1, .device_layers = device_layers}, m);
  remove(path);
  return status;
}

static void expect_backend(const char *backend, int32_t device_layers, const char *expected) {
  dimple_model *m;
  dimple_model_info info = {.layer_count = 0};
  EXPECT_OK(load_on(backend, device_layers, &m));
  if (!m) return;
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(strcmp(info.backend, expected) == 0, "%s: %s, expected %s", backend, info.backend, expected);
  dimple_model_free(m);
}

static void expect_refused(const char *backend, int32_t device_layers, dimple_status status, const char *message) {
  dimple_model *m;
  EXPECT_FAILS(load_on(backend, device_layers, &m), status, message);
  EXPECT(!m, "%s", backend);
}

static void layers_are_shared_out(void) {
  expect_backend("ref,cpu-plain", 0, "ref,cpu-plain");
  expect_backend("cpu-plain,toy:roomy", 0, "cpu-plain,toy:roomy");
  expect_backend("toy:roomy", 0, "toy:roomy");
  expect_backend("toy:roomy,ref", 0, "toy:roomy");
  expect_backend("toy:roomy,ref", 4, "toy:roomy");
  expect_backend("toy:roomy,ref", 3, "toy:roomy,ref");
  expect_backend("toy:small,ref", 1, "toy:small,ref");
  expect_backend("rpc:toy:2", 0, "rpc:toy:2/0,rpc:toy:2/1");
  expect_backend("child:toy:roomy", 0, "child:toy:roomy");
  expect_backend("child:toy:roomy,toy:roomy,ref", 3, "child:toy:roomy,toy:roomy,ref");
  expect_backend("rpc:toy:2/1", 0, "rpc:toy:2/1");
  expect_backend("rpc:toy:2,toy:roomy,ref", 3, "rpc:toy:2/0,rpc:toy:2/1,toy:roomy,ref");
}

static void what_is_wrong_is_said(void) {
  expect_refused("toy:roomy", 5, DIMPLE_ERROR_ARGUMENT, "device_layers is 5, expected 0 (as many as fit) to 4");
  expect_refused("toy:roomy", -1, DIMPLE_ERROR_ARGUMENT, "device_layers is -1");
  expect_refused("ref", 1, DIMPLE_ERROR_ARGUMENT, "device_layers is 1, but backend ref is no device");
  expect_refused("toy:roomy,", 0, DIMPLE_ERROR_ARGUMENT, "empty");
  expect_refused("ref,ref", 0, DIMPLE_ERROR_ARGUMENT, "ref is named twice");
  expect_refused("toy:blue", 0, DIMPLE_ERROR_UNSUPPORTED, "toy:small");
  expect_refused("toy:wrong", 0, DIMPLE_ERROR_UNSUPPORTED, "\"attention of few rows\" gives wrong results");
  expect_refused("toy:wrong", 0, DIMPLE_ERROR_UNSUPPORTED, "device toy:wrong is not used"); /* from memory, this time */
  expect_refused("toy:common", 0, DIMPLE_ERROR_UNSUPPORTED, "\"head with changed logits\" gives wrong results");
  expect_refused("child:toy:blue", 0, DIMPLE_ERROR_UNSUPPORTED, "toy:small");
  expect_refused("child:toy:lost", 0, DIMPLE_ERROR_IO, "child:toy:lost: it does not start");
  expect_refused("rpc:toy:1", 0, DIMPLE_ERROR_IO, "toy:1 gives no answer");
}

/* Of a model whose vocabulary alone is larger than what is free. */
static void memory_is_estimated(void) {
  char path[64];
  dimple_model *m = NULL;
  random_model_save(&(model_shape){.context = 256, .layers = 4, .vocab = 120000}, path);
  dimple_model_options options = {.backend = "toy:small", .threads = 1};
  EXPECT_FAILS(dimple_model_load(path, &options, &m), DIMPLE_ERROR_MEMORY, "toy:small: layers 0 to 0 of 4 need");
  EXPECT(strstr(dimple_last_error(), "270 of 1048576 MiB are free"), "%s", dimple_last_error());
  options.device_layers = 3;
  EXPECT_FAILS(dimple_model_load(path, &options, &m), DIMPLE_ERROR_MEMORY, "layers 0 to 2 of 4");
  remove(path);
}

/* With toy:small of 270 MiB, of which 256 are for passes, and layers whose keys and values take some: as many as fit. */
static void as_many_as_fit(void) {
  char path[64];
  dimple_model *m = NULL;
  dimple_model_info info;
  random_model_save(&(model_shape){.context = 256, .layers = 100}, path);
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = "toy:small,ref", .threads = 1}, &m));
  remove(path);
  if (!m) return;
  EXPECT_OK(dimple_model_get_info(m, &info));
  EXPECT(strcmp(info.backend, "toy:small,ref") == 0, "%s", info.backend);
  dimple_model_free(m);
}

static void devices_are_listed(void) {
  dimple_device d;
  EXPECT_OK(dimple_get_device(NULL, 0, &d));
  EXPECT(strcmp(d.name, "cpu") == 0 && d.description[0] && !d.problem[0], "%s: %s", d.name, d.problem);
  EXPECT_OK(dimple_get_device(NULL, 2, &d));
  EXPECT(strcmp(d.name, "toy:small") == 0 && d.memory_free == (int64_t)270 << 20 && d.memory_total == (int64_t)1 << 40, "%s", d.name);
  EXPECT_OK(dimple_get_device(NULL, 3, &d));
  EXPECT(strcmp(d.name, "toy:wrong") == 0 && strstr(d.problem, "attention"), "%s: %s", d.name, d.problem);
  EXPECT_FAILS(dimple_get_device(NULL, 6, &d), DIMPLE_ERROR_NOT_FOUND, "device 6");
  EXPECT_OK(dimple_get_device("rpc:toy:2,ref", 1, &d));
  EXPECT(strcmp(d.name, "rpc:toy:2/1") == 0, "%s", d.name);
  EXPECT_OK(dimple_get_device("rpc:toy:2,ref", 2, &d));
  EXPECT(strcmp(d.name, "ref") == 0, "%s", d.name);
  EXPECT_FAILS(dimple_get_device("rpc:toy:1", 0, &d), DIMPLE_ERROR_IO, "toy:1");
  EXPECT_FAILS(dimple_get_device(NULL, -1, &d), DIMPLE_ERROR_ARGUMENT, "negative");
  EXPECT_FAILS(dimple_get_device(NULL, 0, NULL), DIMPLE_ERROR_ARGUMENT, "null");
}

/* ------------------------------------------------------------------------------------------------------------- decoding */

static dimple_session *long_session(const dimple_model *m) {
  int32_t response[LONG_RESPONSE];
  dimple_session *s = open_session((dimple_model *)(uintptr_t)m, 1, 1);
  for (int i = 0; i < LONG_RESPONSE; i++) response[i] = MASK;
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, 5, NULL, 0));
  EXPECT_OK(dimple_session_set_response(s, response, LONG_RESPONSE));
  return s;
}

/* A lost device ends the call, and later ones, with its name; everything can be freed. */
static void a_lost_device_ends_the_call(void) {
  dimple_model *m;
  dimple_step step;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  EXPECT_OK(load_on("toy:roomy,toy:lost,ref", 3, &m));
  if (!m) return;
  dimple_session *s = long_session(m);
  EXPECT_OK(dimple_session_begin(s, &d));
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_IO, "device toy:lost is lost");
  EXPECT_FAILS(dimple_session_step(s, &step), DIMPLE_ERROR_IO, "device toy:lost is lost");
  dimple_session_free(s);
  dimple_model_free(m);
}

/* One run of each part a pass, and over the border go the rows of the residual stream, besides angles once. */
static void little_crosses(void) {
  dimple_model *m;
  dimple_decoding d = decoding_of(0, DIMPLE_ALGORITHM_MASKGIT_PLUS);
  dimple_step step = {.done = 0};
  dimple_model_info info;
  EXPECT_OK(load_on("toy:roomy,ref", 2, &m));
  if (!m) return;
  EXPECT_OK(dimple_model_get_info(m, &info));
  dimple_session *s = long_session(m);
  context *c = s->pass.context;
  EXPECT_OK(dimple_session_begin(s, &d));
  for (int32_t i = 0; i < 6 && !step.done; i++) {
    split_figures before = split_figures_of(c);
    int32_t passes = step.forward_passes;
    EXPECT_OK(dimple_session_step(s, &step));
    split_figures after = split_figures_of(c);
    int64_t ran = step.forward_passes - passes, rows = (after.bytes - before.bytes) / 4 / info.embedding_length;
    EXPECT(after.runs[0] - before.runs[0] == ran, "step %d: %d runs of the first part in %d passes", i, (int)(after.runs[0] - before.runs[0]), (int)ran);
    EXPECT(after.runs[1] - before.runs[1] <= 2 * ran, "step %d: %d runs of the second part", i, (int)(after.runs[1] - before.runs[1]));
    if (i > 1) EXPECT(rows <= ran * (LONG_RESPONSE + 1), "step %d: %d rows crossed", i, (int)rows);
  }
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(int argc, char **argv) {
  if (argc > 1) set_environment("DIMPLE_GGML", argv[1]);
  layers_are_shared_out();
  what_is_wrong_is_said();
  memory_is_estimated();
  as_many_as_fit();
  devices_are_listed();
  a_lost_device_ends_the_call();
  little_crosses();
  return expect_summary("devices");
}
