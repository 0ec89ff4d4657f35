/*
 * Every operation of every backend this machine can run, against the reference backend, for odd shapes, all weight types,
 * and 1, 2 and 3 threads, which must agree bit for bit.
 */
#include <stdlib.h>

#include "backend/backend.h"
#include "expect.h"
#include "quant/block_formats.h"

static const backend_operations *ref;
static context *ref_context;

/* The backend under test. */
static const backend_operations *b;
enum { CONTEXTS = 3 };
static context *contexts[CONTEXTS]; /* of 1, 2 and 3 threads */

/* ------------------------------------------------------------------------------------------------------ random inputs */

static uint64_t random_state = 88172645463325252u;

static uint32_t random_word(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static float random_float(void) { return (float)random_word() * 0x1p-31f - 1; }

/* Roughly normal. */
static float random_normal(void) { return 1.7f * (random_float() + random_float() + random_float()) / 1.7320508f; }

static int32_t random_below(int32_t n) { return (int32_t)(random_word() % (uint32_t)n); }

static float *floats(int64_t count) {
  float *values = malloc((size_t)(count ? count : 1) * sizeof(float));
  for (int64_t i = 0; i < count; i++) values[i] = random_normal();
  return values;
}

/* Activations that quantizing to 8 bits per 32 leaves as they are: a power of two times whole numbers up to 127, which occurs. */
static float *representable(int64_t count) {
  float *values = floats(count);
  for (int64_t first = 0; first < count; first += 32) {
    float unit = ldexpf(1, random_below(6) - 9);
    int64_t end = first + 32 < count ? first + 32 : count;
    for (int64_t i = first; i < end; i++) values[i] = unit * (float)(random_below(255) - 127);
    values[first + random_below((int32_t)(end - first))] = unit * 127;
  }
  return values;
}

/* ----------------------------------------------------------------------------------------------------------- comparing */

static double largest(const float *values, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fabs(values[i]) > most ? fabs(values[i]) : most;
  return most;
}

/* |found - expected| <= limit, everywhere. */
static void expect_within(const float *found, const float *expected, int64_t count, double limit, const char *what) {
  for (int64_t i = 0; i < count; i++) {
    if (fabs(found[i] - expected[i]) <= limit) continue;
    EXPECT(false, "%s: %s: element %lld is %.9g, not %.9g within %.3g", b->name, what, (long long)i, (double)found[i],
           (double)expected[i], limit);
    return;
  }
  EXPECT(true, "close");
}

/* |found - expected| <= tolerance * the largest expected value. */
static void expect_close(const float *found, const float *expected, int64_t count, double tolerance, const char *what) {
  expect_within(found, expected, count, tolerance * largest(expected, count), what);
}

static void expect_same_bits(const float *found, const float *expected, int64_t count, const char *what) {
  EXPECT(memcmp(found, expected, (size_t)count * sizeof(float)) == 0, "%s: %s: the number of threads changes bits", b->name, what);
}

/* ------------------------------------------------------------------------------------------------------------- weights */

typedef struct test_weight {
  tensor_source source;
  uint8_t *data;
  weight *of_ref;
  weight *of_backend;
} test_weight;

static void upload(test_weight *w, weight_use use) {
  EXPECT_OK(ref->weight_upload(ref_context, &w->source, use, &w->of_ref));
  EXPECT_OK(b->weight_upload(contexts[1], &w->source, use, &w->of_backend));
  EXPECT(b->weight_bytes(w->of_backend) > 0, "%s", w->source.name);
}

static test_weight make_weight_from(const float *values, int32_t type, int64_t rows, int64_t columns, weight_use use) {
  const block_format *format = block_format_of(type);
  int64_t size = rows * block_format_row_size(format, columns);
  test_weight w = {.source = {.name = "w", .type = type, .rows = rows, .columns = columns}, .data = malloc((size_t)size)};
  format->quantize(values, NULL, w.data, rows * columns / format->block_length);
  w.source.data = w.data;
  upload(&w, use);
  return w;
}

static test_weight make_weight(int32_t type, int64_t rows, int64_t columns, weight_use use) {
  float *values = floats(rows * columns);
  test_weight w = make_weight_from(values, type, rows, columns, use);
  free(values);
  return w;
}

static void free_weight(test_weight *w) {
  ref->weight_free(w->of_ref);
  b->weight_free(w->of_backend);
  free(w->data);
}

static const int32_t float_types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_BF16};
static const int32_t block_types[] = {DIMPLE_TENSOR_Q8_0, DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_Q4_1, DIMPLE_TENSOR_Q5_0,
                                      DIMPLE_TENSOR_Q5_1, DIMPLE_TENSOR_IQ4_NL};
static const int32_t super_types[] = {DIMPLE_TENSOR_Q2_K, DIMPLE_TENSOR_Q3_K, DIMPLE_TENSOR_Q4_K,
                                      DIMPLE_TENSOR_Q5_K, DIMPLE_TENSOR_Q6_K, DIMPLE_TENSOR_IQ4_XS};
