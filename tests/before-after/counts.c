/*
 * counts: runs the phases of an answer on one or two libdimple and times them; started by the script of the same name.
 *
 *   counts ROUNDS THREADS STEPS MODEL RGB|- IMAGE_TOKEN LIBRARY...
 *
 * RGB is a file with three bytes a pixel of a square picture, which stands before the question's tokens as placeholders IMAGE_TOKEN; - is none.
 * A round loads the model with each library, prefills a prompt with each, and takes STEPS iterations with each: always one after the other, the
 * first one in turns, so that whatever else the machine does meets both. Prints per phase, round and iteration: phase, then of each library
 * nanoseconds of wall time and of processor time. The phases are functions of their own with external names, so that callgrind can tell them
 * apart.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dimple.h"

enum { QUESTION = 32, RESPONSE = 64, MAX_PROMPT = 1024, MAX_LIBRARIES = 2 };

/* The functions of one libdimple. */
typedef struct library {
  const char *(*last_error)(void);
  dimple_status (*load)(const char *, const dimple_model_options *, dimple_model **);
  void (*unload)(dimple_model *);
  dimple_status (*info)(const dimple_model *, dimple_model_info *);
  dimple_status (*grid)(const dimple_model *, int32_t, int32_t, dimple_image_grid *);
  dimple_status (*create)(dimple_model *, const dimple_session_options *, dimple_session **);
  void (*destroy)(dimple_session *);
  dimple_status (*set_prompt)(dimple_session *, const int32_t *, int32_t, const dimple_image *, int32_t);
  dimple_status (*set_response)(dimple_session *, const int32_t *, int32_t);
  dimple_status (*prefill)(dimple_session *);
  void (*defaults)(dimple_decoding *);
  dimple_status (*begin)(dimple_session *, const dimple_decoding *);
  dimple_status (*step)(dimple_session *, dimple_step *);
} library;

/* What to run with a library, and the model and session of the round. */
typedef struct answer {
  library lib;
  const char *path;
  int32_t threads, steps, image_token;
  const uint8_t *rgb;
  int32_t side; /* pixels; 0: no picture */
  dimple_model *model;
  dimple_session *session;
} answer;

static void fail(const char *what, const char *message) {
  fprintf(stderr, "counts: %s: %s\n", what, message);
  exit(1);
}

static void check(const answer *a, dimple_status status) {
  if (status != DIMPLE_OK) fail(a->path, a->lib.last_error());
}

static void find(void *handle, const char *name, void *function) {
  void *found = dlsym(handle, name);
  if (!found) fail(name, dlerror());
  memcpy(function, &found, sizeof found);
}

static library open_library(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) fail(path, dlerror());
  library lib;
  find(handle, "dimple_last_error", &lib.last_error);
  find(handle, "dimple_model_load", &lib.load);
  find(handle, "dimple_model_free", &lib.unload);
  find(handle, "dimple_model_get_info", &lib.info);
  find(handle, "dimple_model_get_image_grid", &lib.grid);
  find(handle, "dimple_session_create", &lib.create);
  find(handle, "dimple_session_free", &lib.destroy);
  find(handle, "dimple_session_set_prompt", &lib.set_prompt);
  find(handle, "dimple_session_set_response", &lib.set_response);
  find(handle, "dimple_session_prefill", &lib.prefill);
  find(handle, "dimple_decoding_defaults", &lib.defaults);
  find(handle, "dimple_session_begin", &lib.begin);
  find(handle, "dimple_session_step", &lib.step);
  return lib;
}

/* A square picture. */
static uint8_t *read_picture(const char *path, int32_t *side) {
  FILE *file = fopen(path, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) fail(path, "cannot be read");
  long size = ftell(file);
  rewind(file);
  uint8_t *rgb = malloc((size_t)size);
  if (!rgb || fread(rgb, 1, (size_t)size, file) != (size_t)size) fail(path, "cannot be read");
  fclose(file);
  *side = (int32_t)lround(sqrt((double)size / 3));
  return rgb;
}

void phase_load(answer *a);
void phase_prefill(answer *a);
void phase_step(answer *a);

