/* Attention: full, in windows, causal, block-causal, and with a key that a row does not see. */
#include "ops_suite.h"

#include "quant/kv_rows.h"

typedef struct attention_shape {
  int64_t query_rows, key_rows;
  int32_t heads, kv_heads, size;
} attention_shape;

typedef struct attention_case {
  attention_shape shape;
  const int32_t *spans;
  int32_t span_count;
  const int32_t *last_key, *skip_key, *first_key;
  float scale;
  const float *q, *k, *v;
  int32_t kv_type;
} attention_case;

/* Keys or values as a cache has them. */
static float *packed_rows(const attention_case *t, const float *rows) {
  int64_t width = (int64_t)t->shape.kv_heads * t->shape.size, elements = kv_row_elements(t->kv_type, width);
  float *packed = calloc((size_t)(t->shape.key_rows * elements), sizeof *packed);
  for (int64_t r = 0; r < t->shape.key_rows; r++) kv_row_pack(t->kv_type, rows + r * width, width, packed + r * elements);
  return packed;
}

static float *attend(const side *s, const attention_case *t, const char *what) {
  attention_shape n = t->shape;
  int64_t width = (int64_t)n.heads * n.size, elements = kv_row_elements(t->kv_type, (int64_t)n.kv_heads * n.size);
  float *before = floats(n.query_rows * width), *keys = packed_rows(t, t->k), *values = packed_rows(t, t->v);
  matrix q = place(s, t->q, n.query_rows, width, 3), k = place(s, keys, n.key_rows, elements, 1), v = place(s, values, n.key_rows, elements, 2);
  matrix y = place(s, before, n.query_rows, width, GUARD);
  attention_call call = {.q = q.v, .k = k.v, .v = v.v, .y = y.v, .heads = n.heads, .kv_heads = n.kv_heads, .size = n.size,
                         .kv_type = t->kv_type, .spans = t->spans, .span_count = t->span_count, .scale = t->scale, .first_key = t->first_key, .last_key = t->last_key,
                         .skip_key = t->skip_key};
  EXPECT_OK(IN_PASS(*s, s->ops->attention(s->context, &call)));
  float *found = fetch(s, y, what);
  matrix all[] = {q, k, v, y};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(s, all[i]);
  free(before);
  free(keys);
  free(values);
  return found;
}

static void check_seen(attention_shape n, const int32_t *spans, int32_t span_count, const int32_t *first_key, const int32_t *last_key,
                       const int32_t *skip_key) {
  char what[128];
  snprintf(what, sizeof what, "attention %lld x %lld, heads %d / %d of %d%s%s%s", (long long)n.query_rows, (long long)n.key_rows,
           n.heads, n.kv_heads, n.size, spans ? ", spans" : "", last_key ? ", last keys" : "", skip_key ? ", skipped keys" : "");
  int64_t width = (int64_t)n.heads * n.size, kv_width = (int64_t)n.kv_heads * n.size;
  float *q = floats(n.query_rows * width), *k = floats(n.key_rows * kv_width), *v = floats(n.key_rows * kv_width);
  for (int64_t i = 0; i < n.query_rows * width; i++) q[i] *= 3; /* so that some keys stand out */
  attention_case t = {n, spans, span_count, last_key, skip_key, first_key, first_key ? 1.3f / sqrtf((float)n.size) : 0, q, k, v, DIMPLE_TENSOR_F32};
  float *expected = attend(&reference, &t, what), *first = NULL;
  for (int c = 0; c < CONTEXTS; c++) {
    float *y = attend(&tested[c], &t, what);
    for (int64_t r = 0; r < n.query_rows && c == 0; r++) expect_close(y + r * width, expected + r * width, width, float_tolerance(1e-5), what);
    if (c == 0) {
      first = y;
    } else {
      expect_same_bits(y, first, n.query_rows * width, what);
      free(y);
    }
  }
  free(first);
  free(expected);
  free(q);
  free(k);
  free(v);
}

static void check_attention(attention_shape n, const int32_t *spans, int32_t span_count, const int32_t *last_key, const int32_t *skip_key) {
  check_seen(n, spans, span_count, NULL, last_key, skip_key);
}

static void check_full_and_windows(void) {
  static const attention_shape shapes[] = {{1, 1, 1, 1, 8},    {3, 5, 2, 1, 16},     {64, 64, 4, 4, 80},   {13, 300, 7, 1, 128},
                                           {100, 97, 3, 3, 20}, {33, 193, 6, 2, 64},  {5, 96, 2, 2, 256},   {97, 200, 8, 2, 33},
                                           {2, 11, 130, 1, 12}, {40, 1000, 4, 1, 128}, {30, 210, 4, 2, 512}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) check_attention(shapes[i], NULL, 0, NULL, NULL);

  static const int32_t windows[] = {0, 64, 68, 68, 165, 166};
  check_attention((attention_shape){166, 166, 4, 2, 80}, windows, 5, NULL, NULL);
  static const int32_t one[] = {0, 130};
  check_attention((attention_shape){130, 130, 2, 2, 16}, one, 1, NULL, NULL);
}

