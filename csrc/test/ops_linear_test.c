/* Products with packed weights. */
#include "ops_suite.h"

static const int32_t float_types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_BF16};
static const int32_t block_types[] = {DIMPLE_TENSOR_Q8_0, DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_Q4_1, DIMPLE_TENSOR_Q5_0,
                                      DIMPLE_TENSOR_Q5_1, DIMPLE_TENSOR_IQ4_NL};
static const int32_t super_types[] = {DIMPLE_TENSOR_Q2_K, DIMPLE_TENSOR_Q3_K, DIMPLE_TENSOR_Q4_K,
                                      DIMPLE_TENSOR_Q5_K, DIMPLE_TENSOR_Q6_K, DIMPLE_TENSOR_IQ4_XS,
                                      DIMPLE_TENSOR_IQ3_S, DIMPLE_TENSOR_IQ3_XXS, DIMPLE_TENSOR_IQ2_S, DIMPLE_TENSOR_IQ2_XS,
                                      DIMPLE_TENSOR_IQ2_XXS, DIMPLE_TENSOR_IQ1_M, DIMPLE_TENSOR_IQ1_S, DIMPLE_TENSOR_TQ2_0,
                                      DIMPLE_TENSOR_TQ1_0, DIMPLE_TENSOR_MXFP4, DIMPLE_TENSOR_NVFP4};
enum {
  FLOAT_TYPES = sizeof float_types / sizeof *float_types,
  BLOCK_TYPES = sizeof block_types / sizeof *block_types,
  SUPER_TYPES = sizeof super_types / sizeof *super_types
};

typedef struct linear_shape {
  int64_t rows, columns, outputs;
} linear_shape;

typedef struct linear_case {
  int32_t type, up_type;
  linear_shape shape;
  linear_mode mode;
  bool bias;
  double tolerance;
} linear_case;

typedef struct linear_weights {
  test_weight w, up, bias, up_bias;
} linear_weights;

/* y as it is before the operation. */
static float *initial_output(int64_t rows, int64_t outputs) {
  float *y = malloc((size_t)(rows * outputs) * sizeof *y);
  for (int64_t i = 0; i < rows * outputs; i++) y[i] = (float)(i % 7) - 3;
  return y;
}

/* x [rows x columns], its rows 5 floats apart when `spread`. */
static float *run_linear(const side *s, const linear_case *t, const linear_weights *w, const float *x, bool spread, const char *what) {
  const linear_shape shape = t->shape;
  float *before = initial_output(shape.rows, shape.outputs);
  matrix input = place(s, x, shape.rows, shape.columns, spread ? 5 : 0), y = place(s, before, shape.rows, shape.outputs, GUARD);
  linear_output out = {.w = weight_of(&w->w, s), .up = weight_of(&w->up, s), .y = y.v, .mode = t->mode};
  if (t->bias) out.bias = weight_of(&w->bias, s), out.up_bias = weight_of(&w->up_bias, s);
  EXPECT_OK(IN_PASS(*s, s->ops->linear(s->context, &(linear_call){input.v, &out, 1})));
  float *found = fetch(s, y, what);
  drop(s, input);
  drop(s, y);
  free(before);
  return found;
}

static void check_linear_on(const linear_case *t, const float *x, bool spread) {
  const linear_shape shape = t->shape;
  int64_t count = shape.rows * shape.outputs;
  char what[128];
  snprintf(what, sizeof what, "linear %s mode %d, %lld rows, %lld -> %lld%s", block_format_of(t->type)->name, (int)t->mode,
           (long long)shape.rows, (long long)shape.columns, (long long)shape.outputs, t->bias ? ", bias" : "");
  linear_weights w = {.w = make_weight(t->type, shape.outputs, shape.columns, WEIGHT_LINEAR),
                      .up = make_weight(t->up_type, shape.outputs, shape.columns, WEIGHT_LINEAR),
                      .bias = make_weight(DIMPLE_TENSOR_F32, 1, shape.outputs, WEIGHT_VECTOR),
                      .up_bias = make_weight(DIMPLE_TENSOR_F16, 1, shape.outputs, WEIGHT_VECTOR)};
  /* The size of a product of normal weights: a few outputs may all be small by chance. */
  double natural = 0.5 * largest(x, shape.columns) * sqrt((double)shape.columns);
  if (linear_is_gated(t->mode)) natural *= natural;
  float *expected = run_linear(&reference, t, &w, x, spread, what), *first = NULL;
  for (int i = 0; i < CONTEXTS; i++) {
    float *y = run_linear(&tested[i], t, &w, x, spread, what);
    if (i == 0) {
      expect_within(y, expected, count, t->tolerance * fmax(largest(expected, count), natural), what);
      first = y;
    } else {
      expect_same_bits(y, first, count, what);
      free(y);
    }
  }
  free(first);
  free(expected);
  free_weight(&w.w);
  free_weight(&w.up);
  free_weight(&w.bias);
  free_weight(&w.up_bias);
}

