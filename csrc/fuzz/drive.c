/*
 * Runs a fuzz target where there is no libFuzzer: TARGET [-runs=N] [-seed=N] [-marks=N] FOLDER... runs every file of the folders, then N
 * mutations of them (of nothing, if they are empty). The same seed runs the same inputs. An input that does not pass is left in last-input.
 * A corpus that comes to less than -marks places of those that its target counts is an error: inputs are read as decisions, so that a decision
 * more makes other inputs of all of them, which may get nowhere.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"

typedef struct input {
  uint8_t *data;
  size_t size;
} input;

typedef struct corpus {
  input *inputs;
  size_t count;
} corpus;

static void *checked(void *memory) {
  if (memory) return memory;
  perror("drive");
  exit(1);
}

static input read_input(const char *path) {
  FILE *file = checked(fopen(path, "rb"));
  struct stat facts;
  if (fstat(fileno(file), &facts) != 0) checked(NULL);
  input i = {checked(malloc((size_t)facts.st_size + 1)), (size_t)facts.st_size};
  if (fread(i.data, 1, i.size, file) != i.size) checked(NULL);
  fclose(file);
  return i;
}

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* In order of names, so that a run can be repeated. */
static void read_folder(const char *folder, corpus *c) {
  struct dirent **names;
  int count = scandir(folder, &names, not_hidden, alphasort);
  if (count < 0) checked(NULL);
  c->inputs = checked(realloc(c->inputs, (c->count + (size_t)count + 1) * sizeof *c->inputs));
  for (int i = 0; i < count; i++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
    c->inputs[c->count++] = read_input(path);
    free(names[i]);
  }
  free(names);
}

static void free_corpus(corpus *c) {
  for (size_t i = 0; i < c->count; i++) free(c->inputs[i].data);
  free(c->inputs);
}

static uint64_t state;

/* splitmix64 */
static uint64_t draw(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

enum { ROOM = 64 };

/* A copy with a few changes of the kinds that find most: bits, bytes, numbers at the edges of their range, pieces cut, doubled, or taken
 * from another input. */
static input mutate(const corpus *c) {
  static const uint64_t edges[] = {0, 1, 127, 128, 255, 256, 32767, 65535, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX};
  input nothing = {NULL, 0}, from = c->count ? c->inputs[draw() % c->count] : nothing;
  input i = {checked(malloc(from.size + ROOM)), from.size};
  if (from.size) memcpy(i.data, from.data, from.size);
  for (uint64_t changes = 1 + draw() % 6; changes > 0; changes--) {
    size_t at = i.size ? draw() % i.size : 0, length = 1 + draw() % 8, behind = i.size - at;
    switch (draw() % 6) {
      case 0: if (i.size) i.data[at] ^= (uint8_t)(1u << draw() % 8); break;
      case 1: if (i.size) i.data[at] = (uint8_t)draw(); break;
      case 2:
        if (behind >= length) memcpy(i.data + at, &edges[draw() % (sizeof edges / sizeof *edges)], length);
        break;
      case 3: if (draw() % 4 == 0) i.size = at; break;
      case 4:
        if (i.size + length <= from.size + ROOM) {
          memmove(i.data + at + length, i.data + at, behind);
          for (size_t j = 0; j < length; j++) i.data[at + j] = (uint8_t)draw();
          i.size += length;
        }
        break;
      default:
        if (c->count) {
          const input *other = &c->inputs[draw() % c->count];
          size_t there = other->size ? draw() % other->size : 0, most = other->size - there < behind ? other->size - there : behind;
          if (most) memcpy(i.data + at, other->data + there, draw() % most + 1);
        }
    }
  }
  i.data = checked(realloc(i.data, i.size + 1)); /* so that a sanitizer sees where it ends */
  return i;
}

static input current;

/* Calls nothing that may not be called in a signal handler. */
static void keep(void) {
  int file = open("last-input", O_CREAT | O_TRUNC | O_WRONLY, 0600);
  for (ssize_t n = 1; n > 0 && current.size > 0; current.data += n, current.size -= (size_t)n)
    n = write(file, current.data, current.size);
}

static void keep_and_die(int number) {
  keep();
  signal(number, SIG_DFL);
  raise(number);
}

/* The sanitizers', where they are linked in. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void keep_what_does_not_pass(void) {
  static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
  if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(keep);
  for (size_t i = 0; i < sizeof deadly / sizeof *deadly; i++)
    if (!__sanitizer_set_death_callback || deadly[i] == SIGABRT) signal(deadly[i], keep_and_die);
}

enum { PLACES = 1024 };
static _Atomic bool marked[PLACES]; /* from any thread */

void fuzz_mark(unsigned place) { marked[place % PLACES] = true; }

static int marks(void) {
  int count = 0;
  for (int i = 0; i < PLACES; i++) count += marked[i];
  return count;
}

static void run(input i) {
  current = i;
  LLVMFuzzerTestOneInput(i.data, i.size);
}

int main(int argument_count, char **arguments) {
  long long runs = 0, seed = 1, least = 0;
  corpus c = {0};
  for (int i = 1; i < argument_count; i++)
    if (sscanf(arguments[i], "-runs=%lld", &runs) != 1 && sscanf(arguments[i], "-seed=%lld", &seed) != 1 &&
        sscanf(arguments[i], "-marks=%lld", &least) != 1)
      read_folder(arguments[i], &c);
  if (!c.inputs) {
    fprintf(stderr, "usage: %s [-runs=N] [-seed=N] [-marks=N] FOLDER...\n", arguments[0]);
    return 2;
  }
  LLVMFuzzerInitialize(&argument_count, &arguments);
  keep_what_does_not_pass();
  for (size_t i = 0; i < c.count; i++) run(c.inputs[i]);
  int places = marks();
  if (places < least) {
    fprintf(stderr, "%s: its corpus comes to %d places, expected %lld: look for new inputs (docs/testing.md, Fuzzing)\n", arguments[0], places, least);
    return 1;
  }
  state = (uint64_t)seed;
  for (long long i = 0; i < runs; i++) {
    input changed = mutate(&c);
    run(changed);
    free(changed.data);
  }
  printf("%s: %zu inputs, which come to %d places, and %lld mutations of them\n", arguments[0], c.count, places, runs);
  free_corpus(&c);
  return 0;
}
