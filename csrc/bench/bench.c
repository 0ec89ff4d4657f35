/*
 * dimple-bench: times one operation of a backend and prints operations per second (a multiply and an add are two): the median of
 * the repetitions, the best one, and, since other programs may take the processors away, operations per second of processor time.
 *
 *   dimple-bench [--op linear|swiglu|experts|attention|head|means|pack|peaks] [--backend NAME] [--type q4_0] [--rows 64] [--in 3584] [--out 18944]
 *                [--layers 4] [--threads 1] [--repeat 9] [--keys 1300] [--heads 28] [--kv-heads 4] [--size 128] [--window 0]
 *                [--list 0] [--kv-type f32] [--experts 128] [--used 8] [--down q4_0]
 *
 * linear, swiglu and head multiply [rows x in] by [in x out], and means is a head that also takes the mean of a table's rows [out x in] under
 * softmax; a head lists the `list` highest logits of each row, as filters want them; every repetition runs `layers` different weights, so that they
 * come from memory as in a model. pack uploads them, once in a repetition: an operation is a weight, and rows do not count. attention lets `rows`
 * queries see `keys` keys, kept in the type `kv-type`, in windows of `window` rows if that is not 0. experts sends every row to `used` of `experts`, whose
 * gates and ups are [in x out] and whose downs [out x in] are of the type `down`, as all others if it is not given. peaks prints what the machine
 * does at most (dimple_measure_peaks) and what a packed weight takes, for csrc/bench/roofline.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backend/backend.h"
#include "platform/platform.h"
#include "quant/kv_rows.h"

typedef struct settings {
  const char *op, *backend, *type, *kv_type, *down;
  int64_t experts, used;
  int64_t rows, in, out, layers, threads, repeat, keys, heads, kv_heads, size, window, list;
} settings;

typedef struct bench {
  settings s;
  const backend_operations *b;
  context *c;
  weight **weights; /* [layers] */
  weight **ups;     /* [layers], swiglu and experts */
  weight **downs;   /* [layers], experts */
  view chosen, share; /* [rows x used] */
  weight *table;    /* means */
  uint8_t *bytes;   /* of a weight, pack */
  view x, y, k, v;
  head_row *results;
  head_list list;   /* count 0: none */
  int32_t *spans;
  int32_t span_count;
} bench;

static void check(dimple_status status) {
  if (status == DIMPLE_OK) return;
  fprintf(stderr, "dimple-bench: %s\n", dimple_last_error());
  exit(1);
}

/* Of all threads; on Windows, C's clock is the wall's. */
static double processor_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static double seconds(void) { return 1e-9 * (double)platform_now(); }

