/*
 * dimple-bench-passes MODEL.gguf BACKEND DECODINGS: decodes 48 positions behind a prompt of 24 tokens in 24 steps, in a new session each time, and
 * prints what a pass takes: milliseconds, and milliseconds of the process's processors, the least and the median of the decodings.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dimple.h"
#include "platform/platform.h"

enum { PROMPT = 24, RESPONSE = 48, MOST_DECODINGS = 1000 };

static double now(void) { return (double)platform_now() / 1e6; }

static double spent(void) { return (double)clock() * 1e3 / CLOCKS_PER_SEC; }

static void check(dimple_status status) {
  if (status == DIMPLE_OK) return;
  fprintf(stderr, "dimple-bench-passes: %s\n", dimple_last_error());
  exit(1);
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* A decoding in a session of its own: what a pass takes by each clock. */
static void decode(dimple_model *model, int32_t mask, double *wall, double *processor) {
  int32_t prompt[PROMPT], response[RESPONSE];
  dimple_session *session;
  dimple_decoding decoding;
  dimple_step step = {.done = 0};
  for (int32_t i = 0; i < PROMPT; i++) prompt[i] = 5 + i;
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = mask;
  dimple_decoding_defaults(&decoding);
  decoding.threshold = 0;
  decoding.steps = 24;
  check(dimple_session_create(model, &(dimple_session_options){.threads = 1, .prefill = 1}, &session));
  check(dimple_session_set_prompt(session, prompt, PROMPT, NULL, 0));
  check(dimple_session_set_response(session, response, RESPONSE));
  double start = now(), before = spent();
  check(dimple_session_begin(session, &decoding));
  while (!step.done) check(dimple_session_step(session, &step));
  *wall = (now() - start) / step.forward_passes;
  *processor = (spent() - before) / step.forward_passes;
  dimple_session_free(session);
}

int main(int argc, char **argv) {
  static double wall[MOST_DECODINGS], processor[MOST_DECODINGS];
  int32_t count = argc == 4 ? atoi(argv[3]) : 0;
  dimple_model *model;
  dimple_model_info info;
  if (count < 1 || count > MOST_DECODINGS) {
    fprintf(stderr, "usage: dimple-bench-passes MODEL.gguf BACKEND DECODINGS (1 to %d)\n", MOST_DECODINGS);
    return 2;
  }
  check(dimple_model_load(argv[1], &(dimple_model_options){.backend = argv[2], .threads = 1}, &model));
  check(dimple_model_get_info(model, &info));
  for (int32_t i = 0; i < count; i++) decode(model, info.mask_token_id, &wall[i], &processor[i]);
  qsort(wall, (size_t)count, sizeof *wall, by_size);
  qsort(processor, (size_t)count, sizeof *processor, by_size);
  printf("%s: a pass takes %.3f ms, the median %.3f; of processors %.3f, the median %.3f\n", info.backend, wall[0], wall[count / 2], processor[0],
         processor[count / 2]);
  dimple_model_free(model);
  return 0;
}
