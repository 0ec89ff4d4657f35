/*
 * Times the linear operations of a text model's layers in GGML or ik_llama.cpp's GGML, for speed.py, which builds it. Questions and answers as
 * csrc/bench/layers.c has them.
 *
 *   layers TYPE THREADS LAYERS WIDTH FEED_FORWARD [HOW]
 *     GGML:         HOW is the library of a CPU backend, such as libggml-cpu-haswell.so; without it GGML chooses one. Weights lie in the buffer
 *                   types that the backend would have them in, as llama.cpp does (repacked where it can).
 *     -DPEER_IK:    HOW is "rtr" for what ik_llama.cpp's option -rtr does, or absent.
 */
#include <ggml.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>


enum { MOST_ROWS = 1024, MATRICES = 7, DIFFERENT = 16 };
typedef enum place { IN_CONTEXT, IN_BUFFER } place; /* of what tensors hold */

#ifdef PEER_IK
void iqk_repack_tensor(struct ggml_tensor *tensor);
enum { PASS = IN_CONTEXT };
#else
enum { PASS = IN_BUFFER };
#endif

static struct ggml_context *new_context(place data) {
  struct ggml_init_params params = {.mem_size = (size_t)1 << (data == IN_CONTEXT ? 32 : 24), .no_alloc = data == IN_BUFFER};
  return ggml_init(params);
}

static enum ggml_type type_called(const char *name) {
  for (int t = 0; t < GGML_TYPE_COUNT; t++) {
    const char *known = ggml_type_name((enum ggml_type)t);
    if (known && strcasecmp(known, name) == 0) return (enum ggml_type)t;
  }
  fprintf(stderr, "layers: no type is called %s\n", name);
  exit(2);
}

/* The bytes of a weight: a few random rows, over and over. */
static void *weight_bytes(enum ggml_type type, int64_t in, int64_t out) {
  size_t row_size = ggml_row_size(type, in);
  float *values = malloc(DIFFERENT * (size_t)in * sizeof *values);
  for (int64_t i = 0; i < DIFFERENT * in; i++) values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
  char *data = malloc(row_size * (size_t)out);
#ifdef PEER_IK
  ggml_quantize_chunk(type, values, data, 0, DIFFERENT, in, NULL, NULL);
#else
  ggml_quantize_chunk(type, values, data, 0, DIFFERENT, in, NULL);
#endif
  for (int64_t r = DIFFERENT; r < out; r++) memcpy(data + (size_t)r * row_size, data + (size_t)(r % DIFFERENT) * row_size, row_size);
  free(values);
  return data;
}

static void fill(struct ggml_tensor *x) {
  for (int64_t i = 0; i < ggml_nelements(x); i++) ((float *)x->data)[i] = (float)rand() / (float)RAND_MAX - 0.5f;
}

#ifndef PEER_IK
/* The first of the device's own buffer types that takes a product with this weight. */
static ggml_backend_buffer_type_t buffer_type_for(ggml_backend_dev_t device, struct ggml_tensor *w) {
  ggml_backend_buffer_type_t normal = ggml_backend_dev_buffer_type(device);
  ggml_backend_dev_get_extra_bufts_t extra =
      (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts");
  struct ggml_context *c = new_context(IN_BUFFER);
  struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, w->ne[0], 64), *y = ggml_mul_mat(c, w, x);
  ggml_backend_buffer_type_t found = normal;
  for (ggml_backend_buffer_type_t *type = extra ? extra(device) : NULL; type && *type && found == normal; type++) {
    w->buffer = ggml_backend_buft_alloc_buffer(*type, 0);
    if (ggml_backend_dev_supports_op(device, y)) found = *type;
    ggml_backend_buffer_free(w->buffer);
    w->buffer = NULL;
  }
  ggml_free(c);
  return found;
}
#endif

#ifndef PEER_IK
static void only_errors(enum ggml_log_level level, const char *text, void *data) {
  (void)data;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}
#endif