static float noise(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

static view new_matrix(const bench *t, int64_t rows, int64_t columns) {
  float *values = malloc((size_t)(rows * columns) * sizeof(float));
  for (int64_t i = 0; i < rows * columns; i++) values[i] = noise();
  buffer *memory;
  check(t->b->buffer_alloc(t->c, rows * columns, &memory));
  view m = view_of(memory, rows, columns);
  check(t->b->pass_begin(t->c, NULL));
  check(t->b->pass_end(t->c, t->b->copy_in(t->c, m, values)));
  free(values);
  return m;
}

static const block_format *format_called(const char *name) {
  for (int32_t type = 0; type < 64; type++) {
    const block_format *f = block_format_of(type);
    if (f && strcmp(f->name, name) == 0) return f;
  }
  fprintf(stderr, "dimple-bench: no type is called %s\n", name);
  exit(2);
}

/* Keys or values as a cache has them. */
static view new_keys(const bench *t) {
  int32_t type = (int32_t)format_called(t->s.kv_type)->type;
  view floats = new_matrix(t, t->s.keys, t->s.kv_heads * t->s.size), packed = {0};
  if (type == DIMPLE_TENSOR_F32) return floats;
  int64_t elements = kv_row_elements(type, floats.columns);
  check(t->b->buffer_alloc(t->c, floats.rows * elements, &packed.memory));
  packed = view_of(packed.memory, floats.rows, elements);
  check(t->b->pass_begin(t->c, NULL));
  check(t->b->pass_end(t->c, t->b->pack_kv(t->c, packed, floats, type)));
  t->b->buffer_free(t->c, floats.memory);
  return packed;
}

/* A matrix, or a bank of them. */
typedef struct weight_shape {
  const char *type;
  int64_t matrices, out, in; /* matrices 0: no bank */
} weight_shape;

static weight_shape shape_of(const bench *t) { return (weight_shape){.type = t->s.type, .out = t->s.out, .in = t->s.in}; }

/* The bytes of a weight: a few random rows, over and over. */
static uint8_t *new_bytes(weight_shape w) {
  enum { DIFFERENT = 32 };
  const block_format *f = format_called(w.type);
  int64_t row_size = block_format_row_size(f, w.in), rows = w.out * (w.matrices ? w.matrices : 1), first = rows < DIFFERENT ? rows : DIFFERENT;
  float *values = malloc((size_t)(DIFFERENT * w.in) * sizeof(float));
  uint8_t *data = malloc((size_t)(rows * row_size));
  for (int64_t i = 0; i < DIFFERENT * w.in; i++) values[i] = noise();
  f->quantize(values, NULL, data, first * w.in / f->block_length);
  for (int64_t r = first; r < rows; r++) memcpy(data + r * row_size, data + r % DIFFERENT * row_size, (size_t)row_size);
  free(values);
  return data;
}

static weight *upload(const bench *t, weight_shape shape, const uint8_t *data, weight_use use) {
  tensor_source source = {.name = "bench", .type = (int32_t)format_called(shape.type)->type, .matrices = shape.matrices, .rows = shape.out, .columns = shape.in, .data = data};
  weight *w;
  check(t->b->weight_upload(t->c, &source, use, &w));
  return w;
}

static weight *new_weight(const bench *t, weight_shape shape) {
  uint8_t *data = new_bytes(shape);
  weight *w = upload(t, shape, data, WEIGHT_LINEAR);
  free(data);
  return w;
}

static bool is(const bench *t, const char *op) { return strcmp(t->s.op, op) == 0; }

/* Records the operation once. */
static dimple_status record(const bench *t) {
  const settings *s = &t->s;
  if (is(t, "attention"))
    return t->b->attention(t->c, &(attention_call){.q = t->x, .k = t->k, .v = t->v, .y = t->y, .heads = (int32_t)s->heads,
                                                   .kv_heads = (int32_t)s->kv_heads, .size = (int32_t)s->size,
                                                   .kv_type = (int32_t)format_called(s->kv_type)->type, .spans = t->spans,
                                                   .span_count = t->span_count});
  dimple_status status = DIMPLE_OK;
  for (int64_t i = 0; i < s->layers && status == DIMPLE_OK; i++) {
    if (is(t, "head") || is(t, "means")) {
      view means = t->table ? t->y : (view){0};
      const head_list *list = t->list.count > 0 ? &t->list : NULL;
      head_call call = {.x = t->x, .w = t->weights[i], .results = t->results, .list = list, .rows = t->table, .expected = means};
      status = t->b->head(t->c, &call);
    } else if (is(t, "experts")) {
      status = t->b->experts(t->c, &(experts_call){.x = t->x, .chosen = t->chosen, .share = t->share, .gate = t->weights[i], .up = t->ups[i],
                                                   .down = t->downs[i], .mode = LINEAR_GEGLU, .y = t->y});
    } else {
      linear_output out = {.w = t->weights[i], .up = t->ups[i], .y = t->y, .mode = t->ups[i] ? LINEAR_SWIGLU : LINEAR_STORE};
      status = t->b->linear(t->c, &(linear_call){t->x, &out, 1});
    }
  }
  return status;
}

/* One pass; returns multiplications and additions. */
static double run(const bench *t) {
  const settings *s = &t->s;
  if (is(t, "pack")) {
    for (int64_t i = 0; i < s->layers; i++) t->b->weight_free(upload(t, shape_of(t), t->bytes, WEIGHT_LINEAR));
    return (double)s->in * (double)s->out * (double)s->layers;
  }
  check(t->b->pass_begin(t->c, NULL));
  check(t->b->pass_end(t->c, record(t)));
  if (is(t, "attention")) return 4.0 * (double)s->rows * (double)(s->window ? s->window : s->keys) * (double)(s->heads * s->size);
  const double products = is(t, "experts") ? 3.0 * (double)s->used : is(t, "swiglu") || is(t, "means") ? 2 : 1;
  return 2.0 * (double)s->rows * (double)s->in * (double)s->out * (double)s->layers * products;
}

/* Every row's experts are different ones, drawn with equal chances. */
static void choose_experts(bench *t) {
  const settings *s = &t->s;
  float *numbers = malloc((size_t)(s->rows * s->used) * sizeof *numbers);
  int32_t *all = malloc((size_t)s->experts * sizeof *all);
  for (int32_t e = 0; e < s->experts; e++) all[e] = e;
  t->share = new_matrix(t, s->rows, s->used);
  t->chosen = new_matrix(t, s->rows, s->used);
  for (int64_t r = 0; r < s->rows; r++)
    for (int64_t i = 0; i < s->used; i++) {
      int64_t other = i + rand() % (s->experts - i);
      int32_t expert = all[other];
      all[other] = all[i];
      all[i] = expert;
      memcpy(&numbers[r * s->used + i], &expert, sizeof expert);
    }
  check(t->b->pass_begin(t->c, NULL));
  check(t->b->pass_end(t->c, t->b->copy_in(t->c, t->chosen, numbers)));
  free(numbers);
  free(all);
}

static void prepare(bench *t) {
  settings *s = &t->s;
  t->weights = calloc((size_t)s->layers, sizeof *t->weights);
  t->ups = calloc((size_t)s->layers, sizeof *t->ups);
  t->downs = calloc((size_t)s->layers, sizeof *t->downs);
  if (is(t, "attention")) {
    if (s->window) s->keys = s->rows;
    t->x = new_matrix(t, s->rows, s->heads * s->size);
    t->y = new_matrix(t, s->rows, s->heads * s->size);
    t->k = new_keys(t);
    t->v = new_keys(t);
    if (s->window) {
      t->spans = calloc((size_t)(s->rows / s->window + 2), sizeof *t->spans);
      while (t->spans[t->span_count] < s->rows) {
        int64_t next = t->spans[t->span_count] + s->window;
        t->spans[++t->span_count] = (int32_t)(next < s->rows ? next : s->rows);
      }
    }
    return;
  }
  if (is(t, "pack")) {
    t->bytes = new_bytes(shape_of(t));
    return;
  }
  t->x = new_matrix(t, s->rows, s->in);
  if (is(t, "means")) {
    t->bytes = new_bytes(shape_of(t));
    t->table = upload(t, shape_of(t), t->bytes, WEIGHT_ROWS);
    t->y = new_matrix(t, s->rows, s->in);
  }
  if (is(t, "head") || is(t, "means"))
    t->results = calloc((size_t)s->rows, sizeof *t->results);
  else
    t->y = new_matrix(t, s->rows, is(t, "experts") ? s->in : s->out);
  if (is(t, "experts")) choose_experts(t);
  if (s->list > 0) {
    t->list = (head_list){.count = (int32_t)s->list};
    t->list.tokens = calloc((size_t)(s->rows * s->list), sizeof *t->list.tokens);
    t->list.logits = calloc((size_t)(s->rows * s->list), sizeof *t->list.logits);
  }
  for (int64_t i = 0; i < s->layers; i++) {
    weight_shape shape = shape_of(t);
    if (is(t, "experts")) shape.matrices = s->experts;
    t->weights[i] = new_weight(t, shape);
    if (is(t, "swiglu") || is(t, "experts")) t->ups[i] = new_weight(t, shape);
    if (is(t, "experts")) t->downs[i] = new_weight(t, (weight_shape){.type = s->down ? s->down : s->type, .matrices = s->experts, .out = s->in, .in = s->out});
  }
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const bench *t) {
  double operations = run(t);
  double *times = malloc((size_t)t->s.repeat * sizeof *times);
  double processor = processor_seconds();
  for (int64_t i = 0; i < t->s.repeat; i++) {
    double start = seconds();
    run(t);
    times[i] = seconds() - start;
  }
  processor = processor_seconds() - processor;
  qsort(times, (size_t)t->s.repeat, sizeof *times, by_size);
  double median = times[t->s.repeat / 2], best = times[0];
  printf("%-16s %-9s", t->b->name, t->s.op);
  if (is(t, "attention"))
    printf(" %lld x %lld %s, heads %lld/%lld of %lld", (long long)t->s.rows, (long long)t->s.keys, t->s.kv_type, (long long)t->s.heads,
           (long long)t->s.kv_heads, (long long)t->s.size);
  else
    printf(" %-6s %lld x %lld -> %lld, %lld layers", t->s.type, (long long)t->s.rows, (long long)t->s.in, (long long)t->s.out, (long long)t->s.layers);
  printf(", %lld threads: %8.3f ms, %7.1f GOP/s (best %.1f; per processor second %.1f)\n", (long long)t->s.threads, median * 1e3,
         operations / median * 1e-9, operations / best * 1e-9, operations * (double)t->s.repeat / processor * 1e-9);
  free(times);
}

static void print_peaks(bench *t) {
  dimple_peaks peaks;
  if (!t->b->measure_peaks) {
    fprintf(stderr, "dimple-bench: %s does not measure what it does at most\n", t->b->name);
    exit(1);
  }
  check(t->b->measure_peaks(t->c, &peaks));
  weight *w = new_weight(t, shape_of(t));
  printf("%-16s peaks     %s, %lld threads: %lld products of 8 bits, %lld of floats, %lld bytes a second, %.4f bytes a weight\n", t->b->name, t->s.type,
         (long long)t->s.threads, (long long)peaks.int8_products, (long long)peaks.f32_products, (long long)peaks.memory_bytes,
         (double)t->b->weight_bytes(w) / ((double)t->s.in * (double)t->s.out));
  t->b->weight_free(w);
  t->b->context_close(t->c);
}

static void release(bench *t) {
  for (int64_t i = 0; i < t->s.layers; i++) {
    t->b->weight_free(t->weights[i]);
    t->b->weight_free(t->ups[i]);
    t->b->weight_free(t->downs[i]);
  }
  view matrices[] = {t->x, t->y, t->k, t->v, t->chosen, t->share};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) t->b->buffer_free(t->c, matrices[i].memory);
  t->b->weight_free(t->table);
  free(t->weights);
  free(t->bytes);
  free(t->ups);
  free(t->downs);
  free(t->results);
  free(t->list.tokens);
  free(t->list.logits);
  free(t->spans);
  t->b->context_close(t->c);
}