enum {
  FLOAT_TYPES = sizeof float_types / sizeof *float_types,
  BLOCK_TYPES = sizeof block_types / sizeof *block_types,
  SUPER_TYPES = sizeof super_types / sizeof *super_types
};

/* -------------------------------------------------------------------------------------------------------------- linear */

enum { GUARD = 3 }; /* floats behind every row of y that nothing may touch */
static const float guard_value = 12345;

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

static float *new_output(int64_t rows, int64_t outputs) {
  float *y = malloc((size_t)(rows * (outputs + GUARD)) * sizeof(float));
  for (int64_t i = 0; i < rows * (outputs + GUARD); i++) y[i] = i % (outputs + GUARD) < outputs ? (float)(i % 7) - 3 : guard_value;
  return y;
}

static void expect_guarded(const float *y, int64_t rows, int64_t outputs, const char *what) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = outputs; i < outputs + GUARD; i++)
      if (y[r * (outputs + GUARD) + i] != guard_value) {
        EXPECT(false, "%s: %s: wrote beyond row %lld", b->name, what, (long long)r);
        return;
      }
}

static void check_linear_on(const linear_case *t, const float *x, int64_t x_stride) {
  const linear_shape s = t->shape;
  char what[128];
  snprintf(what, sizeof what, "linear %s mode %d, %lld rows, %lld -> %lld%s", block_format_of(t->type)->name, (int)t->mode,
           (long long)s.rows, (long long)s.columns, (long long)s.outputs, t->bias ? ", bias" : "");
  test_weight w = make_weight(t->type, s.outputs, s.columns, WEIGHT_LINEAR);
  test_weight up = make_weight(t->up_type, s.outputs, s.columns, WEIGHT_LINEAR);
  test_weight bias = make_weight(DIMPLE_TENSOR_F32, 1, s.outputs, WEIGHT_VECTOR);
  test_weight up_bias = make_weight(DIMPLE_TENSOR_F16, 1, s.outputs, WEIGHT_VECTOR);
  int64_t stride = s.outputs + GUARD;
  float *expected = new_output(s.rows, s.outputs);
  linear_output out = {.w = w.of_ref, .up = up.of_ref, .y = expected, .y_stride = stride, .mode = t->mode};
  if (t->bias) out.bias = bias.of_ref, out.up_bias = up_bias.of_ref;
  linear_call call = {.x = x, .x_stride = x_stride, .rows = s.rows, .columns = s.columns, .outputs = &out, .output_count = 1};
  EXPECT_OK(ref->linear(ref_context, &call));
  out.w = w.of_backend, out.up = up.of_backend;
  if (t->bias) out.bias = bias.of_backend, out.up_bias = up_bias.of_backend;
  /* The size of a product of normal weights: a few outputs may all be small by chance. */
  double natural = 0.5 * largest(x, x_stride) * sqrt((double)s.columns);
  if (t->mode == LINEAR_SWIGLU) natural *= natural;
  float *first = NULL;
  for (int i = 0; i < CONTEXTS; i++) {
    float *y = out.y = new_output(s.rows, s.outputs);
    EXPECT_OK(b->linear(contexts[i], &call));
    expect_guarded(y, s.rows, s.outputs, what);
    /* Guards are large: they must not count in what is close. */
    for (int64_t r = 0; r < s.rows; r++)
      for (int64_t j = s.outputs; j < stride; j++) y[r * stride + j] = expected[r * stride + j] = 0;
    if (i == 0) {
      expect_within(y, expected, s.rows * stride, t->tolerance * fmax(largest(expected, s.rows * stride), natural), what);
      first = y;
    } else {
      expect_same_bits(y, first, s.rows * stride, what);
      free(y);
    }
  }
  free(first);
  free(expected);
  free_weight(&w);
  free_weight(&up);
  free_weight(&bias);
  free_weight(&up_bias);
}

/* How far products may be off, relative to the largest. Float sums differ in their order only, and integer products are exact for
 * activations that survive rounding to 8 bits; but the AMX kernels round both sides of quantized products to 16 bits, and multiply
 * 16-bit floats with activations of 17 bits. */
static double tolerance_of(int32_t type) {
  bool amx = strcmp(b->name, "cpu-amx") == 0;
  if (!amx || type == DIMPLE_TENSOR_F32) return 3e-6;
  return block_format_of(type)->block_length > 1 ? 4e-4 : 2e-5;
}