static void check_linear(int32_t type, int32_t up_type, linear_shape shape, linear_mode mode, bool bias) {
  bool quantized = block_format_of(type)->block_length > 1 || block_format_of(up_type)->block_length > 1;
  linear_case t = {.type = type, .up_type = up_type, .shape = shape, .mode = mode, .bias = bias,
                   .tolerance = fmax(tolerance_of(type), tolerance_of(up_type))};
  float *x = quantized ? representable(shape.rows * shape.columns) : floats(shape.rows * shape.columns);
  check_linear_on(&t, x, true);
  free(x);
}

static void check_float_linears(void) {
  static const linear_shape shapes[] = {{1, 1, 1},    {1, 588, 33},  {2, 60, 32},   {3, 300, 31},  {4, 257, 64},  {5, 255, 65}, {6, 256, 5},
                                        {7, 33, 100}, {11, 513, 17}, {12, 40, 48},  {13, 64, 96},  {64, 90, 70},  {97, 70, 40}, {385, 17, 35},
                                        {100, 3, 2},  {96, 588, 80}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int k = 0; k < FLOAT_TYPES; k++) {
      check_linear(float_types[k], float_types[k], shapes[i], LINEAR_STORE, false);
      check_linear(float_types[k], float_types[(k + 1) % FLOAT_TYPES], shapes[i], LINEAR_SWIGLU, i % 2);
    }
}

static void check_quantized_linears(void) {
  static const linear_shape shapes[] = {{1, 32, 1},  {2, 64, 31},  {3, 96, 33},  {4, 512, 32}, {5, 544, 7},  {6, 256, 64},
                                        {7, 128, 40}, {15, 32, 65}, {16, 768, 32}, {17, 64, 20}, {64, 288, 70}, {100, 64, 33}, {390, 32, 20},
                                        {20, 288, 33}, {30, 512, 64}, {31, 256, 20}, {193, 64, 20}, {27, 96, 390}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int k = 0; k < BLOCK_TYPES; k++) {
      check_linear(block_types[k], block_types[k], shapes[i], LINEAR_STORE, false);
      check_linear(block_types[k], block_types[(k + 1) % BLOCK_TYPES], shapes[i], LINEAR_SWIGLU, i % 2);
    }
  static const linear_shape super_shapes[] = {{1, 256, 1}, {3, 512, 33}, {6, 768, 32}, {13, 256, 64}, {33, 1024, 40}, {26, 256, 390}};
  for (size_t i = 0; i < sizeof super_shapes / sizeof *super_shapes; i++)
    for (int k = 0; k < SUPER_TYPES; k++) {
      check_linear(super_types[k], super_types[k], super_shapes[i], LINEAR_STORE, false);
      check_linear(super_types[k], super_types[(k + 1) % SUPER_TYPES], super_shapes[i], LINEAR_SWIGLU, i % 2);
    }
}

/* Rows give the same bits whatever others share their call, also where few rows go another way than many. */
static void check_rows_alone(int32_t type, int64_t columns) {
  enum { ROWS = 26, OUTPUTS = 390, FIRST = 3, MOST = 18 }; /* so many outputs that an item has several panels, an odd number */
  linear_case t = {.type = type, .up_type = type, .shape = {ROWS, columns, OUTPUTS}, .mode = LINEAR_STORE};
  linear_weights w = {.w = make_weight(type, OUTPUTS, columns, WEIGHT_LINEAR)};
  char what[128];
  float *x = floats(ROWS * columns), *all = run_linear(&tested[0], &t, &w, x, false, "many rows");
  for (t.shape.rows = 1; t.shape.rows <= MOST; t.shape.rows++) {
    snprintf(what, sizeof what, "linear %s, %lld rows beside %d", block_format_of(type)->name, (long long)t.shape.rows, (int)ROWS);
    float *some = run_linear(&tested[0], &t, &w, x + FIRST * columns, false, what);
    expect_same_bits(some, all + FIRST * OUTPUTS, t.shape.rows * OUTPUTS, what);
    free(some);
  }
  free(all);
  free(x);
  free_weight(&w.w);
}