/* The last key a row sees: its own (causal), its block's last (block-causal), any. */
static void check_last_keys(void) {
  int32_t last[150];
  for (int i = 0; i < 150; i++) last[i] = i + 50;
  check_attention((attention_shape){150, 200, 4, 2, 32}, NULL, 0, last, NULL);
  for (int i = 0; i < 150; i++) last[i] = i;
  check_attention((attention_shape){150, 150, 4, 4, 64}, NULL, 0, last, NULL);
  for (int i = 0; i < 150; i++) last[i] = i / 32 * 32 + 31 < 150 ? i / 32 * 32 + 31 : 149;
  check_attention((attention_shape){150, 150, 4, 2, 64}, NULL, 0, last, NULL);
  for (int i = 0; i < 150; i++) last[i] = random_below(200);
  check_attention((attention_shape){150, 200, 14, 2, 24}, NULL, 0, last, NULL);
}

/* The first key a row sees: a sliding window, alone or with a span of rows that all see each other; and a scale of its own. A row's result
 * does not depend on the others of the call. */
static void check_first_keys(void) {
  enum { ROWS = 300 };
  int32_t first[ROWS], last[ROWS];
  for (int i = 0; i < ROWS; i++) {
    first[i] = i > 99 ? i - 99 : 0;
    last[i] = i;
  }
  check_seen((attention_shape){ROWS, ROWS, 4, 2, 32}, NULL, 0, first, last, NULL);
  check_seen((attention_shape){ROWS, ROWS, 2, 1, 512}, NULL, 0, first, last, NULL);
  for (int i = 150; i < 290; i++) {
    last[i] = 289;
    if (first[i] > 150) first[i] = 150;
  }
  check_seen((attention_shape){ROWS, ROWS, 8, 4, 24}, NULL, 0, first, last, NULL);
  check_seen((attention_shape){ROWS, ROWS, 2, 2, 16}, NULL, 0, first, NULL, NULL);

  attention_shape n = {ROWS, ROWS, 2, 1, 32};
  float *q = floats(ROWS * 64), *k = floats(ROWS * 32), *v = floats(ROWS * 32);
  attention_case all = {.shape = n, .first_key = first, .last_key = last, .q = q, .k = k, .v = v}, one = all;
  one.shape.query_rows = 1;
  one.first_key += 271;
  one.last_key += 271;
  one.q += 271 * 64;
  float *of_all = attend(&tested[0], &all, "a row among others"), *of_one = attend(&tested[0], &one, "a row alone");
  expect_independent(of_all + 271 * 64, of_one, 64, "a row alone");
  free(of_all);
  free(of_one);
  free(q);
  free(k);
  free(v);
}

