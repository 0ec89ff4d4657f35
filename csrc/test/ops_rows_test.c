/* Buffers, passes, and operations on rows: moving them, the norm, the rotation. */
#include "ops_suite.h"

#include "quant/kv_rows.h"

static void check_buffers(void) {
  const side *s = &tested[0];
  float host[6] = {1, 2, 3, 4, 5, 6}, back[6] = {0};
  matrix m = place(s, host, 2, 3, 2);
  EXPECT_OK(IN_PASS(*s, s->ops->copy_out(s->context, back, m.v)));
  expect_same_bits(back, host, 6, "copy_in and copy_out of rows that lie apart");
  EXPECT_OK(IN_PASS(*s, s->ops->copy_out(s->context, back, view_columns(view_rows(m.v, 1, 1), 1, 2))));
  EXPECT(back[0] == 5 && back[1] == 6, "%s: part of a matrix is %g, %g", s->ops->name, (double)back[0], (double)back[1]);
  drop(s, m);
  s->ops->buffer_free(s->context, NULL);
  buffer *memory = NULL;
  EXPECT_FAILS(s->ops->buffer_alloc(s->context, INT64_MAX, &memory), DIMPLE_ERROR_MEMORY, "activations");
}

/* What the host gives goes in when it is recorded, operations run in order, and what it asked for is there after the end. */
static void check_passes(void) {
  const side *s = &tested[1];
  float host[4] = {1, 2, 3, 4}, back[4] = {0}, again[4] = {0};
  int32_t index[2] = {1, 0};
  matrix x = place(s, host, 2, 2, 0), y = place(s, host, 2, 2, 0);
  EXPECT_OK(s->ops->pass_begin(s->context, NULL));
  EXPECT_OK(s->ops->gather_rows(s->context, y.v, x.v, index));
  index[0] = index[1] = 7;
  EXPECT_OK(s->ops->copy_out(s->context, back, y.v));
  host[0] = 10;
  EXPECT_OK(s->ops->copy_in(s->context, x.v, host));
  host[0] = 20;
  EXPECT_OK(s->ops->copy_out(s->context, again, x.v));
  EXPECT_OK(s->ops->pass_end(s->context, DIMPLE_OK));
  EXPECT(back[0] == 3 && back[1] == 4 && back[2] == 1 && back[3] == 2, "%s: gathered %g, %g, %g, %g", s->ops->name, (double)back[0],
         (double)back[1], (double)back[2], (double)back[3]);
  EXPECT(again[0] == 10, "%s: copied in after it was recorded: %g", s->ops->name, (double)again[0]);
  drop(s, x);
  drop(s, y);
}

/* A checkpoint stops the pass it is in and takes the request back; a failed recording is what the end returns. */
static void check_cancelling(void) {
  const side *s = &tested[1];
  atomic_bool cancelled = true;
  EXPECT_OK(s->ops->pass_begin(s->context, &cancelled));
  EXPECT_FAILS(s->ops->pass_end(s->context, s->ops->checkpoint(s->context)), DIMPLE_ERROR_CANCELLED, "cancelled");
  EXPECT(!atomic_load(&cancelled), "%s: the request is still there", s->ops->name);
  EXPECT_OK(s->ops->pass_begin(s->context, &cancelled));
  EXPECT_OK(s->ops->pass_end(s->context, s->ops->checkpoint(s->context)));
  EXPECT_OK(IN_PASS(*s, s->ops->checkpoint(s->context)));
  EXPECT_OK(s->ops->pass_begin(s->context, NULL));
  EXPECT(s->ops->pass_end(s->context, DIMPLE_ERROR_LIMIT) == DIMPLE_ERROR_LIMIT, "%s: a failed recording ends well", s->ops->name);
  EXPECT_OK(IN_PASS(*s, s->ops->checkpoint(s->context)));
}

