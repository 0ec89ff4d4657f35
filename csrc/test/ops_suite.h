/*
 * The operation suite: every operation of every backend this machine can run, against the reference backend, for odd shapes, all
 * weight types, and 1, 2 and 3 threads, which must agree bit for bit. One program per kind of operation, ops_*_test.c; this
 * header is what they share: random inputs, the sides that are compared, matrices in their buffers.
 */
#ifndef DIMPLE_OPS_SUITE_H
#define DIMPLE_OPS_SUITE_H

#include <stdlib.h>

#include "backend/backend.h"
#include "expect.h"
#include "quant/block_formats.h"

/* Whether this run's weights are read from where they lie. */
static inline bool reads_unpacked(void) { return getenv("DIMPLE_TEST_UNPACKED") != NULL; }

/* ------------------------------------------------------------------------------------------------------- two sides */

/* A backend and one of its contexts. */
typedef struct side {
  const backend_operations *ops;
  context *context;
} side;

static side reference;
enum { CONTEXTS = 3 };
static side tested[CONTEXTS]; /* the backend under test with 1, 2 and 3 threads */

static inline const char *tested_name(void) { return tested[0].ops->name; }

/* A pass with one operation, whose status it gives. */
#define IN_PASS(s, operation) \
  ((s).ops->pass_begin((s).context, NULL) == DIMPLE_OK ? (s).ops->pass_end((s).context, (operation)) : DIMPLE_ERROR_STATE)

/* ------------------------------------------------------------------------------------------------------ random inputs */

static uint64_t random_state;

/* Every backend is tried with the same inputs, whichever others the machine has. */
static inline void begin_again(void) { random_state = 88172645463325252u; }

static inline uint32_t random_word(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (uint32_t)(random_state >> 32);
}

static inline float random_float(void) { return (float)random_word() * 0x1p-31f - 1; }

/* Roughly normal. */
static inline float random_normal(void) { return 1.7f * (random_float() + random_float() + random_float()) / 1.7320508f; }

static inline int32_t random_below(int32_t n) { return (int32_t)(random_word() % (uint32_t)n); }

static inline float *floats(int64_t count) {
  float *values = calloc((size_t)count + 1, sizeof *values);
  for (int64_t i = 0; i < count; i++) values[i] = random_normal();
  return values;
}

/* Activations that quantizing to 8 bits per 32 leaves as they are: a power of two times whole numbers up to 127, which occurs. */
static inline float *representable(int64_t count) {
  float *values = floats(count);
  for (int64_t first = 0; first < count; first += 32) {
    float unit = ldexpf(1, random_below(6) - 9);
    int64_t end = first + 32 < count ? first + 32 : count;
    for (int64_t i = first; i < end; i++) values[i] = unit * (float)(random_below(255) - 127);
    values[first + random_below((int32_t)(end - first))] = unit * 127;
  }
  return values;
}

/* ------------------------------------------------------------------------------------------------------------ matrices */

/* A matrix of a side, with `guard` floats behind every row that no operation may touch. */
typedef struct matrix {
  view v;
  int64_t guard;
} matrix;

enum { GUARD = 3 };
static const float guard_value = 12345;

static inline view whole(matrix m) {
  m.v.columns += m.guard;
  return m.v;
}

/* host: rows of `columns` floats, tight. */
static inline matrix place(const side *s, const float *host, int64_t rows, int64_t columns, int64_t guard) {
  int64_t stride = columns + guard, count = rows * stride;
  float *padded = calloc((size_t)count + 1, sizeof *padded);
  for (int64_t i = 0; i < count; i++) padded[i] = i % stride < columns ? host[i / stride * columns + i % stride] : guard_value;
  buffer *memory = NULL;
  EXPECT_OK(s->ops->buffer_alloc(s->context, count, &memory));
  matrix m = {{.memory = memory, .rows = rows, .columns = columns, .stride = stride}, guard};
  EXPECT_OK(IN_PASS(*s, s->ops->copy_in(s->context, whole(m), padded)));
  free(padded);
  return m;
}

/* The matrix as tight rows, for free(); checks that its guards are whole. */
static inline float *fetch(const side *s, matrix m, const char *what) {
  int64_t stride = m.v.columns + m.guard;
  float *padded = calloc((size_t)(m.v.rows * stride) + 1, sizeof *padded), *host = calloc((size_t)(m.v.rows * m.v.columns) + 1, sizeof *host);
  EXPECT_OK(IN_PASS(*s, s->ops->copy_out(s->context, padded, whole(m))));
  int64_t broken = -1;
  for (int64_t i = 0; i < m.v.rows * stride; i++) {
    if (i % stride < m.v.columns)
      host[i / stride * m.v.columns + i % stride] = padded[i];
    else if (padded[i] != guard_value)
      broken = i / stride;
  }
  EXPECT(broken < 0, "%s: %s: wrote beyond row %lld", s->ops->name, what, (long long)broken);
  free(padded);
  return host;
}