int main(int argc, char **argv) {
  if (argc < 6) {
    fprintf(stderr, "usage: layers TYPE THREADS LAYERS WIDTH FEED_FORWARD [HOW]\n");
    return 2;
  }
  enum ggml_type type = type_called(argv[1]);
  int threads = atoi(argv[2]), layers = atoi(argv[3]);
  int64_t width = atoll(argv[4]), wide = atoll(argv[5]), narrow = width / 6, total = 0;
  const char *how = argc > 6 ? argv[6] : NULL;
  const int64_t outputs[MATRICES] = {width, narrow, narrow, width, wide, wide, width};
  struct ggml_tensor *(*weights)[MATRICES] = calloc((size_t)layers, sizeof *weights);
#ifdef PEER_IK
  struct ggml_context *memory = new_context(IN_CONTEXT);
#else
  ggml_log_set(only_errors, NULL);
  if (how && !ggml_backend_load(how)) {
    fprintf(stderr, "layers: %s is no backend that this machine runs\n", how);
    return 1;
  }
  if (!how) ggml_backend_load_all();
  ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (!device) {
    fprintf(stderr, "layers: GGML has no CPU backend\n");
    return 1;
  }
  ggml_backend_t backend = ggml_backend_dev_init(device, NULL);
  ggml_backend_set_n_threads_t set_threads =
      (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device), "ggml_backend_set_n_threads");
  set_threads(backend, threads);
#endif
  const char *form = "as it is";
  for (int l = 0; l < layers; l++)
    for (int m = 0; m < MATRICES; m++) {
      int64_t in = m == 6 ? wide : width;
      total += in * outputs[m];
      void *data = weight_bytes(type, in, outputs[m]);
#ifdef PEER_IK
      struct ggml_tensor *w = ggml_new_tensor_2d(memory, type, in, outputs[m]);
      memcpy(w->data, data, ggml_nbytes(w));
      ggml_set_name(w, "blk.0.weight");
      if (how) iqk_repack_tensor(w);
      form = ggml_type_name(w->type);
#else
      struct ggml_context *c = new_context(IN_BUFFER);
      struct ggml_tensor *w = ggml_new_tensor_2d(c, type, in, outputs[m]);
      ggml_backend_buffer_type_t buffer = buffer_type_for(device, w);
      ggml_backend_alloc_ctx_tensors_from_buft(c, buffer);
      ggml_backend_tensor_set(w, data, 0, ggml_nbytes(w));
      form = ggml_backend_buft_name(buffer);
#endif
      weights[l][m] = w;
      free(data);
    }
  printf("%s %lld\n", form, (long long)total);
  fflush(stdout);

  int rows, before = 0;
  struct ggml_context *memory_of_pass = NULL;
  struct ggml_cgraph *graph = NULL;
#ifdef PEER_IK
  uint8_t *work = NULL;
  struct ggml_cplan plan = {0};
#else
  ggml_backend_buffer_t buffer_of_pass = NULL;
#endif
  while (scanf("%d", &rows) == 1 && rows >= 1 && rows <= MOST_ROWS) {
    if (rows != before) {
      if (memory_of_pass) ggml_free(memory_of_pass);
      memory_of_pass = new_context(PASS);
      struct ggml_tensor *x = ggml_new_tensor_2d(memory_of_pass, GGML_TYPE_F32, width, rows);
      struct ggml_tensor *h = ggml_new_tensor_2d(memory_of_pass, GGML_TYPE_F32, wide, rows);
      graph = ggml_new_graph(memory_of_pass);
      for (int l = 0; l < layers; l++)
        for (int m = 0; m < MATRICES; m++) ggml_build_forward_expand(graph, ggml_mul_mat(memory_of_pass, weights[l][m], m == 6 ? h : x));
#ifdef PEER_IK
      plan = ggml_graph_plan(graph, threads);
      free(work);
      plan.work_data = work = malloc(plan.work_size + 1);
#else
      ggml_backend_buffer_free(buffer_of_pass);
      buffer_of_pass = ggml_backend_alloc_ctx_tensors_from_buft(memory_of_pass, ggml_backend_dev_buffer_type(device));
#endif
      fill(x);
      fill(h);
      before = rows;
    }
    int64_t start = ggml_time_us();
    clock_t processor = clock();
#ifdef PEER_IK
    ggml_graph_compute(graph, &plan);
#else
    ggml_backend_graph_compute(backend, graph);
#endif
    processor = clock() - processor;
    printf("%.6f %.6f\n", 1e-6 * (double)(ggml_time_us() - start), (double)processor / CLOCKS_PER_SEC);
    fflush(stdout);
  }
  return 0;
}