static void check_linear(int32_t type, int32_t up_type, linear_shape shape, linear_mode mode, bool bias) {
  bool quantized = block_format_of(type)->block_length > 1 || block_format_of(up_type)->block_length > 1;
  linear_case t = {.type = type, .up_type = up_type, .shape = shape, .mode = mode, .bias = bias,
                   .tolerance = fmax(tolerance_of(type), tolerance_of(up_type))};
  int64_t stride = shape.columns + 5;
  float *x = floats(shape.rows * stride);
  if (quantized) {
    float *exact = representable(shape.rows * shape.columns);
    for (int64_t r = 0; r < shape.rows; r++) memcpy(x + r * stride, exact + r * shape.columns, (size_t)shape.columns * sizeof(float));
    free(exact);
  }
  check_linear_on(&t, x, stride);
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
                                        {7, 128, 40}, {15, 32, 65}, {16, 768, 32}, {17, 64, 20}, {64, 288, 70}, {100, 64, 33}, {390, 32, 20}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (int k = 0; k < BLOCK_TYPES; k++) {
      check_linear(block_types[k], block_types[k], shapes[i], LINEAR_STORE, false);
      check_linear(block_types[k], block_types[(k + 1) % BLOCK_TYPES], shapes[i], LINEAR_SWIGLU, i % 2);
    }
  static const linear_shape super_shapes[] = {{1, 256, 1}, {3, 512, 33}, {6, 768, 32}, {13, 256, 64}, {33, 1024, 40}};
  for (size_t i = 0; i < sizeof super_shapes / sizeof *super_shapes; i++)
    for (int k = 0; k < SUPER_TYPES; k++) {
      check_linear(super_types[k], super_types[k], super_shapes[i], LINEAR_STORE, false);
      check_linear(super_types[k], super_types[(k + 1) % SUPER_TYPES], super_shapes[i], LINEAR_SWIGLU, i % 2);
    }
}

static void check_linear_modes(void) {
  static const linear_mode modes[] = {LINEAR_STORE, LINEAR_ADD, LINEAR_SILU, LINEAR_GELU, LINEAR_SWIGLU};
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
    check_linear_on(&t, x, s.columns);
  }
  memset(x, 0, (size_t)(s.rows * s.columns) * sizeof(float)); /* no scale to divide by */
  linear_case zeros = {.type = DIMPLE_TENSOR_Q8_0, .up_type = DIMPLE_TENSOR_Q8_0, .shape = s, .mode = LINEAR_STORE};
  check_linear_on(&zeros, x, s.columns);
  free(x);
}

/* Several outputs of different width, type and mode from one x. */
static void check_shared_input(void) {
  enum { ROWS = 70, COLUMNS = 96, OUTPUTS = 3 };
  static const int64_t widths[OUTPUTS] = {33, 96, 8};
  static const int32_t types[OUTPUTS] = {DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_Q8_0};
  static const linear_mode modes[OUTPUTS] = {LINEAR_STORE, LINEAR_SILU, LINEAR_ADD};
  float *x = representable(ROWS * COLUMNS);
  test_weight w[OUTPUTS];
  linear_output of_ref[OUTPUTS], outputs[OUTPUTS];
  for (int i = 0; i < OUTPUTS; i++) {
    w[i] = make_weight(types[i], widths[i], COLUMNS, WEIGHT_LINEAR);
    of_ref[i] = (linear_output){.w = w[i].of_ref, .y = new_output(ROWS, widths[i]), .y_stride = widths[i] + GUARD, .mode = modes[i]};
  }
  linear_call call = {.x = x, .x_stride = COLUMNS, .rows = ROWS, .columns = COLUMNS, .outputs = of_ref, .output_count = OUTPUTS};
  EXPECT_OK(ref->linear(ref_context, &call));
  call.outputs = outputs;
  for (int c = 0; c < CONTEXTS; c++) {
    for (int i = 0; i < OUTPUTS; i++) {
      outputs[i] = of_ref[i];
      outputs[i].w = w[i].of_backend;
      outputs[i].y = new_output(ROWS, widths[i]);
    }
    EXPECT_OK(b->linear(contexts[c], &call));
    for (int i = 0; i < OUTPUTS; i++) {
      expect_guarded(outputs[i].y, ROWS, widths[i], "shared input");
      for (int64_t r = 0; r < ROWS; r++)
        expect_close(outputs[i].y + r * (widths[i] + GUARD), of_ref[i].y + r * (widths[i] + GUARD), widths[i],
                     3 * tolerance_of(types[i]), "shared input");
      free(outputs[i].y);
    }
  }
  for (int i = 0; i < OUTPUTS; i++) {
    free(of_ref[i].y);
    free_weight(&w[i]);
  }
  free(x);
}

/* ------------------------------------------------------------------------------------------------------- rows of things */

static void check_embed_rows(void) {
  static const int32_t types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_BF16, DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_Q6_K};
  static const int32_t ids[] = {6, 0, 6, 2, 1};
  enum { COUNT = sizeof ids / sizeof *ids, COLUMNS = 256 };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    test_weight w = make_weight(types[i], 7, COLUMNS, WEIGHT_ROWS);
    float expected[COUNT * COLUMNS], y[COUNT * COLUMNS];
    EXPECT_OK(ref->embed_rows(ref_context, expected, w.of_ref, ids, COUNT));
    for (int c = 0; c < CONTEXTS; c++) {
      memset(y, 0, sizeof y);
      EXPECT_OK(b->embed_rows(contexts[c], y, w.of_backend, ids, COUNT));
      expect_same_bits(y, expected, COUNT * COLUMNS, "embed_rows");
    }
    free_weight(&w);
  }
}