static inline void drop(const side *s, matrix m) { s->ops->buffer_free(s->context, m.v.memory); }

/* ----------------------------------------------------------------------------------------------------------- comparing */

static inline double largest(const float *values, int64_t count) {
  double most = 0;
  for (int64_t i = 0; i < count; i++) most = fabs(values[i]) > most ? fabs(values[i]) : most;
  return most;
}

/* |found - expected| <= limit, everywhere. */
static inline void expect_within(const float *found, const float *expected, int64_t count, double limit, const char *what) {
  for (int64_t i = 0; i < count; i++) {
    if (fabs(found[i] - expected[i]) <= limit) continue;
    EXPECT(false, "%s: %s: element %lld is %.9g, not %.9g within %.3g", tested_name(), what, (long long)i, (double)found[i],
           (double)expected[i], limit);
    return;
  }
  EXPECT(true, "close");
}

/* |found - expected| <= tolerance * the largest expected value. */
static inline void expect_close(const float *found, const float *expected, int64_t count, double tolerance, const char *what) {
  expect_within(found, expected, count, tolerance * largest(expected, count), what);
}

/* Whether the tested backend is a device of GGML's, which promises less than our own: no equal bits whatever rows share a call, rounder products. */
static inline bool is_device(void) { return backend_is_device(tested_name()); }

static inline void expect_same_bits(const float *found, const float *expected, int64_t count, const char *what) {
  EXPECT(memcmp(found, expected, (size_t)count * sizeof(float)) == 0, "%s: %s: bits differ", tested_name(), what);
}

/* How far floats may be off where sums are float32: GPUs may add up in half precision. */
static inline double float_tolerance(double ours) { return !is_device() ? ours : strcmp(tested_name(), "ggml:CPU") == 0 ? fmax(ours, 1e-5) : 2e-3; }

/* A row's result does not depend on the others of its call: bit for bit, but on devices. */
static inline void expect_independent(const float *found, const float *expected, int64_t count, const char *what) {
  if (is_device())
    expect_close(found, expected, count, float_tolerance(2e-5), what);
  else
    expect_same_bits(found, expected, count, what);
}

/* ------------------------------------------------------------------------------------------------------------- weights */

typedef struct test_weight {
  tensor_source source;
  uint8_t *data;
  weight *of_reference;
  weight *of_tested;
} test_weight;

static inline weight *weight_of(const test_weight *w, const side *s) { return s == &reference ? w->of_reference : w->of_tested; }

/* Blocks of random bits, of weights that are neither tiny nor huge, for a format that is not written. */
static inline void random_blocks(const block_format *format, uint8_t *target, int64_t blocks) {
  float decoded[256];
  for (int64_t b = 0; b < blocks; b++, target += format->block_size) {
    do {
      for (int i = 0; i < format->block_size; i++) target[i] = (uint8_t)random_below(256);
      format->dequantize(target, decoded, 1);
    } while (!(largest(decoded, format->block_length) > 0.01 && largest(decoded, format->block_length) < 1));
  }
}

/* Blocks that were made for a backend tried before: the next one is tried with the same, and to make them anew takes more time than the operations do. */
typedef struct made_blocks {
  dimple_tensor_type type;
  int64_t count;
  uint64_t values, state, state_after; /* a hash of the values; that of the random numbers before and after */
  uint8_t *data;
  struct made_blocks *next;
} made_blocks;

static made_blocks *made;

static inline uint64_t hash_of(const float *values, int64_t count) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof bits);
    hash = (hash ^ bits) * 0x100000001b3u;
  }
  return hash;
}

/* The blocks of `count` values in a format, in memory for free(). A format that is not written takes random blocks instead. */
static inline uint8_t *blocks_of(const block_format *format, const float *values, int64_t count) {
  int64_t blocks = count / format->block_length;
  size_t size = (size_t)(blocks * format->block_size);
  uint8_t *data = malloc(size);
  if (format->block_length == 1) {
    format->quantize(values, NULL, data, blocks);
    return data;
  }
  uint64_t hash = hash_of(values, count);
  made_blocks *m = made;
  while (m && !(m->type == format->type && m->count == count && m->values == hash && m->state == random_state)) m = m->next;
  if (!m) {
    m = malloc(sizeof *m);
    *m = (made_blocks){.type = format->type, .count = count, .values = hash, .state = random_state, .data = malloc(size), .next = made};
    if (format->quantize) format->quantize(values, NULL, m->data, blocks);
    else random_blocks(format, m->data, blocks);
    m->state_after = random_state;
    made = m;
  }
  random_state = m->state_after;
  memcpy(data, m->data, size);
  return data;
}

static inline void forget_made(void) {
  while (made) {
    made_blocks *m = made;
    made = m->next;
    free(m->data);
    free(m);
  }
}