static int usage(const char *argument) {
  fprintf(stderr, "dimple-bench: %s: see the comment at the top of bench.c for the options\n", argument);
  return 2;
}

int main(int argc, char **argv) {
  bench t = {.s = {.op = "linear", .backend = "auto", .type = "q4_0", .kv_type = "f32", .rows = 64, .in = 3584, .out = 18944, .layers = 4, .threads = 1,
                   .repeat = 9, .keys = 1300, .heads = 28, .kv_heads = 4, .size = 128, .experts = 128, .used = 8}};
  settings *s = &t.s;
  const struct {
    const char *name;
    const char **text;
    int64_t *number;
    int64_t least;
  } options[] = {{"--op", &s->op, NULL, 0},          {"--backend", &s->backend, NULL, 0}, {"--type", &s->type, NULL, 0},
                 {"--rows", NULL, &s->rows, 1},       {"--in", NULL, &s->in, 1},           {"--out", NULL, &s->out, 1},
                 {"--layers", NULL, &s->layers, 1},   {"--threads", NULL, &s->threads, 1}, {"--repeat", NULL, &s->repeat, 1},
                 {"--keys", NULL, &s->keys, 1},       {"--heads", NULL, &s->heads, 1},     {"--kv-heads", NULL, &s->kv_heads, 1},
                 {"--size", NULL, &s->size, 1},       {"--window", NULL, &s->window, 0},
                 {"--list", NULL, &s->list, 0},       {"--kv-type", &s->kv_type, NULL, 0},
                 {"--experts", NULL, &s->experts, 1}, {"--used", NULL, &s->used, 1},       {"--down", &s->down, NULL, 0}};
  enum { OPTIONS = sizeof options / sizeof *options };
  for (int i = 1; i < argc; i += 2) {
    int o = 0;
    while (o < OPTIONS && strcmp(argv[i], options[o].name) != 0) o++;
    if (o == OPTIONS || i + 1 == argc) return usage(argv[i]);
    if (options[o].text) *options[o].text = argv[i + 1];
    if (options[o].number && (*options[o].number = atoll(argv[i + 1])) < options[o].least) return usage(argv[i + 1]);
  }
  if (!is(&t, "linear") && !is(&t, "swiglu") && !is(&t, "experts") && !is(&t, "attention") && !is(&t, "head") && !is(&t, "means") && !is(&t, "pack") &&
      !is(&t, "peaks"))
    return usage(s->op);
  if (!kv_type_is_known((int32_t)format_called(s->kv_type)->type)) return usage(s->kv_type);
  if (s->list > HEAD_LIST_MOST || (s->list > 0 && !is(&t, "head"))) return usage("--list");
  if (s->used > s->experts) return usage("--used");
  check(backend_select(s->backend, &t.b));
  check(t.b->context_open(t.b, (int32_t)s->threads, &t.c));
  if (is(&t, "peaks")) {
    print_peaks(&t);
    return 0;
  }
  prepare(&t);
  measure(&t);
  release(&t);
  return 0;
}
