/*
 * Products of GGML alone, F32 matrices [columns x outputs] by rows, on one of its devices against sums in double: which shapes are wrong there.
 *   cc tests/peers/ggml_products.c -lggml -lggml-base -lm -o products && ./products Vulkan0 [OUTPUTS COLUMNS]
 * Prints, for each number of rows, the largest error as a share of the largest number, and where it is. docs/devices.md has what came of it.
 */
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t random_state = 7;

static float draw(void) {
  random_state = random_state * 1664525u + 1013904223u;
  return (float)(random_state >> 8) * 0x1p-23f - 1;
}

static float *random_matrix(int64_t count) {
  float *numbers = malloc((size_t)count * sizeof *numbers);
  for (int64_t i = 0; i < count; i++) numbers[i] = draw();
  return numbers;
}

/* y [rows x outputs] on the device. */
static void multiply(ggml_backend_t device, int64_t outputs, int64_t columns, int64_t rows, const float *w, const float *x, float *y) {
  struct ggml_init_params room = {.mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true};
  struct ggml_context *nodes = ggml_init(room);
  struct ggml_tensor *a = ggml_new_tensor_2d(nodes, GGML_TYPE_F32, columns, outputs), *b = ggml_new_tensor_2d(nodes, GGML_TYPE_F32, columns, rows);
  struct ggml_tensor *product = ggml_mul_mat(nodes, a, b);
  struct ggml_cgraph *graph = ggml_new_graph(nodes);
  ggml_build_forward_expand(graph, product);
  ggml_backend_buffer_t memory = ggml_backend_alloc_ctx_tensors(nodes, device);
  ggml_backend_tensor_set(a, w, 0, ggml_nbytes(a));
  ggml_backend_tensor_set(b, x, 0, ggml_nbytes(b));
  ggml_backend_graph_compute(device, graph);
  ggml_backend_tensor_get(product, y, 0, ggml_nbytes(product));
  ggml_backend_buffer_free(memory);
  ggml_free(nodes);
}

/* False: something is further off than rounding to halves explains. */
static int try_shape(ggml_backend_t device, int64_t outputs, int64_t columns, int64_t rows) {
  float *w = random_matrix(outputs * columns), *x = random_matrix(rows * columns), *y = calloc((size_t)(rows * outputs), sizeof *y);
  double largest = 0, off = 0;
  int64_t where = 0;
  int64_t wrong = 0;
  multiply(device, outputs, columns, rows, w, x, y);
  for (int64_t i = 0; i < rows * outputs; i++) {
    double sum = 0;
    for (int64_t k = 0; k < columns; k++) sum += (double)w[i % outputs * columns + k] * x[i / outputs * columns + k];
    double apart = fabs(sum - (double)y[i]);
    largest = fmax(largest, fabs(sum));
    wrong += !(apart <= 0.02 * sqrt((double)columns));
    if (apart <= off) continue;
    off = apart;
    where = i;
  }
  printf("%lld outputs, %lld columns, %lld rows: off by %.2g of the largest, at row %lld, output %lld; %lld of %lld wrong\n", (long long)outputs,
         (long long)columns, (long long)rows, off / largest, (long long)(where / outputs), (long long)(where % outputs), (long long)wrong,
         (long long)(rows * outputs));
  free(w);
  free(x);
  free(y);
  return wrong == 0;
}

int main(int argc, char **argv) {
  static const int64_t rows[] = {1, 8, 9, 12, 13, 16, 32, 33, 64, 70, 128}, outputs[] = {64, 100, 128, 256}, columns[] = {64, 96, 256, 300};
  if (argc != 2 && argc != 4) {
    fprintf(stderr, "usage: products DEVICE [OUTPUTS COLUMNS]\n");
    return 2;
  }
  ggml_backend_load_all();
  ggml_backend_t device = ggml_backend_init_by_name(argv[1], NULL);
  int right = 1;
  if (!device) {
    fprintf(stderr, "GGML has no device %s\n", argv[1]);
    return 1;
  }
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    if (argc == 4) {
      right &= try_shape(device, atoll(argv[2]), atoll(argv[3]), rows[r]);
      continue;
    }
    for (size_t o = 0; o < sizeof outputs / sizeof *outputs; o++)
      for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) right &= try_shape(device, outputs[o], columns[c], rows[r]);
  }
  ggml_backend_free(device);
  return right ? 0 : 1;
}