static void check_all_rows_alone(void) {
  if (is_device()) return; /* GGML's devices promise it not (docs/devices.md) */
  for (int k = 0; k < FLOAT_TYPES; k++) check_rows_alone(float_types[k], 300);
  for (int k = 0; k < BLOCK_TYPES; k++) check_rows_alone(block_types[k], 544);
  for (int k = 0; k < SUPER_TYPES; k++) check_rows_alone(super_types[k], 768);
}

/* Q8_0 with the code -128, which no encoder writes and which has no opposite of 8 bits, here and there: few rows and many, alike. */
static void check_lowest_codes(void) {
  enum { ROWS = 26, OUTPUTS = 40, COLUMNS = 544 };
  const int64_t size = block_format_of(DIMPLE_TENSOR_Q8_0)->block_size;
  linear_case t = {.type = DIMPLE_TENSOR_Q8_0, .up_type = DIMPLE_TENSOR_Q8_0, .shape = {ROWS, COLUMNS, OUTPUTS}, .mode = LINEAR_STORE};
  linear_weights w = {.w = make_weight(DIMPLE_TENSOR_Q8_0, OUTPUTS, COLUMNS, WEIGHT_LINEAR)};
  for (int64_t block = 3; block < OUTPUTS * COLUMNS / 32; block += 41) memset(w.w.data + block * size + 2 + block % 29, 0x80, 4);
  reference.ops->weight_free(w.w.of_reference);
  tested[1].ops->weight_free(w.w.of_tested);
  const weight_use use = reads_unpacked() ? WEIGHT_UNPACKED : WEIGHT_LINEAR;
  w.w.of_reference = upload(&reference, &w.w.source, use);
  w.w.of_tested = upload(&tested[1], &w.w.source, use);
  float *x = representable(ROWS * COLUMNS), *expected = run_linear(&reference, &t, &w, x, false, "lowest codes");
  float *all = run_linear(&tested[0], &t, &w, x, false, "lowest codes");
  expect_within(all, expected, ROWS * OUTPUTS, tolerance_of(t.type) * largest(expected, ROWS * OUTPUTS), "lowest codes");
  for (t.shape.rows = 1; t.shape.rows <= 9 && !is_device(); t.shape.rows += 4) {
    float *some = run_linear(&tested[0], &t, &w, x, false, "lowest codes");
    expect_same_bits(some, all, t.shape.rows * OUTPUTS, "lowest codes");
    free(some);
  }
  free(x);
  free(expected);
  free(all);
  free_weight(&w.w);
}

static void check_linear_modes(void) {
  static const linear_mode modes[] = {LINEAR_STORE, LINEAR_ADD, LINEAR_SILU, LINEAR_GELU, LINEAR_QUICK_GELU, LINEAR_TANH_GELU,
                                      LINEAR_SWIGLU, LINEAR_GEGLU};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    for (int bias = 0; bias < 2; bias++) {
      check_linear(DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F32, (linear_shape){9, 40, 45}, modes[i], bias);
      check_linear(DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_F16, (linear_shape){9, 64, 45}, modes[i], bias);
      check_linear(DIMPLE_TENSOR_Q8_0, DIMPLE_TENSOR_Q8_0, (linear_shape){130, 64, 45}, modes[i], bias);
    }
}

/* Activations as they come: the error is that of rounding them to 8 bits. */
static void check_quantization_error(void) {
  linear_shape s = {24, 512, 96};
  float *x = floats(s.rows * s.columns);
  for (int k = 0; k < BLOCK_TYPES + SUPER_TYPES; k++) {
    int32_t type = k < BLOCK_TYPES ? block_types[k] : super_types[k - BLOCK_TYPES];
    linear_case t = {.type = type, .up_type = type, .shape = s, .mode = LINEAR_STORE, .tolerance = 0.01};
    check_linear_on(&t, x, false);
  }
  memset(x, 0, (size_t)(s.rows * s.columns) * sizeof(float)); /* no scale to divide by */
  linear_case zeros = {.type = DIMPLE_TENSOR_Q8_0, .up_type = DIMPLE_TENSOR_Q8_0, .shape = s, .mode = LINEAR_STORE};
  check_linear_on(&zeros, x, false);
  free(x);
}