static void check_embed_rows(void) {
  static const int32_t types[] = {DIMPLE_TENSOR_F32, DIMPLE_TENSOR_F16, DIMPLE_TENSOR_BF16, DIMPLE_TENSOR_Q4_0, DIMPLE_TENSOR_Q6_K};
  static const int32_t ids[] = {6, 0, 6, 2, 1};
  enum { COUNT = sizeof ids / sizeof *ids, COLUMNS = 256 };
  float zeros[COUNT * COLUMNS] = {0};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    test_weight w = make_weight(types[i], 7, COLUMNS, WEIGHT_ROWS);
    matrix y = place(&reference, zeros, COUNT, COLUMNS, GUARD);
    EXPECT_OK(IN_PASS(reference, reference.ops->embed_rows(reference.context, y.v, w.of_reference, ids)));
    float *expected = fetch(&reference, y, "embed_rows");
    drop(&reference, y);
    for (int c = 0; c < CONTEXTS; c++) {
      const side *s = &tested[c];
      y = place(s, zeros, COUNT, COLUMNS, GUARD);
      EXPECT_OK(IN_PASS(*s, s->ops->embed_rows(s->context, y.v, w.of_tested, ids)));
      float *found = fetch(s, y, "embed_rows");
      expect_same_bits(found, expected, COUNT * COLUMNS, "embed_rows");
      free(found);
      drop(s, y);
    }
    free(expected);
    free_weight(&w);
  }
}

enum { MOVED_ROWS = 300, MOVED_COLUMNS = 77, MOVED = 290 };

static float *move_rows(const side *s, const float *x, const float *before, const int32_t *index, bool scatter) {
  matrix from = place(s, x, MOVED_ROWS, MOVED_COLUMNS, 1), y = place(s, before, MOVED_ROWS, MOVED_COLUMNS, GUARD);
  if (scatter)
    EXPECT_OK(IN_PASS(*s, s->ops->scatter_rows(s->context, y.v, view_rows(from.v, 0, MOVED), index)));
  else
    EXPECT_OK(IN_PASS(*s, s->ops->gather_rows(s->context, view_rows(y.v, 0, MOVED), from.v, index)));
  float *found = fetch(s, y, "moved rows");
  drop(s, from);
  drop(s, y);
  return found;
}

static void check_moving_rows(void) {
  int32_t index[MOVED];
  for (int i = 0; i < MOVED; i++) index[i] = (i * 7 + 3) % MOVED_ROWS;
  index[5] = index[4]; /* of equal rows the last one wins */
  int64_t count = MOVED_ROWS * MOVED_COLUMNS;
  float *x = floats(count), *before = floats(count);
  for (int scatter = 0; scatter < 2; scatter++) {
    float *expected = move_rows(&reference, x, before, index, scatter);
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = move_rows(&tested[c], x, before, index, scatter);
      expect_same_bits(found, expected, count, scatter ? "scatter_rows" : "gather_rows");
      free(found);
    }
    EXPECT(scatter ? expected[index[4] * MOVED_COLUMNS] == x[5 * MOVED_COLUMNS] : expected[0] == x[index[0] * MOVED_COLUMNS], "the reference moves rows wrongly");
    free(expected);
  }
  free(x);
  free(before);
}

/* Packed by a backend, the last rows by a call of their own as a cache's are, widened here. */
static float *packed_and_back(const side *s, int32_t type, const float *x, int64_t rows, int64_t width, int64_t apart) {
  int64_t elements = kv_row_elements(type, width), first = rows / 3;
  matrix from = place(s, x, rows, width, GUARD), packed = place(s, x, rows, elements, apart);
  if (first > 0) EXPECT_OK(IN_PASS(*s, s->ops->pack_kv(s->context, view_rows(packed.v, 0, first), view_rows(from.v, 0, first), type)));
  EXPECT_OK(IN_PASS(*s, s->ops->pack_kv(s->context, view_rows(packed.v, first, rows - first), view_rows(from.v, first, rows - first), type)));
  float *found = fetch(s, packed, "pack_kv"), *wide = floats(rows * width);
  for (int64_t r = 0; r < rows; r++) kv_row_unpack(type, found + r * elements, width, wide + r * width);
  free(found);
  drop(s, from);
  drop(s, packed);
  return wide;
}

