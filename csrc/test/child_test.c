/*
 * GGML's CPU in a process of its own, which ends in the middle of passes as by a crash, an assertion of GGML's or a lack of memory: an error with its
 * name each time, this process lives, and the next model gets a new one. Where libdimple-ggml is.
 */
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/plugin.h"
#include "test/session_fixture.h"

enum { KILLS = 20, LOGITS = (PROMPT + RESPONSE) * VOCAB };

static const char device[] = "child:ggml:CPU";

/* The processes of dimple-ggml-server that this one has, those that have ended and were not waited for included; the last of them. */
static int count_children(pid_t *last) {
  DIR *processes = opendir("/proc");
  int count = 0;
  for (struct dirent *entry; processes && (entry = readdir(processes));) {
    char path[300], name[64];
    int process, parent;
    snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
    FILE *file = fopen(path, "r");
    if (!file) continue;
    if (fscanf(file, "%d (%63[^)]) %*c %d", &process, name, &parent) == 3 && parent == (int)getpid() && strncmp(name, "dimple-ggml", 11) == 0) {
      *last = process;
      count++;
    }
    fclose(file);
  }
  if (processes) closedir(processes);
  return count;
}

static dimple_model *load(const char *path, const char *backend) {
  dimple_model *m = NULL;
  EXPECT_OK(dimple_model_load(path, &(dimple_model_options){.backend = backend, .threads = 1}, &m));
  return m;
}

static dimple_session *open(dimple_model *m) {
  dimple_session *s = open_session(m, 1, 1);
  EXPECT_OK(dimple_session_set_prompt(s, prompt_tokens, PROMPT, NULL, 0));
  set_masks(s, RESPONSE);
  return s;
}

/* A signal that is sent some time from now. */
typedef struct blow {
  pid_t process;
  int signal;
  long nanoseconds;
} blow;

static void *strike(void *of) {
  const blow *b = of;
  nanosleep(&(struct timespec){.tv_nsec = b->nanoseconds}, NULL);
  kill(b->process, b->signal);
  return NULL;
}

static void kill_one(const char *path, int number, const float *expected) {
  static const int signals[] = {SIGKILL, SIGABRT, SIGSEGV};
  static float logits[LOGITS];
  char why[64];
  pthread_t thread;
  pid_t process = -1;
  dimple_model *m = load(path, device);
  if (!m) return;
  dimple_session *s = open(m);
  EXPECT_OK(dimple_session_get_logits(s, logits, LOGITS));
  for (int i = 0; i < LOGITS; i++) EXPECT(fabsf(logits[i] - expected[i]) <= 1e-4f, "logit %d is %g, expected %g", i, (double)logits[i], (double)expected[i]);
  int children = count_children(&process);
  EXPECT(children == 1, "%d processes", children);
  if (children != 1) return;
  blow b = {process, signals[number % 3], number * 700000L};
  snprintf(why, sizeof why, "its process was ended by signal %d", b.signal);
  EXPECT(pthread_create(&thread, NULL, strike, &b) == 0, "no thread");
  dimple_status status = DIMPLE_OK;
  while (status == DIMPLE_OK) status = dimple_session_get_logits(s, logits, LOGITS);
  EXPECT(status == DIMPLE_ERROR_IO && strstr(dimple_last_error(), "device child:ggml:CPU is lost"), "%d: %s", (int)status, dimple_last_error());
  EXPECT(strstr(dimple_last_error(), why), "%s, expected %s", dimple_last_error(), why);
  pthread_join(thread, NULL);
  EXPECT_FAILS(dimple_session_get_logits(s, logits, LOGITS), DIMPLE_ERROR_IO, "is lost");
  EXPECT(count_children(&process) == 0, "it was not waited for");
  dimple_session_free(s);
  dimple_model_free(m);
}

int main(int argc, char **argv) {
  int kills = argc > 1 ? atoi(argv[1]) : KILLS;
  char path[64];
  static float expected[LOGITS];
  if (!plugin_find()->add_child) {
    printf("child_test: libdimple-ggml is not there, nothing was tested\n");
    return 0;
  }
  random_model_save(&(model_shape){.layers = 8}, path);
  dimple_model *m = load(path, "ggml:CPU"), *other = NULL;
  dimple_session *s = open(m);
  EXPECT_OK(dimple_session_get_logits(s, expected, LOGITS));
  for (int i = 0; i < kills; i++) kill_one(path, i, expected);
  EXPECT_OK(dimple_session_get_logits(s, expected, LOGITS));
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.backend = "child:ggml:none"}, &other), DIMPLE_ERROR_UNSUPPORTED, "ggml:CPU");
  setenv("DIMPLE_GGML_SERVER", "/no/such/program", 1);
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.backend = device}, &other), DIMPLE_ERROR_IO, "/no/such/program cannot be started");
  setenv("DIMPLE_GGML_SERVER", "/bin/false", 1);
  EXPECT_FAILS(dimple_model_load(path, &(dimple_model_options){.backend = device}, &other), DIMPLE_ERROR_IO, "its process ended with status 1");
  dimple_session_free(s);
  dimple_model_free(m);
  remove(path);
  return expect_summary("child_test");
}