void phase_load(answer *a) { check(a, a->lib.load(a->path, &(dimple_model_options){.threads = a->threads}, &a->model)); }

static void open_session(answer *a) {
  dimple_model_info info;
  check(a, a->lib.info(a->model, &info));
  int32_t prompt[MAX_PROMPT], response[RESPONSE], count = 0;
  if (a->side) {
    dimple_image_grid grid;
    check(a, a->lib.grid(a->model, a->side, a->side, &grid));
    if (grid.tokens + QUESTION > MAX_PROMPT) fail(a->path, "the picture takes too many tokens");
    while (count < grid.tokens) prompt[count++] = a->image_token;
  }
  for (int32_t i = 0; i < QUESTION; i++) prompt[count++] = (i * 37 + 11) % 256;
  for (int32_t i = 0; i < RESPONSE; i++) response[i] = info.mask_token_id;
  check(a, a->lib.create(a->model, &(dimple_session_options){.threads = a->threads, .prefill = 1}, &a->session));
  check(a, a->lib.set_prompt(a->session, prompt, count, &(dimple_image){a->rgb, a->side, a->side, 3 * (int64_t)a->side}, a->side ? 1 : 0));
  check(a, a->lib.set_response(a->session, response, RESPONSE));
}

void phase_prefill(answer *a) {
  open_session(a);
  check(a, a->lib.prefill(a->session));
}

/* Dream's pipeline takes exactly as many iterations as it is told. */
static void begin(answer *a) {
  dimple_decoding decoding;
  a->lib.defaults(&decoding);
  decoding.pipeline = DIMPLE_PIPELINE_DREAM;
  decoding.steps = a->steps;
  check(a, a->lib.begin(a->session, &decoding));
}

void phase_step(answer *a) {
  dimple_step step;
  check(a, a->lib.step(a->session, &step));
}

static int64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

typedef struct phase {
  const char *name;
  void (*volatile run)(answer *); /* volatile, so that no compiler puts a phase into its caller */
} phase;

static void measure(const phase *p, answer *answers, int count, int first) {
  int64_t wall[MAX_LIBRARIES], processor[MAX_LIBRARIES];
  for (int turn = 0; turn < count; turn++) {
    int i = (first + turn) % count;
    wall[i] = nanoseconds(CLOCK_MONOTONIC);
    processor[i] = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    p->run(&answers[i]);
    processor[i] = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor[i];
    wall[i] = nanoseconds(CLOCK_MONOTONIC) - wall[i];
  }
  printf("%s", p->name);
  for (int i = 0; i < count; i++) printf(" %lld %lld", (long long)wall[i], (long long)processor[i]);
  printf("\n");
}

static void run_round(answer *answers, int count, int round) {
  static const phase load = {"load", phase_load}, prefill = {"prefill", phase_prefill}, step = {"step", phase_step};
  measure(&load, answers, count, round);
  measure(&prefill, answers, count, round);
  for (int i = 0; i < count; i++) begin(&answers[i]);
  for (int i = 0; i < answers->steps; i++) measure(&step, answers, count, round + i);
  for (int i = 0; i < count; i++) {
    answers[i].lib.destroy(answers[i].session);
    answers[i].lib.unload(answers[i].model);
  }
}

int main(int argc, char **argv) {
  int count = argc - 7;
  if (count < 1 || count > MAX_LIBRARIES) fail("usage", "counts ROUNDS THREADS STEPS MODEL RGB|- IMAGE_TOKEN LIBRARY...");
  answer answers[MAX_LIBRARIES];
  int32_t side = 0;
  uint8_t *rgb = strcmp(argv[5], "-") == 0 ? NULL : read_picture(argv[5], &side);
  for (int i = 0; i < count; i++)
    answers[i] = (answer){.lib = open_library(argv[7 + i]), .threads = atoi(argv[2]), .steps = atoi(argv[3]), .path = argv[4],
                          .rgb = rgb, .side = side, .image_token = atoi(argv[6])};
  for (int round = 0; round < atoi(argv[1]); round++) run_round(answers, count, round);
  free(rgb);
  return 0;
}