/* Several outputs of different width, type and mode from one x. */
enum { SHARED_ROWS = 70, SHARED_COLUMNS = 96, SHARED_OUTPUTS = 3 };
static const int64_t shared_widths[SHARED_OUTPUTS] = {33, 96, 8};

static void run_shared(const side *s, const test_weight *w, const float *x, float **found) {
  static const linear_mode modes[SHARED_OUTPUTS] = {LINEAR_STORE, LINEAR_SILU, LINEAR_ADD};
  matrix input = place(s, x, SHARED_ROWS, SHARED_COLUMNS, 0), y[SHARED_OUTPUTS];
  linear_output outputs[SHARED_OUTPUTS];
  for (int i = 0; i < SHARED_OUTPUTS; i++) {
    float *before = initial_output(SHARED_ROWS, shared_widths[i]);
    y[i] = place(s, before, SHARED_ROWS, shared_widths[i], GUARD);
    outputs[i] = (linear_output){.w = weight_of(&w[i], s), .y = y[i].v, .mode = modes[i]};
    free(before);
  }
  EXPECT_OK(IN_PASS(*s, s->ops->linear(s->context, &(linear_call){input.v, outputs, SHARED_OUTPUTS})));
  for (int i = 0; i < SHARED_OUTPUTS; i++) {
    found[i] = fetch(s, y[i], "shared input");
    drop(s, y[i]);
  }
  drop(s, input);
}

static void check_shared_input(void) {
  static const int32_t types[SHARED_OUTPUTS] = {DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_Q8_0};
  float *x = representable(SHARED_ROWS * SHARED_COLUMNS), *expected[SHARED_OUTPUTS], *found[SHARED_OUTPUTS];
  test_weight w[SHARED_OUTPUTS];
  for (int i = 0; i < SHARED_OUTPUTS; i++) w[i] = make_weight(types[i], shared_widths[i], SHARED_COLUMNS, WEIGHT_LINEAR);
  run_shared(&reference, w, x, expected);
  for (int c = 0; c < CONTEXTS; c++) {
    run_shared(&tested[c], w, x, found);
    for (int i = 0; i < SHARED_OUTPUTS; i++) {
      expect_close(found[i], expected[i], SHARED_ROWS * shared_widths[i], 3 * tolerance_of(types[i]), "shared input");
      free(found[i]);
    }
  }
  for (int i = 0; i < SHARED_OUTPUTS; i++) {
    free(expected[i]);
    free_weight(&w[i]);
  }
  free(x);
}

static void check_upload_errors(void) {
  const side *s = &tested[0];
  weight *w = NULL;
  uint8_t bytes[64] = {0};
  tensor_source unknown = {.name = "blk.0.mystery", .type = 99, .rows = 1, .columns = 32, .data = bytes};
  EXPECT_FAILS(s->ops->weight_upload(s->context, &unknown, WEIGHT_LINEAR, &w), DIMPLE_ERROR_UNSUPPORTED, "blk.0.mystery");
  tensor_source ragged = {.name = "ragged", .type = DIMPLE_TENSOR_Q4_0, .rows = 1, .columns = 33, .data = bytes};
  EXPECT_FAILS(s->ops->weight_upload(s->context, &ragged, WEIGHT_LINEAR, &w), DIMPLE_ERROR_UNSUPPORTED, "ragged");
  EXPECT(w == NULL, "%s: a failed upload left a weight", s->ops->name);
  s->ops->weight_free(NULL);
}