static void check_moving_rows(void) {
  enum { ROWS = 300, COLUMNS = 77, COUNT = 290 };
  int32_t index[COUNT];
  float scale[COUNT];
  for (int i = 0; i < COUNT; i++) {
    index[i] = (i * 7 + 3) % ROWS; /* 7 and 300 are coprime: all different */
    scale[i] = random_normal();
  }
  float *x = floats(ROWS * COLUMNS), *expected = floats(ROWS * COLUMNS), *y = floats(ROWS * COLUMNS), *before = floats(ROWS * COLUMNS);
  size_t bytes = ROWS * COLUMNS * sizeof(float);
  for (int c = 0; c < CONTEXTS; c++) {
    memcpy(expected, before, bytes);
    memcpy(y, before, bytes);
    EXPECT_OK(ref->gather_rows(ref_context, expected, x, index, COUNT, COLUMNS));
    EXPECT_OK(b->gather_rows(contexts[c], y, x, index, COUNT, COLUMNS));
    expect_same_bits(y, expected, ROWS * COLUMNS, "gather_rows");
    EXPECT_OK(ref->scatter_rows(ref_context, expected, x, index, COUNT, COLUMNS));
    EXPECT_OK(b->scatter_rows(contexts[c], y, x, index, COUNT, COLUMNS));
    expect_same_bits(y, expected, ROWS * COLUMNS, "scatter_rows");
    EXPECT_OK(ref->scatter_add_rows(ref_context, expected, x, index, scale, COUNT, COLUMNS));
    EXPECT_OK(b->scatter_add_rows(contexts[c], y, x, index, scale, COUNT, COLUMNS));
    expect_close(y, expected, ROWS * COLUMNS, 1e-6, "scatter_add_rows");
  }
  free(x);
  free(expected);
  free(y);
  free(before);
}

static void check_rms_norm(void) {
  static const int64_t widths[] = {1, 3, 16, 31, 32, 33, 60, 300, 3584};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    int64_t rows = 19, columns = widths[i];
    test_weight w = make_weight(DIMPLE_TENSOR_F32, 1, columns, WEIGHT_VECTOR);
    float *x = floats(rows * columns), *expected = floats(rows * columns), *y = floats(rows * columns);
    EXPECT_OK(ref->rms_norm(ref_context, expected, x, w.of_ref, rows, columns, 1e-6f));
    for (int c = 0; c < CONTEXTS; c++) {
      EXPECT_OK(b->rms_norm(contexts[c], y, x, w.of_backend, rows, columns, 1e-6f));
      expect_close(y, expected, rows * columns, 2e-6, "rms_norm");
    }
    EXPECT_OK(b->rms_norm(contexts[2], x, x, w.of_backend, rows, columns, 1e-6f));
    expect_same_bits(x, y, rows * columns, "rms_norm in place");
    free(x);
    free(expected);
    free(y);
    free_weight(&w);
  }
}

static void check_rotary(void) {
  static const int32_t sizes[] = {2, 6, 16, 60, 80, 128};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int32_t size = sizes[i], heads = 3;
    int64_t rows = 50, stride = heads * size + 4;
    float *cosine = floats(rows * size / 2), *sine = floats(rows * size / 2), *x = floats(rows * stride);
    float *expected = malloc((size_t)(rows * stride) * sizeof(float)), *y = malloc((size_t)(rows * stride) * sizeof(float));
    memcpy(expected, x, (size_t)(rows * stride) * sizeof(float));
    rotary_call call = {.x = expected, .x_stride = stride, .rows = rows, .heads = heads, .size = size, .cosine = cosine, .sine = sine};
    EXPECT_OK(ref->rotary(ref_context, &call));
    for (int c = 0; c < CONTEXTS; c++) {
      memcpy(y, x, (size_t)(rows * stride) * sizeof(float));
      call.x = y;
      EXPECT_OK(b->rotary(contexts[c], &call));
      expect_close(y, expected, rows * stride, 1e-6, "rotary");
    }
    free(cosine);
    free(sine);
    free(x);
    free(expected);
    free(y);
  }
}

static void check_buffers(void) {
  float host[5] = {1, 2, 3, 4, 5}, back[5] = {0}, *buffer = NULL;
  EXPECT_OK(b->buffer_alloc(contexts[0], 5, &buffer));
  EXPECT((uintptr_t)buffer % 64 == 0, "%s: alignment", b->name);
  EXPECT_OK(b->copy_in(contexts[0], buffer, host, 5));
  EXPECT_OK(b->copy_out(contexts[0], back, buffer, 5));
  expect_same_bits(back, host, 5, "copy_in and copy_out");
  b->buffer_free(contexts[0], buffer);
  b->buffer_free(contexts[0], NULL);
  EXPECT_FAILS(b->buffer_alloc(contexts[0], INT64_MAX, &buffer), DIMPLE_ERROR_MEMORY, "activations");
}

/* ----------------------------------------------------------------------------------------------------------- attention */

typedef struct attention_shape {
  int64_t query_rows, key_rows;
  int32_t heads, kv_heads, size;
} attention_shape;