/* A rounding is off by half a step at most, 2^-11 of a number or 1/254 of its block's largest; a device may take the step beside it. */
static void check_packed(int32_t type, int64_t width, double off) {
  enum { ROWS = 9 };
  bool device = backend_is_device(tested[0].ops->name), codes = type == DIMPLE_TENSOR_Q8_0;
  float *x = floats(ROWS * width);
  x[width + 1] = codes ? 0 : 1e-8f;
  x[0] = codes ? 100.0f : 1e6f;
  x[1] = codes ? -100.0f : -1e6f;
  float *expected = packed_and_back(&reference, type, x, ROWS, width, 0);
  EXPECT(codes || (expected[0] == 65504 && expected[1] == -65504), "%g, %g", (double)expected[0], (double)expected[1]);
  EXPECT(!codes || fabsf(expected[0] - 100) < 0.05f, "%g", (double)expected[0]);
  expect_close(expected + width, x + width, (ROWS - 1) * width, off, "packed rows");
  for (int c = 0; c < CONTEXTS; c++) {
    float *found = packed_and_back(&tested[c], type, x, ROWS, width, c); /* rows of a cache lie right behind each other */
    if (device) expect_close(found + width, expected + width, (ROWS - 1) * width, 2 * off, "packed rows");
    else expect_same_bits(found, expected, ROWS * width, "packed rows");
    free(found);
  }
  free(expected);
  free(x);
}

/* NaN stays that, in Q8_0 for all its block, as infinity does, and for no other. */
static void check_packed_nan(int32_t type) {
  enum { WIDTH = 128 };
  float x[WIDTH] = {[3] = NAN, [40] = 5, [70] = type == DIMPLE_TENSOR_Q8_0 ? INFINITY : NAN, [100] = 1};
  if (backend_is_device(tested[0].ops->name)) return; /* what a device makes of NaN is its own */
  float *found = packed_and_back(&tested[0], type, x, 1, WIDTH, 1);
  bool others = fabsf(found[40] - 5) < 5e-3f && fabsf(found[100] - 1) < 1e-3f;
  EXPECT(isnan(found[3]) && isnan(found[70]) && others, "%s: %g, %g, %g, %g", tested_name(), (double)found[3], (double)found[70], (double)found[40],
         (double)found[100]);
  free(found);
}

static void check_packing(void) {
  static const int64_t widths[] = {2, 14, 16, 30, 64, 254};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) check_packed(DIMPLE_TENSOR_F16, widths[i], 5e-4);
  check_packed(DIMPLE_TENSOR_Q8_0, 64, 4.1e-3);
  check_packed(DIMPLE_TENSOR_Q8_0, 512, 4.1e-3);
  if (!backend_is_device(tested[0].ops->name)) check_packed(DIMPLE_TENSOR_Q8_0, 96, 4.1e-3); /* rows of GGML's are whole elements */
  check_packed_nan(DIMPLE_TENSOR_F16);
  check_packed_nan(DIMPLE_TENSOR_Q8_0);
}

static float *norm_rows(const side *s, const test_weight *w, const float *x, int64_t rows, int64_t columns, bool in_place) {
  matrix from = place(s, x, rows, columns, GUARD), y = place(s, x, rows, columns, GUARD);
  view target = in_place ? from.v : y.v;
  EXPECT_OK(IN_PASS(*s, s->ops->rms_norm(s->context, target, from.v, w ? weight_of(w, s) : NULL, 1e-6f)));
  float *found = fetch(s, in_place ? from : y, "rms_norm");
  drop(s, from);
  drop(s, y);
  return found;
}

static float *layer_norm_rows(const side *s, const test_weight *w, const test_weight *b, const float *x, int64_t rows, int64_t columns, bool in_place) {
  matrix from = place(s, x, rows, columns, GUARD), y = place(s, x, rows, columns, GUARD);
  view target = in_place ? from.v : y.v;
  EXPECT_OK(IN_PASS(*s, s->ops->layer_norm(s->context, target, from.v, weight_of(w, s), weight_of(b, s), 1e-6f)));
  float *found = fetch(s, in_place ? from : y, "layer_norm");
  drop(s, from);
  drop(s, y);
  return found;
}