/* Packed weights stay about as large as in the file: bits per weight, for most kernels, for those that keep codes of 5 and 6 bits, and for AMX. */
static void check_weight_bytes(void) {
  static const struct {
    int32_t type;
    double bits, narrow_bits, amx_bits;
  } cases[] = {{DIMPLE_TENSOR_F32, 32, 32, 32},       {DIMPLE_TENSOR_F16, 16, 16, 16},       {DIMPLE_TENSOR_BF16, 16, 16, 16},
               {DIMPLE_TENSOR_Q8_0, 8.5, 8.5, 8.5},   {DIMPLE_TENSOR_Q4_0, 4.5, 4.5, 4.5},   {DIMPLE_TENSOR_Q4_K, 4.63, 4.63, 4.63},
               {DIMPLE_TENSOR_Q6_K, 8.57, 6.57, 7.13}, {DIMPLE_TENSOR_Q5_K, 8.63, 5.63, 5.63}, {DIMPLE_TENSOR_Q5_0, 8.5, 5.5, 5.5},
               {DIMPLE_TENSOR_IQ4_XS, 4.4, 4.4, 4.4}};
  if (strncmp(tested_name(), "cpu-", 4) != 0) return; /* what others do with memory is theirs */
  bool amx = strcmp(tested_name(), "cpu-amx") == 0, narrow = false;
  static const char *const narrow_ones[] = {"cpu-avx2", "cpu-avx-vnni", "cpu-avx512-vnni"};
  for (size_t i = 0; i < sizeof narrow_ones / sizeof *narrow_ones; i++) narrow |= strcmp(tested_name(), narrow_ones[i]) == 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_weight w = make_weight(cases[i].type, 64, 512, WEIGHT_LINEAR), bank = make_bank(cases[i].type, 3, 64, 512);
    double bits = (double)tested[1].ops->weight_bytes(w.of_tested) * 8 / (64 * 512);
    double bank_bits = (double)tested[1].ops->weight_bytes(bank.of_tested) * 8 / (3 * 64 * 512);
    double most = (amx ? cases[i].amx_bits : narrow ? cases[i].narrow_bits : cases[i].bits) + 0.1;
    EXPECT(bits < most && bank_bits < most, "%s: %s takes %g bits a weight, %g in a bank", tested_name(),
           block_format_of(cases[i].type)->name, bits, bank_bits);
    free_weight(&w);
    free_weight(&bank);
  }
}

/* NaN of any bits in a weight of floats, or in its input, is NaN in what they take part in, and in nothing else. */
static void check_products_without_numbers(void) {
  enum { ROWS = 18, COLUMNS = 40, OUTPUTS = 35, ROW = 2, COLUMN = 37, OUTPUT = 33 };
  static const uint32_t troubles[] = {0x7fc00000, 0x7fffffff, 0xffffffff};
  if (is_device()) {
    printf("%s: what is no number is not tried, for GGML promises nothing of it\n", tested_name());
    return;
  }
  for (int t = 0; t < 2 * FLOAT_TYPES; t++) {
    const int32_t type = float_types[t / 2];
    const bool in_weight = t % 2;
    const size_t element = (size_t)block_format_of(type)->block_size;
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
      float *x = floats(ROWS * COLUMNS), *values = floats(OUTPUTS * COLUMNS);
      test_weight w = make_weight_from(values, type, 0, OUTPUTS, COLUMNS, WEIGHT_LINEAR);
      const uint16_t half = (uint16_t)(troubles[i] >> 16);
      if (in_weight) {
        memcpy(w.data + (OUTPUT * COLUMNS + COLUMN) * element, element == 4 ? (const void *)&troubles[i] : &half, element);
        tested[1].ops->weight_free(w.of_tested);
        w.of_tested = upload(&tested[1], &w.source, reads_unpacked() ? WEIGHT_UNPACKED : WEIGHT_LINEAR);
      } else {
        memcpy(x + ROW * COLUMNS + COLUMN, &troubles[i], sizeof *troubles);
      }
      linear_case of = {.type = type, .shape = {ROWS, COLUMNS, OUTPUTS}};
      float *y = run_linear(&tested[1], &of, &(linear_weights){.w = w}, x, false, "products without numbers");
      for (int k = 0; k < ROWS * OUTPUTS; k++) {
        const bool touched = in_weight ? k % OUTPUTS == OUTPUT : k / OUTPUTS == ROW;
        EXPECT(isnan(y[k]) == touched, "%s: %08x in %s of %s: element %d is %g", tested_name(), troubles[i], in_weight ? "weights" : "the input",
               block_format_of(type)->name, k, (double)y[k]);
      }
      free(x);
      free(values);
      free(y);
      free_weight(&w);
    }
  }
}

static void check_products(void) {
  check_float_linears();
  check_quantized_linears();
  check_linear_modes();
  check_all_rows_alone();
  check_lowest_codes();
  check_quantization_error();
  check_shared_input();
  check_products_without_numbers();
  check_upload_errors();
  check_weight_bytes();
}

int main(int argc, char **argv) { return run_suite("ops_linear_test", check_products, argc, argv); }