static void check_attention(attention_shape s, const int32_t *spans, int32_t span_count, const int32_t *query_position) {
  char what[128];
  snprintf(what, sizeof what, "attention %lld x %lld, heads %d / %d of %d%s%s", (long long)s.query_rows, (long long)s.key_rows,
           s.heads, s.kv_heads, s.size, spans ? ", spans" : "", query_position ? ", causal" : "");
  int64_t q_stride = (int64_t)s.heads * s.size + 3, kv_stride = (int64_t)s.kv_heads * s.size + 1, y_stride = (int64_t)s.heads * s.size + GUARD;
  float *q = floats(s.query_rows * q_stride), *k = floats(s.key_rows * kv_stride), *v = floats(s.key_rows * kv_stride);
  for (int64_t i = 0; i < s.query_rows * q_stride; i++) q[i] *= 3; /* so that some keys stand out */
  float *expected = new_output(s.query_rows, y_stride - GUARD), *first = NULL;
  attention_call call = {.q = q, .k = k, .v = v, .y = expected, .q_stride = q_stride, .kv_stride = kv_stride, .y_stride = y_stride,
                         .query_rows = s.query_rows, .key_rows = s.key_rows, .heads = s.heads, .kv_heads = s.kv_heads, .size = s.size,
                         .spans = spans, .span_count = span_count, .query_position = query_position};
  EXPECT_OK(ref->attention(ref_context, &call));
  for (int c = 0; c < CONTEXTS; c++) {
    float *y = call.y = new_output(s.query_rows, y_stride - GUARD);
    EXPECT_OK(b->attention(contexts[c], &call));
    expect_guarded(y, s.query_rows, y_stride - GUARD, what);
    for (int64_t r = 0; r < s.query_rows && c == 0; r++)
      expect_close(y + r * y_stride, expected + r * y_stride, y_stride - GUARD, 1e-5, what);
    if (c == 0) {
      first = y;
    } else {
      expect_same_bits(y, first, s.query_rows * y_stride, what);
      free(y);
    }
  }
  free(first);
  free(expected);
  free(q);
  free(k);
  free(v);
}