/* Some rows lie far from 0: the mean of squares less the square of the mean is no variance there. */
static void check_layer_norm(void) {
  static const int64_t widths[] = {2, 3, 16, 31, 32, 33, 60, 300, 1280};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    int64_t rows = 19, columns = widths[i];
    test_weight w = make_weight(DIMPLE_TENSOR_F32, 1, columns, WEIGHT_VECTOR), b = make_weight(DIMPLE_TENSOR_F32, 1, columns, WEIGHT_VECTOR);
    float *x = floats(rows * columns);
    for (int64_t j = 0; j < 4 * columns; j++) x[j] += j < 3 * columns ? 5 : 50;
    float *expected = layer_norm_rows(&reference, &w, &b, x, rows, columns, false);
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = layer_norm_rows(&tested[c], &w, &b, x, rows, columns, false), *same = layer_norm_rows(&tested[c], &w, &b, x, rows, columns, true);
      expect_close(found, expected, rows * columns, 1e-5, "layer_norm");
      expect_same_bits(same, found, rows * columns, "layer_norm in place");
      free(found);
      free(same);
    }
    free(x);
    free(expected);
    free_weight(&w);
    free_weight(&b);
  }
}

static void check_rms_norm(void) {
  static const int64_t widths[] = {1, 3, 16, 31, 32, 33, 60, 300, 3584};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    int64_t rows = 19, columns = widths[i];
    test_weight w = make_weight(DIMPLE_TENSOR_F32, 1, columns, WEIGHT_VECTOR);
    float *x = floats(rows * columns), *expected = norm_rows(&reference, &w, x, rows, columns, false);
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = norm_rows(&tested[c], &w, x, rows, columns, false), *same = norm_rows(&tested[c], &w, x, rows, columns, true);
      expect_close(found, expected, rows * columns, 2e-6, "rms_norm");
      expect_same_bits(same, found, rows * columns, "rms_norm in place");
      free(found);
      free(same);
    }
    float *bare_expected = norm_rows(&reference, NULL, x, rows, columns, false), *bare = norm_rows(&tested[2], NULL, x, rows, columns, true);
    expect_close(bare, bare_expected, rows * columns, 2e-6, "rms_norm without weights");
    free(bare);
    free(bare_expected);
    free(x);
    free(expected);
    free_weight(&w);
  }
}

static float *add_to_rows(const side *s, const float *before, const float *x, int64_t rows, int64_t columns, bool alone, float factor) {
  matrix from = place(s, x, rows, columns, 2), y = place(s, before, rows, columns, GUARD);
  EXPECT_OK(IN_PASS(*s, s->ops->add_rows(s->context, y.v, alone ? (view){0} : from.v, factor)));
  float *found = fetch(s, y, "add_rows");
  drop(s, from);
  drop(s, y);
  return found;
}

static void check_add_rows(void) {
  enum { ROWS = 7, COLUMNS = 45 };
  float *x = floats(ROWS * COLUMNS), *before = floats(ROWS * COLUMNS);
  for (int alone = 0; alone < 2; alone++) {
    float *expected = add_to_rows(&reference, before, x, ROWS, COLUMNS, alone, 1.75f);
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = add_to_rows(&tested[c], before, x, ROWS, COLUMNS, alone, 1.75f);
      expect_same_bits(found, expected, ROWS * COLUMNS, "add_rows");
      free(found);
    }
    free(expected);
  }
  /* Factor 0 is how memory that nobody wrote yet becomes 0. */
  for (int64_t i = 0; i < ROWS * COLUMNS; i++) before[i] = i % 3 ? NAN : INFINITY;
  for (int c = -1; c < CONTEXTS; c++) {
    float *found = add_to_rows(c < 0 ? &reference : &tested[c], before, x, ROWS, COLUMNS, c % 2 == 0, 0), sum = 0;
    for (int64_t i = 0; i < ROWS * COLUMNS; i++) sum += found[i] * found[i];
    EXPECT(sum == 0, "%s: add_rows leaves %g where the factor is 0", tested_name(), (double)sum);
    free(found);
  }
  free(x);
  free(before);
}