/* Keys and values that are packed: the reference's bound holds for what is read, and what was rounded is off by no more than it may be. */
static void check_packed(attention_shape n, int32_t type, const int32_t *spans, int32_t span_count, const int32_t *last_key, double rounding) {
  int64_t width = (int64_t)n.heads * n.size, kv_width = (int64_t)n.kv_heads * n.size;
  float *q = floats(n.query_rows * width), *k = floats(n.key_rows * kv_width), *v = floats(n.key_rows * kv_width);
  attention_case t = {.shape = n, .spans = spans, .span_count = span_count, .last_key = last_key, .q = q, .k = k, .v = v}, packed = t;
  packed.kv_type = type;
  float *exact = attend(&reference, &t, "attention"), *expected = attend(&reference, &packed, "packed keys"), *first = NULL;
  expect_close(expected, exact, n.query_rows * width, rounding, "attention over rounded keys and values");
  for (int c = 0; c < CONTEXTS; c++) {
    float *y = attend(&tested[c], &packed, "packed keys");
    if (c == 0) expect_close(y, expected, n.query_rows * width, float_tolerance(1e-5), "packed keys and values");
    else expect_same_bits(y, first, n.query_rows * width, "packed keys and values");
    if (c == 0) first = y;
    else free(y);
  }
  float *all[] = {exact, expected, first, q, k, v};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

static void check_packed_keys(void) {
  static const attention_shape shapes[] = {{1, 1, 1, 1, 32}, {13, 300, 7, 1, 128}, {33, 193, 6, 2, 64}, {40, 200, 4, 2, 96}, {5, 97, 4, 2, 512}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    check_packed(shapes[i], DIMPLE_TENSOR_F16, NULL, 0, NULL, 1e-3);
    if (shapes[i].kv_heads * shapes[i].size % 64 == 0 || !backend_is_device(tested[0].ops->name)) /* a device's rows are whole elements */
      check_packed(shapes[i], DIMPLE_TENSOR_Q8_0, NULL, 0, NULL, 1.5e-2);
  }
  static const attention_shape odd[] = {{3, 5, 2, 1, 16}, {100, 97, 3, 3, 20}, {97, 200, 8, 2, 33}, {2, 11, 130, 1, 12}, {7, 30, 2, 2, 7}};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
    if (odd[i].kv_heads * odd[i].size % 2 == 0 || !backend_is_device(tested[0].ops->name)) check_packed(odd[i], DIMPLE_TENSOR_F16, NULL, 0, NULL, 1e-3);
  int32_t last[150];
  for (int i = 0; i < 150; i++) last[i] = i;
  check_packed((attention_shape){150, 150, 4, 2, 64}, DIMPLE_TENSOR_Q8_0, NULL, 0, last, 2e-2);
  static const int32_t windows[] = {0, 64, 68, 150};
  check_packed((attention_shape){150, 150, 4, 2, 32}, DIMPLE_TENSOR_Q8_0, windows, 3, NULL, 2e-2);
}

/* A key that a row does not see: its own, any, none; alone, with last keys, and in windows. */
static void check_skipped_keys(void) {
  int32_t skip[150], last[150];
  for (int i = 0; i < 150; i++) skip[i] = i + 50;
  check_attention((attention_shape){150, 200, 4, 2, 32}, NULL, 0, NULL, skip);
  for (int i = 0; i < 150; i++) skip[i] = i % 3 ? random_below(200) : -1;
  check_attention((attention_shape){150, 200, 6, 6, 40}, NULL, 0, NULL, skip);
  for (int i = 0; i < 150; i++) {
    last[i] = 1 + random_below(199);
    skip[i] = i % 2 ? last[i] : random_below(last[i]);
  }
  check_attention((attention_shape){150, 200, 4, 1, 64}, NULL, 0, last, skip);
  static const int32_t windows[] = {0, 64, 68, 150};
  for (int i = 0; i < 150; i++) skip[i] = i;
  check_attention((attention_shape){150, 150, 4, 2, 80}, windows, 3, NULL, skip);
  /* The first keys of a row may all be hidden: keys come in blocks, and a block may hold none it sees. */
  for (int i = 0; i < 150; i++) last[i] = 1, skip[i] = 0;
  check_attention((attention_shape){150, 200, 2, 2, 16}, NULL, 0, last, skip);
}

/* Scores far apart and equal: nothing overflows, and ties share. Without one of them the other has it all. */
static void check_attention_extremes(void) {
  enum { KEYS = 130, SIZE = 16 };
  float q[SIZE], k[KEYS * SIZE], v[KEYS * SIZE];
  for (int i = 0; i < SIZE; i++) q[i] = 1000;
  for (int j = 0; j < KEYS; j++)
    for (int i = 0; i < SIZE; i++) {
      k[j * SIZE + i] = j == 3 || j == 120 ? 10.0f : -10.0f;
      v[j * SIZE + i] = (float)j;
    }
  static const int32_t none = -1, third = 3;
  attention_case t = {.shape = {1, KEYS, 1, 1, SIZE}, .skip_key = &none, .q = q, .k = k, .v = v};
  float *shared = attend(&tested[1], &t, "extremes");
  t.skip_key = &third;
  float *alone = attend(&tested[1], &t, "extremes");
  for (int i = 0; i < SIZE; i++)
    EXPECT(fabsf(shared[i] - 61.5f) < 1e-4f && fabsf(alone[i] - 120) < 1e-4f, "%s: %g, %g", tested_name(), (double)shared[i], (double)alone[i]);
  free(shared);
  free(alone);
}

/* The CPU kernels' limit; the reference has none. */
static void check_head_size(void) {
  const side *s = &tested[0];
  if (strncmp(s->ops->name, "cpu-", 4) != 0) return;
  float zeros[1024] = {0};
  matrix m = place(s, zeros, 1, 1024, 0);
  attention_call huge = {.q = m.v, .k = m.v, .v = m.v, .y = m.v, .heads = 1, .kv_heads = 1, .size = 1024};
  EXPECT_FAILS(IN_PASS(*s, s->ops->attention(s->context, &huge)), DIMPLE_ERROR_UNSUPPORTED, "1024");
  drop(s, m);
}

static void check_attentions(void) {
  check_full_and_windows();
  check_last_keys();
  check_first_keys();
  check_packed_keys();
  check_skipped_keys();
  check_attention_extremes();
  check_head_size();
}

int main(int argc, char **argv) { return run_suite("ops_attention_test", check_attentions, argc, argv); }