static void check_attentions(void) {
  static const attention_shape shapes[] = {{1, 1, 1, 1, 8},    {3, 5, 2, 1, 16},     {64, 64, 4, 4, 80},   {13, 300, 7, 1, 128},
                                           {100, 97, 3, 3, 20}, {33, 193, 6, 2, 64},  {5, 96, 2, 2, 256},   {97, 200, 8, 2, 33},
                                           {2, 11, 130, 1, 12}, {40, 1000, 4, 1, 128}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check_attention(shapes[i], NULL, 0, NULL);

  static const int32_t windows[] = {0, 64, 68, 68, 165, 166};
  check_attention((attention_shape){166, 166, 4, 2, 80}, windows, 5, NULL);
  static const int32_t one[] = {0, 130};
  check_attention((attention_shape){130, 130, 2, 2, 16}, one, 1, NULL);

  int32_t positions[150];
  for (int i = 0; i < 150; i++) positions[i] = i + 50;
  check_attention((attention_shape){150, 200, 4, 2, 32}, NULL, 0, positions);
  for (int i = 0; i < 150; i++) positions[i] = i;
  check_attention((attention_shape){150, 150, 4, 4, 64}, NULL, 0, positions);
  for (int i = 0; i < 150; i++) positions[i] = random_below(200);
  check_attention((attention_shape){150, 200, 14, 2, 24}, NULL, 0, positions);

  attention_call huge = {.query_rows = 1, .key_rows = 1, .heads = 1, .kv_heads = 1, .size = 512};
  EXPECT_FAILS(b->attention(contexts[0], &huge), DIMPLE_ERROR_UNSUPPORTED, "512");
}

/* Scores far apart and equal: nothing overflows, and ties share. */
static void check_attention_extremes(void) {
  enum { KEYS = 130, SIZE = 16 };
  float q[SIZE], k[KEYS * SIZE], v[KEYS * SIZE], y[SIZE];
  for (int i = 0; i < SIZE; i++) q[i] = 1000;
  for (int j = 0; j < KEYS; j++)
    for (int i = 0; i < SIZE; i++) {
      k[j * SIZE + i] = j == 3 || j == 120 ? 10.0f : -10.0f;
      v[j * SIZE + i] = (float)j;
    }
  attention_call call = {.q = q, .k = k, .v = v, .y = y, .q_stride = SIZE, .kv_stride = SIZE, .y_stride = SIZE, .query_rows = 1,
                         .key_rows = KEYS, .heads = 1, .kv_heads = 1, .size = SIZE};
  EXPECT_OK(b->attention(contexts[1], &call));
  for (int i = 0; i < SIZE; i++) EXPECT(fabsf(y[i] - 61.5f) < 1e-4f, "%s: %g", b->name, (double)y[i]);
}

/* ---------------------------------------------------------------------------------------------------------------- head */

static void expect_near(float found, float expected, double tolerance, const char *field, int64_t row) {
  EXPECT(fabs(found - expected) <= tolerance * (1 + fabs(expected)), "%s: head row %lld: %s is %.9g, not %.9g", b->name,
         (long long)row, field, (double)found, (double)expected);
}

static int drawn_otherwise;

/* A token may differ from the reference's only where rounding can decide: between logits, or draws, that are almost equal. */
static void expect_row(const head_row *found, const head_row *expected, const float *logits, float temperature, double tolerance,
                       int64_t row) {
  EXPECT(found->best == expected->best || fabs(logits[found->best] - expected->best_logit) < tolerance * 10, "%s: head row %lld: best %d, not %d",
         b->name, (long long)row, found->best, expected->best);
  expect_near(found->best_logit, expected->best_logit, tolerance, "best_logit", row);
  if (isinf(expected->second_logit))
    EXPECT(found->second_logit == expected->second_logit, "%s: second_logit %g", b->name, (double)found->second_logit);
  else
    expect_near(found->second_logit, expected->second_logit, tolerance, "second_logit", row);
  expect_near(found->log_sum, expected->log_sum, tolerance, "log_sum", row);
  expect_near(found->mean_logit, expected->mean_logit, tolerance, "mean_logit", row);
  expect_near(found->hot_log_sum, expected->hot_log_sum, tolerance * 3, "hot_log_sum", row);
  expect_near(found->hot_mean, expected->hot_mean, tolerance * 3, "hot_mean", row);
  expect_near(found->drawn_logit, logits[found->drawn], tolerance, "drawn_logit", row);
  if (temperature > 0)
    drawn_otherwise += found->drawn != expected->drawn;
  else
    EXPECT(found->drawn == found->best, "%s: head row %lld drew %d at temperature 0", b->name, (long long)row, found->drawn);
}

static void check_head(int32_t type, int64_t rows, int64_t columns, int64_t vocab, float temperature) {
  float *x = representable(rows * columns);
  for (int64_t i = 0; i < rows * columns; i++) x[i] *= 4 / sqrtf((float)columns);
  if (block_format_of(type)->block_length > 1)
    for (int64_t i = 0; i < rows * columns; i++) x[i] = x[i] * sqrtf((float)columns) / 4; /* stay representable */
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  int32_t *positions = malloc((size_t)rows * sizeof *positions);
  for (int64_t r = 0; r < rows; r++) positions[r] = (int32_t)(r * 3 + 1);
  head_row *expected = malloc((size_t)rows * sizeof *expected), *first = malloc((size_t)rows * sizeof *first), *found = malloc((size_t)rows * sizeof *found);
  float *expected_logits = floats(rows * vocab), *logits = floats(rows * vocab);
  head_call call = {.x = x, .x_stride = columns, .rows = rows, .columns = columns, .w = w.of_ref, .temperature = temperature, .seed = 42,
                    .iteration = 5, .positions = positions, .results = expected, .logits = expected_logits};
  EXPECT_OK(ref->head(ref_context, &call));
  call.w = w.of_backend;
  double tolerance = tolerance_of(type);
  for (int c = 0; c < CONTEXTS; c++) {
    call.results = c == 0 ? first : found;
    call.logits = c == 1 ? NULL : logits;
    memset(call.results, 0xff, (size_t)rows * sizeof *found);
    EXPECT_OK(b->head(contexts[c], &call));
    if (c == 0) {
      expect_close(logits, expected_logits, rows * vocab, tolerance, "head logits");
      for (int64_t r = 0; r < rows; r++) expect_row(&first[r], &expected[r], logits + r * vocab, temperature, tolerance * 4, r);
    } else {
      EXPECT(memcmp(first, found, (size_t)rows * sizeof *found) == 0, "%s: the number of threads changes the head", b->name);
    }
  }
  call.results = NULL;
  memset(logits, 0, (size_t)(rows * vocab) * sizeof(float));
  call.logits = logits;
  EXPECT_OK(b->head(contexts[1], &call));
  expect_close(logits, expected_logits, rows * vocab, tolerance, "head, logits only");
  free(x);
  free(positions);
  free(expected);
  free(first);
  free(found);
  free(expected_logits);
  free(logits);
  free_weight(&w);
}

static void check_heads(void) {
  static const int64_t vocabularies[] = {1, 2, 31, 33, 1000, 1024, 1025, 1055, 3000};
  drawn_otherwise = 0;
  int drawn = 0;
  for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
    check_head(DIMPLE_TENSOR_F32, 7, 40, vocabularies[i], 0);
    check_head(DIMPLE_TENSOR_F32, 50, 40, vocabularies[i], 0.7f);
    check_head(DIMPLE_TENSOR_F16, 2, 17, vocabularies[i], 3);
    check_head(DIMPLE_TENSOR_Q4_0, 9, 64, vocabularies[i], i % 2 ? 1 : 0);
    drawn += 50 + 2 + (i % 2 ? 9 : 0);
  }
  check_head(DIMPLE_TENSOR_F32, 400, 8, 70, 1);
  drawn += 400;
  EXPECT(drawn_otherwise <= drawn / 100, "%s: %d of %d draws differ from the reference's", b->name, drawn_otherwise, drawn);
}