/* Uploads to one side. A suite without its weight has nothing to go on with: it ends there, as one that failed. */
static inline weight *upload(const side *s, const tensor_source *source, weight_use use) {
  weight *w = NULL;
  dimple_status status = s->ops->weight_upload(s->context, source, use, &w);
  EXPECT(status == DIMPLE_OK && w, "%s: a weight of %s [%lld x %lld] is not uploaded: %s", s->ops->name, block_format_of(source->type)->name,
         (long long)source->rows, (long long)source->columns, dimple_last_error());
  if (status != DIMPLE_OK || !w) exit(expect_summary(s->ops->name));
  return w;
}

/* values [matrices * rows x columns]; matrices 0: no bank. */
static inline test_weight make_weight_from(const float *values, int32_t type, int64_t matrices, int64_t rows, int64_t columns, weight_use use) {
  test_weight w = {.source = {.name = "w", .type = type, .rows = rows, .columns = columns, .matrices = matrices},
                   .data = blocks_of(block_format_of(type), values, (matrices ? matrices : 1) * rows * columns)};
  w.source.data = w.data;
  if (use == WEIGHT_LINEAR && reads_unpacked()) use = WEIGHT_UNPACKED;
  w.of_reference = upload(&reference, &w.source, use);
  w.of_tested = upload(&tested[1], &w.source, use);
  EXPECT(tested[1].ops->weight_bytes(w.of_tested) > 0, "%s", w.source.name);
  return w;
}

static inline test_weight make_bank(int32_t type, int64_t matrices, int64_t rows, int64_t columns) {
  float *values = floats(matrices * rows * columns);
  test_weight w = make_weight_from(values, type, matrices, rows, columns, WEIGHT_LINEAR);
  free(values);
  return w;
}

static inline test_weight make_weight(int32_t type, int64_t rows, int64_t columns, weight_use use) {
  float *values = floats(rows * columns);
  test_weight w = make_weight_from(values, type, 0, rows, columns, use);
  free(values);
  return w;
}

static inline void free_weight(test_weight *w) {
  reference.ops->weight_free(w->of_reference);
  tested[1].ops->weight_free(w->of_tested);
  free(w->data);
}

/* How far products may be off, relative to the largest. Float sums differ in their order only, and integer products are exact for
 * activations that survive rounding to 8 bits; but the AMX kernels round both sides of products with types that have a scale for 16 inputs to 16 bits, and multiply
 * 16-bit floats with activations of 17 bits, which shows where few products nearly cancel. GGML rounds what it multiplies quantized blocks with to
 * 8 bits, up to 256 numbers by one scale, and what it multiplies 16-bit floats with to these. */
static inline double tolerance_of(int32_t type) {
  if (is_device()) return type == DIMPLE_TENSOR_F32 ? float_tolerance(1e-5) : block_format_of(type)->block_length > 1 ? 3e-2 : 5e-3;
  bool amx = strcmp(tested_name(), "cpu-amx") == 0;
  if (!amx || type == DIMPLE_TENSOR_F32) return 3e-6;
  if (block_format_of(type)->block_length == 1) return 5e-5;
  return block_format_of(type)->codes.halves == 2 ? 4e-4 : 3e-6;
}

/* ---------------------------------------------------------------------------------------------------------------- main */

static inline void check_backend(const backend_operations *ops, void (*check)(void)) {
  printf("%s\n", ops->name);
  begin_again();
  for (int i = 0; i < CONTEXTS; i++) {
    tested[i].ops = ops;
    EXPECT_OK(ops->context_open(ops, i + 1, &tested[i].context));
    EXPECT(ops->context_bytes(tested[i].context) > 0, "%s", ops->name);
  }
  check();
  for (int i = 0; i < CONTEXTS; i++) ops->context_close(tested[i].context);
}

/* main of a program of the suite: `check` runs for every backend but the reference, or for the one that argv names, which may be a plugin's. Under
 * sanitizers `deferred`, which computes as the reference does, is left to its own tests. */
static inline int run_suite(const char *name, void (*check)(void), int argc, char **argv) {
  if (backend_select("ref", &reference.ops) != DIMPLE_OK) return 1;
  EXPECT_OK(reference.ops->context_open(reference.ops, 1, &reference.context));
  bool any = false;
  const backend_operations *named = NULL;
  if (argc > 1)
    EXPECT_OK(backend_select(argv[1], &named));
  else
    for (const backend_operations *const *each = backend_list; *each; each++) {
      if (*each == reference.ops || !(*each)->available() || (SANITIZED && strcmp((*each)->name, "deferred") == 0)) continue;
      check_backend(*each, check);
      any = true;
    }
  if (named) check_backend(named, check);
  EXPECT(any || named, "this machine has no backend but the reference");
  reference.ops->context_close(reference.context);
  forget_made();
  return expect_summary(name);
}

#endif
