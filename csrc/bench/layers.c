/*
 * dimple-bench-layers: times the linear operations of a text model's layers, for tests/peers/speed.py, which asks other libraries the same.
 *
 *   dimple-bench-layers TYPE THREADS LAYERS WIDTH FEED_FORWARD [ROWS...]       DIMPLE_CPU chooses kernels
 *
 * A layer is q and output [width x width], k and v [width x width / 6], gate and up [width x feed-forward], down [feed-forward x width].
 * First prints "NAME WEIGHTS", of the backend and how many all layers have; then for each number of rows, of the arguments or else of standard
 * input, a line with the seconds of one pass and the processor seconds of all threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "platform/platform.h"
#include "quant/block_formats.h"

enum { MOST_ROWS = 1024, MATRICES = 7 };

static const backend_operations *backend;
static context *machine;

static void check(dimple_status status) {
  if (status == DIMPLE_OK) return;
  fprintf(stderr, "dimple-bench-layers: %s\n", dimple_last_error());
  exit(1);
}

static view new_matrix(int64_t rows, int64_t columns) {
  float *values = malloc((size_t)(rows * columns) * sizeof(float));
  for (int64_t i = 0; i < rows * columns; i++) values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
  buffer *memory;
  check(backend->buffer_alloc(machine, rows * columns, &memory));
  view m = view_of(memory, rows, columns);
  check(backend->pass_begin(machine, NULL));
  check(backend->pass_end(machine, backend->copy_in(machine, m, values)));
  free(values);
  return m;
}

static const block_format *format_called(const char *name) {
  for (int32_t type = 0; type < 64; type++) {
    const block_format *f = block_format_of(type);
    if (f && strcmp(f->name, name) == 0) return f;
  }
  fprintf(stderr, "dimple-bench-layers: no type is called %s\n", name);
  exit(2);
}

/* [out x in]; a few random rows, over and over. */
static weight *new_weight(const block_format *f, int64_t in, int64_t out) {
  enum { DIFFERENT = 16 };
  int64_t row_size = block_format_row_size(f, in);
  float *values = malloc((size_t)(DIFFERENT * in) * sizeof(float));
  uint8_t *data = malloc((size_t)(out * row_size));
  for (int64_t i = 0; i < DIFFERENT * in; i++) values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
  f->quantize(values, NULL, data, DIFFERENT * in / f->block_length);
  for (int64_t r = DIFFERENT; r < out; r++) memcpy(data + r * row_size, data + r % DIFFERENT * row_size, (size_t)row_size);
  tensor_source source = {.name = "bench", .type = (int32_t)f->type, .rows = out, .columns = in, .data = data};
  weight *w;
  check(backend->weight_upload(machine, &source, WEIGHT_LINEAR, &w));
  free(values);
  free(data);
  return w;
}

static int64_t number(const char *text) {
  int64_t value = atoll(text);
  if (value >= 1) return value;
  fprintf(stderr, "dimple-bench-layers: %s: see the comment at the top of layers.c\n", text);
  exit(2);
}

/* The next number of rows; false: there is none. */
static bool ask(char **arguments, int *next, int64_t *rows) {
  long long asked = 0;
  if (arguments[*next])
    asked = number(arguments[(*next)++]);
  else if (*next > 0 || scanf("%lld", &asked) != 1)
    return false;
  *rows = asked;
  return asked >= 1 && asked <= MOST_ROWS;
}

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "dimple-bench-layers: see the comment at the top of layers.c\n");
    return 2;
  }
  int64_t threads = number(argv[2]), layers = number(argv[3]), width = number(argv[4]), wide = number(argv[5]), narrow = width / 6;
  const block_format *format = format_called(argv[1]);
  check(backend_select("auto", &backend));
  check(backend->context_open(backend, (int32_t)threads, &machine));

  const int64_t outputs[MATRICES] = {width, narrow, narrow, width, wide, wide, width};
  weight *(*weights)[MATRICES] = calloc((size_t)layers, sizeof *weights);
  int64_t total = 0;
  for (int64_t l = 0; l < layers; l++)
    for (int m = 0; m < MATRICES; m++) {
      weights[l][m] = new_weight(format, m == 6 ? wide : width, outputs[m]);
      total += (m == 6 ? wide : width) * outputs[m];
    }
  view x = new_matrix(MOST_ROWS, width), h = new_matrix(MOST_ROWS, wide), y[MATRICES];
  for (int m = 0; m < MATRICES; m++) y[m] = new_matrix(MOST_ROWS, outputs[m]);
  printf("%s %lld\n", backend->name, (long long)total);
  fflush(stdout);

  int64_t rows;
  int next = 0;
  while (ask(argv + 6, &next, &rows)) {
    static const int calls[][2] = {{0, 3}, {3, 1}, {4, 2}, {6, 1}}; /* the first of the matrices that share x, and how many */
    uint64_t start = platform_now();
    clock_t processor = clock();
    check(backend->pass_begin(machine, NULL));
    dimple_status status = DIMPLE_OK;
    for (int64_t l = 0; l < layers; l++)
      for (int i = 0; i < 4 && status == DIMPLE_OK; i++) {
        linear_output out[3];
        for (int m = 0; m < calls[i][1]; m++)
          out[m] = (linear_output){.w = weights[l][calls[i][0] + m], .y = view_rows(y[calls[i][0] + m], 0, rows), .mode = LINEAR_STORE};
        status = backend->linear(machine, &(linear_call){view_rows(i == 3 ? h : x, 0, rows), out, calls[i][1]});
      }
    check(backend->pass_end(machine, status));
    processor = clock() - processor;
    printf("%.6f %.6f\n", 1e-9 * (double)(platform_now() - start), (double)processor / CLOCKS_PER_SEC);
    fflush(stdout);
  }

  for (int64_t l = 0; l < layers; l++)
    for (int m = 0; m < MATRICES; m++) backend->weight_free(weights[l][m]);
  for (int m = 0; m < MATRICES; m++) backend->buffer_free(machine, y[m].memory);
  backend->buffer_free(machine, x.memory);
  backend->buffer_free(machine, h.memory);
  free(weights);
  backend->context_close(machine);
  return 0;
}