/* Equal logits: the lowest token wins, the second logit equals the best. */
static void check_head_ties(void) {
  enum { VOCAB = 2100, COLUMNS = 4 };
  static const int32_t tied[][2] = {{3, 4}, {0, 2099}, {1023, 1024}, {17, 1500}};
  float *values = floats(VOCAB * COLUMNS), x[COLUMNS] = {1, 1, 1, 1};
  for (size_t i = 0; i < sizeof tied / sizeof *tied; i++) {
    for (int64_t j = 0; j < VOCAB * COLUMNS; j++) values[j] = (float)(random_below(9) - 8);
    for (int k = 0; k < 2; k++)
      for (int j = 0; j < COLUMNS; j++) values[tied[i][k] * COLUMNS + j] = 5;
    test_weight w = make_weight_from(values, DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
    head_row row;
    head_call call = {.x = x, .x_stride = COLUMNS, .rows = 1, .columns = COLUMNS, .w = w.of_backend, .results = &row};
    EXPECT_OK(b->head(contexts[1], &call));
    EXPECT(row.best == tied[i][0] && row.best_logit == 20 && row.second_logit == 20, "%s: best %d, logits %g and %g", b->name, row.best,
           (double)row.best_logit, (double)row.second_logit);
    free_weight(&w);
  }
  free(values);
}

/* Draws follow softmax(z / temperature): chi-squared over the chunks and over the tokens that are drawn most. */
static void check_draw_distribution(void) {
  enum { VOCAB = 2060, DRAWS = 20000, ROWS = 100, WATCHED = 12 };
  const float temperature = 0.8f;
  float *values = floats(VOCAB), *x = malloc(ROWS * sizeof(float));
  for (int t = 0; t < VOCAB; t++) values[t] = t < 6 || (t >= 1500 && t < 1505) || t == 2059 ? 4 + 0.2f * (float)(t % 5) : -3 + 0.5f * values[t];
  for (int r = 0; r < ROWS; r++) x[r] = 1;
  test_weight w = make_weight_from(values, DIMPLE_TENSOR_F32, VOCAB, 1, WEIGHT_LINEAR);
  static const int32_t watched[WATCHED] = {0, 1, 2, 3, 4, 5, 1500, 1501, 1502, 1503, 1504, 2059};
  int32_t positions[ROWS], counts[WATCHED + 1] = {0};
  for (int r = 0; r < ROWS; r++) positions[r] = r;
  head_row rows[ROWS];
  head_call call = {.x = x, .x_stride = 1, .rows = ROWS, .columns = 1, .w = w.of_backend, .temperature = temperature, .seed = 7,
                    .positions = positions, .results = rows};
  for (call.iteration = 0; call.iteration < DRAWS / ROWS; call.iteration++) {
    EXPECT_OK(b->head(contexts[1], &call));
    for (int r = 0; r < ROWS; r++) {
      int place = 0;
      while (place < WATCHED && watched[place] != rows[r].drawn) place++;
      counts[place]++;
    }
  }
  double total = 0, rest = 1, chi_squared = 0;
  for (int t = 0; t < VOCAB; t++) total += exp(values[t] / temperature);
  for (int i = 0; i <= WATCHED; i++) {
    double p = i < WATCHED ? exp(values[watched[i]] / temperature) / total : rest;
    rest -= p;
    chi_squared += (counts[i] - DRAWS * p) * (counts[i] - DRAWS * p) / (DRAWS * p);
  }
  EXPECT(chi_squared < 32.9, "%s: chi-squared %g with 12 degrees of freedom (0.1 %%: 32.9)", b->name, chi_squared);
  free_weight(&w);
  free(values);
  free(x);
}

/* A temperature near zero draws the best token, and nothing overflows. */
static void check_cold_draws(void) {
  enum { VOCAB = 1500, COLUMNS = 32 };
  float *x = floats(COLUMNS);
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
  int32_t position = 0;
  head_row row;
  head_call call = {.x = x, .x_stride = COLUMNS, .rows = 1, .columns = COLUMNS, .w = w.of_backend, .positions = &position, .results = &row};
  static const float temperatures[] = {1e-4f, 1e-20f, 1e-37f};
  for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
    call.temperature = temperatures[i];
    EXPECT_OK(b->head(contexts[1], &call));
    EXPECT(row.drawn == row.best && row.drawn_logit == row.best_logit, "%s: drew %d, best %d at %g", b->name, row.drawn, row.best,
           (double)call.temperature);
  }
  free(x);
  free_weight(&w);
}

/* NaN and infinity in the logits give some token, never a place outside the vocabulary. */
static void check_head_without_numbers(void) {
  enum { VOCAB = 1100, COLUMNS = 2 };
  static const float troubles[][COLUMNS] = {{NAN, NAN}, {INFINITY, 1}, {-INFINITY, 1}, {INFINITY, -INFINITY}};
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
  int32_t position = 0;
  head_row row;
  for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
    head_call call = {.x = troubles[i], .x_stride = COLUMNS, .rows = 1, .columns = COLUMNS, .w = w.of_backend, .temperature = 1, .positions = &position,
                      .results = &row};
    EXPECT_OK(b->head(contexts[1], &call));
    EXPECT(row.best >= 0 && row.best < VOCAB && row.drawn >= 0 && row.drawn < VOCAB, "%s: %d, %d", b->name, row.best, row.drawn);
  }
  free_weight(&w);
}

/* -------------------------------------------------------------------------------------------------------------- errors */