/* What an adjustment has: bits 0 to 4 stand for minus, times, low, high and a gate, bit 5 for y in place of x. */
static float *adjust_rows(const side *s, int parts, const test_weight *w, const float *x, const float *gate, int64_t rows, int64_t columns) {
  matrix from = place(s, x, rows, columns, 2), by = place(s, gate, rows, columns, 3), y = place(s, gate, rows, columns, GUARD);
  bool in_place = parts & 32;
  adjust_call call = {.x = from.v, .y = in_place ? from.v : y.v, .gate = parts & 16 ? by.v : (view){0},
                      .minus = parts & 1 ? weight_of(&w[0], s) : NULL, .times = parts & 2 ? weight_of(&w[1], s) : NULL,
                      .low = parts & 4 ? weight_of(&w[2], s) : NULL, .high = parts & 8 ? weight_of(&w[3], s) : NULL};
  EXPECT_OK(IN_PASS(*s, s->ops->adjust(s->context, &call)));
  float *found = fetch(s, in_place ? from : y, "adjust");
  drop(s, from);
  drop(s, by);
  drop(s, y);
  return found;
}

static void check_adjust(void) {
  enum { ROWS = 9, COLUMNS = 45 };
  test_weight w[4];
  for (int i = 0; i < 4; i++) w[i] = make_weight(DIMPLE_TENSOR_F32, 1, i < 2 ? COLUMNS : 1, WEIGHT_VECTOR);
  float *x = floats(ROWS * COLUMNS), *gate = floats(ROWS * COLUMNS);
  for (int parts = 0; parts < 64; parts++) {
    float *expected = adjust_rows(&reference, parts, w, x, gate, ROWS, COLUMNS);
    if (parts == 0) expect_same_bits(expected, x, ROWS * COLUMNS, "nothing to adjust");
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = adjust_rows(&tested[c], parts, w, x, gate, ROWS, COLUMNS);
      expect_close(found, expected, ROWS * COLUMNS, 2e-6, "adjust");
      free(found);
    }
    free(expected);
  }
  for (int i = 0; i < 4; i++) free_weight(&w[i]);
  free(x);
  free(gate);
}

typedef struct rotary_case {
  int32_t size, heads, stride;
  int64_t rows;
  const float *x, *cosine, *sine; /* [rows x heads * size], [rows x size/2] */
  const int32_t *angle_rows;
} rotary_case;

static float *rotate_rows(const side *s, const rotary_case *t) {
  matrix x = place(s, t->x, t->rows, (int64_t)t->heads * t->stride, 4);
  matrix cosine = place(s, t->cosine, t->rows, t->size / 2, 1), sine = place(s, t->sine, t->rows, t->size / 2, 2);
  rotary_call call = {x.v, t->heads, t->size, cosine.v, sine.v, t->angle_rows, t->stride == t->size ? 0 : t->stride};
  EXPECT_OK(IN_PASS(*s, s->ops->rotary(s->context, &call)));
  float *found = fetch(s, x, "rotary");
  drop(s, x);
  drop(s, cosine);
  drop(s, sine);
  return found;
}

static void check_rotary(void) {
  enum { ROWS = 50, HEADS = 3 };
  static const int32_t sizes[] = {2, 6, 16, 60, 80, 128};
  int32_t angle_rows[ROWS];
  for (int i = 0; i < ROWS; i++) angle_rows[i] = (i * 3 + 1) % ROWS;
  for (size_t i = 0; i < 2 * (sizeof sizes / sizeof *sizes); i++) {
    int32_t size = sizes[i / 2], stride = i % 2 ? size : 2 * size;
    float *x = floats(ROWS * HEADS * stride), *cosine = floats(ROWS * size / 2), *sine = floats(ROWS * size / 2);
    rotary_case t = {size, HEADS, stride, ROWS, x, cosine, sine, i % 2 ? angle_rows : NULL};
    float *expected = rotate_rows(&reference, &t);
    for (int c = 0; c < CONTEXTS; c++) {
      float *found = rotate_rows(&tested[c], &t);
      expect_close(found, expected, ROWS * HEADS * stride, 1e-6, "rotary");
      free(found);
    }
    free(x);
    free(cosine);
    free(sine);
    free(expected);
  }
}

static void check_rows(void) {
  check_buffers();
  check_passes();
  check_cancelling();
  check_embed_rows();
  check_moving_rows();
  check_packing();
  check_rms_norm();
  check_layer_norm();
  check_add_rows();
  check_adjust();
  check_rotary();
}

int main(int argc, char **argv) { return run_suite("ops_rows_test", check_rows, argc, argv); }