static void check_errors(void) {
  weight *w = NULL;
  uint8_t bytes[64] = {0};
  tensor_source unknown = {.name = "blk.0.mystery", .type = 99, .rows = 1, .columns = 32, .data = bytes};
  EXPECT_FAILS(b->weight_upload(contexts[0], &unknown, WEIGHT_LINEAR, &w), DIMPLE_ERROR_UNSUPPORTED, "blk.0.mystery");
  tensor_source ragged = {.name = "ragged", .type = DIMPLE_TENSOR_Q4_0, .rows = 1, .columns = 33, .data = bytes};
  EXPECT_FAILS(b->weight_upload(contexts[0], &ragged, WEIGHT_LINEAR, &w), DIMPLE_ERROR_UNSUPPORTED, "33 columns");
  EXPECT(w == NULL, "%s: a failed upload left a weight", b->name);
  b->weight_free(NULL);
}

/* Packed weights stay about as large as in the file: bits per weight, for most kernels and for AMX. */
static void check_weight_bytes(void) {
  static const struct {
    int32_t type;
    double bits, amx_bits;
  } cases[] = {{DIMPLE_TENSOR_F32, 32, 32},     {DIMPLE_TENSOR_F16, 16, 16},     {DIMPLE_TENSOR_BF16, 16, 16},
               {DIMPLE_TENSOR_Q8_0, 8.5, 8.63}, {DIMPLE_TENSOR_Q4_0, 4.5, 4.63}, {DIMPLE_TENSOR_Q4_K, 4.63, 5.13},
               {DIMPLE_TENSOR_Q6_K, 8.57, 9.13}, {DIMPLE_TENSOR_Q5_K, 8.63, 9.13}, {DIMPLE_TENSOR_IQ4_XS, 4.4, 8.63}};
  bool amx = strcmp(b->name, "cpu-amx") == 0;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_weight w = make_weight(cases[i].type, 64, 512, WEIGHT_LINEAR);
    double bits = (double)b->weight_bytes(w.of_backend) * 8 / (64 * 512);
    EXPECT(bits < (amx ? cases[i].amx_bits : cases[i].bits) + 0.1, "%s: %s takes %g bits a weight", b->name,
           block_format_of(cases[i].type)->name, bits);
    free_weight(&w);
  }
}

static void check_selection(void) {
  unsetenv("DIMPLE_CPU");
  const backend_operations *found = NULL;
  EXPECT_OK(backend_select(NULL, &found));
  const backend_operations *best = found;
  EXPECT_OK(backend_select("auto", &found));
  EXPECT(found == best, "auto is %s", found->name);
  EXPECT_OK(backend_select("ref", &found));
  EXPECT(found == ref, "ref is %s", found->name);
  EXPECT_OK(backend_select("cpu-plain", &found));
  EXPECT(strcmp(found->name, "cpu-plain") == 0, "%s", found->name);
  EXPECT_FAILS(backend_select("cpu-quantum", &found), DIMPLE_ERROR_UNSUPPORTED, "cpu-plain");
  setenv("DIMPLE_CPU", "plain", 1);
  EXPECT_OK(backend_select("cpu", &found));
  EXPECT(strcmp(found->name, "cpu-plain") == 0, "%s", found->name);
  EXPECT_OK(backend_select("ref", &found));
  EXPECT(found == ref, "a named backend is not overridden: %s", found->name);
  setenv("DIMPLE_CPU", "abacus", 1);
  EXPECT_FAILS(backend_select(NULL, &found), DIMPLE_ERROR_UNSUPPORTED, "DIMPLE_CPU=\"abacus\"");
  EXPECT_FAILS(backend_select(NULL, &found), DIMPLE_ERROR_UNSUPPORTED, "plain");
  unsetenv("DIMPLE_CPU");
  EXPECT(strstr(dimple_cpu_description(), "plain") && strstr(dimple_cpu_description(), "(selected)"), "%s", dimple_cpu_description());
}

static void check_backend(void) {
  for (int i = 0; i < CONTEXTS; i++) EXPECT_OK(b->context_open(i + 1, &contexts[i]));
  check_buffers();
  check_float_linears();
  check_quantized_linears();
  check_linear_modes();
  check_quantization_error();
  check_shared_input();
  check_embed_rows();
  check_moving_rows();
  check_rms_norm();
  check_rotary();
  check_attentions();
  check_attention_extremes();
  check_heads();
  check_head_ties();
  check_draw_distribution();
  check_cold_draws();
  check_head_without_numbers();
  check_errors();
  check_weight_bytes();
  for (int i = 0; i < CONTEXTS; i++) b->context_close(contexts[i]);
}

int main(int argc, char **argv) {
  if (backend_select("ref", &ref) != DIMPLE_OK) return 1;
  check_selection();
  EXPECT_OK(ref->context_open(1, &ref_context));
  for (const backend_operations *const *each = backend_list; *each; each++) {
    b = *each;
    if (b == ref || !b->available() || (argc > 1 && strcmp(argv[1], b->name) != 0)) continue;
    printf("%s\n", b->name);
    check_backend();
  }
  ref->context_close(ref_context);
  return expect_summary("ops_test");
}
