/* Layers of one model that differ in heads, head size, rotary and feed-forward half: the text pass against plain loops. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"
#include "model/architecture.h"
#include "model/text.h"
#include "test/expect.h"
#include "test/random_model.h"

enum { ROWS = 9, FIRST_ROWS = 5, BODY_WIDTH = 24, BODY_LAYERS = 3, BODY_VOCAB = 16, WIDEST = 64 };

/* A dense layer, one with experts and norms of heads, and a dense one with as many keys as queries. */
static const layer_parameters shapes[BODY_LAYERS] = {
    {.heads = 4, .kv_heads = 2, .head_size = 8, .rotary = 0, .feed_forward = 40},
    {.heads = 2, .kv_heads = 1, .head_size = 12, .rotary = 1, .experts = 4, .experts_used = 2, .feed_forward = 20},
    {.heads = 3, .kv_heads = 3, .head_size = 6, .rotary = 2, .feed_forward = 56}};

static const rotary_parameters rotaries[BODY_LAYERS] = {
    {.size = 8, .base = 1e4f, .sections = {4, 0, 0}, .scaling = {.factor = 1, .magnitude = 1}},
    {.size = 12, .base = 100, .sections = {2, 3, 1}, .scaling = {.factor = 2, .magnitude = 1.25f}},
    {.size = 6, .base = 10, .sections = {1, 1, 1}, .scaling = {.factor = 4, .kept = 1, .fast = 0, .slow = 2, .magnitude = 1.125f}}};

/* ------------------------------------------------------------------------------------------------------------------ the model */

/* Element i of the tensor called `name`: a norm's lie about 1, the others about 0. */
static float element(const char *name, int64_t i) {
  uint32_t key = 2166136261u;
  for (const char *c = name; *c; c++) key = (key ^ (unsigned char)*c) * 16777619u;
  float x = (float)(draw_word(key, (uint32_t)i, 0, 0, 0) >> 8) / (float)(1 << 23) - 1;
  return strstr(name, "norm") ? 1 + 0.3f * x : 0.4f * x;
}

static void put_tensors(gguf_writer *w, const tensor_list *list) {
  for (int64_t t = 0; t < list->count; t++) {
    const wanted_tensor *wanted = &list->tensors[t];
    int64_t rows = (wanted->want.matrices ? wanted->want.matrices : 1) * wanted->want.rows, count = rows * wanted->want.columns;
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; i++) values[i] = element(wanted->name, i);
    gguf_writer_tensor(w, wanted->name, 2, (uint64_t[]){(uint64_t)wanted->want.columns, (uint64_t)rows}, DIMPLE_TENSOR_F32, values);
    free(values);
  }
}

static void want_body(tensor_list *list, const text_parameters *p, text_weights *w) {
  want_matrix(list, WEIGHT_ROWS, p->vocab, p->width, &w->embedding, "embedding");
  want_vector(list, p->width, &w->output_norm, "norm");
  for (int32_t i = 0; i < p->layers; i++) {
    const layer_parameters *l = &p->layer[i];
    block_weights *b = &w->layers[i];
    want_vector(list, p->width, &b->norm1, "%d.norm1", i);
    want_vector(list, p->width, &b->norm2, "%d.norm2", i);
    want_linear(list, layer_query_width(l), p->width, BIAS_NONE, &b->q, "%d.q", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &b->k, "%d.k", i);
    want_linear(list, layer_kv_width(l), p->width, BIAS_NONE, &b->v, "%d.v", i);
    want_linear(list, p->width, layer_query_width(l), BIAS_NONE, &b->output, "%d.output", i);
    if (l->experts) {
      want_vector(list, l->head_size, &b->q_norm, "%d.q_norm", i);
      want_vector(list, l->head_size, &b->k_norm, "%d.k_norm", i);
      want_matrix(list, WEIGHT_LINEAR, l->experts, p->width, &b->router, "%d.router", i);
      want_bank(list, l->experts, l->feed_forward, p->width, &b->expert_gate, "%d.gate.weight", i);
      want_bank(list, l->experts, l->feed_forward, p->width, &b->expert_up, "%d.up.weight", i);
      want_bank(list, l->experts, p->width, l->feed_forward, &b->expert_down, "%d.down.weight", i);
    } else {
      want_linear(list, l->feed_forward, p->width, BIAS_NONE, &b->gate, "%d.gate", i);
      want_linear(list, l->feed_forward, p->width, BIAS_NONE, &b->up, "%d.up", i);
      want_linear(list, p->width, l->feed_forward, BIAS_NONE, &b->down, "%d.down", i);
    }
  }
}

static dimple_status record_layer(layer *l) {
  bool experts = l->parameters->experts > 0;
  dimple_status status = layer_project(l);
  if (status == DIMPLE_OK && experts) status = layer_norm_heads(l);
  if (status == DIMPLE_OK) status = layer_rotate(l);
  if (status == DIMPLE_OK) status = layer_attend(l);
  return status == DIMPLE_OK ? (experts ? layer_experts : layer_feed_forward)(l) : status;
}

static const architecture mixed = {.name = "mixed", .want_tensors = want_body, .record_layer = record_layer};

static dimple_model model;
static block_weights layer_weights[BODY_LAYERS];
static context *threads;

static void open_model(bool causal) {
  model = (dimple_model){.text = {.architecture = &mixed, .layers = BODY_LAYERS, .rotaries = BODY_LAYERS, .width = BODY_WIDTH,
                                  .vocab = BODY_VOCAB, .norm_epsilon = 1e-5f, .causal = causal}};
  memset(layer_weights, 0, sizeof layer_weights);
  memcpy(model.text.layer, shapes, sizeof shapes);
  memcpy(model.text.rotary, rotaries, sizeof rotaries);
  model.weights.layers = layer_weights;
  model.text_tensors = tensor_list_of(&model.files);
  want_body(&model.text_tensors, &model.text, &model.weights);
  gguf_writer w = {0};
  char path[64];
  put_tensors(&w, &model.text_tensors);
  temporary_file(&w, path);
  EXPECT_OK(gguf_parts_open(path, &model.files));
  remove(path);
  EXPECT_OK(backend_select(backend_under_test(), &model.ops));
  EXPECT_OK(model.ops->context_open(model.ops, 2, &threads));
  EXPECT_OK(tensor_list_check_all(&model.text_tensors));
  EXPECT_OK(tensor_list_load(&model.text_tensors, model.ops, threads, &model.totals));
}

static void close_model(void) {
  tensor_list_unload(&model.text_tensors, model.ops);
  model.ops->context_close(threads);
  tensor_list_close(&model.text_tensors);
  gguf_parts_close(&model.files);
}

/* ---------------------------------------------------------------------------------------------------------------- plain loops */

static const int32_t tokens[ROWS] = {3, 0, 15, 7, 7, 1, 12, 9, 4};

static int32_t coordinate(int axis, int row) { return axis == 0 ? row : axis == 1 ? 2 * row : row / 2; }

static void plain_norm(const char *name, const double *x, int width, double *y) {
  double sum = 0;
  for (int i = 0; i < width; i++) sum += x[i] * x[i];
  for (int i = 0; i < width; i++) y[i] = element(name, i) * x[i] / sqrt(sum / width + 1e-5);
}

/* y += scale * W x; the matrix begins at row `first` of the tensor. */
static void plain_linear(const char *name, int first, const double *x, int columns, int rows, double scale, double *y) {
  for (int r = 0; r < rows; r++) {
    double sum = 0;
    for (int i = 0; i < columns; i++) sum += element(name, (int64_t)(first + r) * columns + i) * x[i];
    y[r] += scale * sum;
  }
}

static const char *part(int layer_index, const char *name) {
  static char text[4][32];
  static int next;
  next = (next + 1) % 4;
  snprintf(text[next], sizeof text[next], "%d.%s", layer_index, name);
  return text[next];
}

/* The part of frequency j that is not scaled. */
static double kept(const rotary_scaling *s, int j) {
  if (s->kept == 0 || j >= s->slow) return 0;
  return j <= s->fast ? s->kept : s->kept * (s->slow - j) / (s->slow - s->fast);
}

static void plain_rotate(const rotary_parameters *r, int row, double *head) {
  int half = r->size / 2;
  double size = r->scaling.magnitude;
  for (int j = 0; j < half; j++) {
    int axis = j < r->sections[0] ? 0 : j < r->sections[0] + r->sections[1] ? 1 : 2;
    double scale = kept(&r->scaling, j) + (1 - kept(&r->scaling, j)) / r->scaling.factor;
    double angle = coordinate(axis, row) * pow(r->base, -2.0 * j / r->size) * scale, a = head[j], b = head[j + half];
    head[j] = size * (a * cos(angle) - b * sin(angle));
    head[j + half] = size * (b * cos(angle) + a * sin(angle));
  }
}

/* Heads of one row: projected, normalised where the layer has experts, rotated unless they are values. */
static void plain_heads(int i, const char *name, const double *normed, int row, int heads, double *out) {
  const layer_parameters *l = &shapes[i];
  memset(out, 0, sizeof(double) * (size_t)(heads * l->head_size));
  char weight_name[16];
  snprintf(weight_name, sizeof weight_name, "%s.weight", name);
  plain_linear(part(i, weight_name), 0, normed, BODY_WIDTH, heads * l->head_size, 1, out);
  for (int h = 0; h < heads && *name != 'v'; h++) {
    double *head = out + h * l->head_size;
    if (l->experts) plain_norm(part(i, *name == 'q' ? "q_norm" : "k_norm"), head, l->head_size, head);
    plain_rotate(&rotaries[l->rotary], row, head);
  }
}

static void plain_attention(int i, bool causal, double x[ROWS][BODY_WIDTH]) {
  const layer_parameters *l = &shapes[i];
  static double q[ROWS][WIDEST], k[ROWS][WIDEST], v[ROWS][WIDEST];
  for (int row = 0; row < ROWS; row++) {
    double normed[BODY_WIDTH];
    plain_norm(part(i, "norm1"), x[row], BODY_WIDTH, normed);
    plain_heads(i, "q", normed, row, l->heads, q[row]);
    plain_heads(i, "k", normed, row, l->kv_heads, k[row]);
    plain_heads(i, "v", normed, row, l->kv_heads, v[row]);
  }
  for (int row = 0; row < ROWS; row++) {
    double attended[WIDEST] = {0};
    int size = l->head_size, seen = causal ? row + 1 : ROWS;
    for (int h = 0; h < l->heads; h++) {
      int shared = h / (l->heads / l->kv_heads) * size;
      double weights[ROWS], sum = 0;
      for (int other = 0; other < seen; other++) {
        double score = 0;
        for (int j = 0; j < size; j++) score += q[row][h * size + j] * k[other][shared + j];
        sum += weights[other] = exp(score / sqrt(size));
      }
      for (int other = 0; other < seen; other++)
        for (int j = 0; j < size; j++) attended[h * size + j] += weights[other] / sum * v[other][shared + j];
    }
    plain_linear(part(i, "output.weight"), 0, attended, l->heads * size, BODY_WIDTH, 1, x[row]);
  }
}

/* x += share * down(silu(gate n) * up n), of the expert whose matrices are the `e`-th. */
static void plain_swiglu(int i, int e, double share, const double *normed, double *x) {
  int inner = shapes[i].feed_forward;
  double gate[WIDEST] = {0}, up[WIDEST] = {0};
  plain_linear(part(i, "gate.weight"), e * inner, normed, BODY_WIDTH, inner, 1, gate);
  plain_linear(part(i, "up.weight"), e * inner, normed, BODY_WIDTH, inner, 1, up);
  for (int j = 0; j < inner; j++) gate[j] *= up[j] / (1 + exp(-gate[j]));
  plain_linear(part(i, "down.weight"), e * BODY_WIDTH, gate, inner, BODY_WIDTH, share, x);
}

static void plain_feed_forward(int i, double *x) {
  const layer_parameters *l = &shapes[i];
  double normed[BODY_WIDTH], scores[8] = {0}, sum = 0;
  plain_norm(part(i, "norm2"), x, BODY_WIDTH, normed);
  if (l->experts == 0) {
    plain_swiglu(i, 0, 1, normed, x);
    return;
  }
  plain_linear(part(i, "router"), 0, normed, BODY_WIDTH, l->experts, 1, scores);
  for (int e = 0; e < l->experts; e++) sum += exp(scores[e]);
  for (int e = 0; e < l->experts; e++) {
    int better = 0;
    for (int other = 0; other < l->experts; other++) better += scores[other] > scores[e];
    if (better < l->experts_used) plain_swiglu(i, e, exp(scores[e]) / sum, normed, x);
  }
}

static void plain_states(bool causal, double x[ROWS][BODY_WIDTH]) {
  for (int row = 0; row < ROWS; row++)
    for (int j = 0; j < BODY_WIDTH; j++) x[row][j] = element("embedding", tokens[row] * BODY_WIDTH + j);
  for (int i = 0; i < BODY_LAYERS; i++) {
    plain_attention(i, causal, x);
    for (int row = 0; row < ROWS; row++) plain_feed_forward(i, x[row]);
  }
  for (int row = 0; row < ROWS; row++) plain_norm("norm", x[row], BODY_WIDTH, x[row]);
}

/* ---------------------------------------------------------------------------------------------------------------------- passes */

static dimple_status record(text_state *state, int first, int count, const int32_t *wanted, view states, float *out) {
  text_rows rows = {.state = state, .first = first, .pieces = {{tokens + first, count}}, .piece_count = 1, .wanted = wanted, .states = states};
  dimple_status status = text_forward(&model, threads, &rows);
  return status == DIMPLE_OK ? model.ops->copy_out(threads, out, states) : status;
}

/* The states of the rows first + wanted[i], of a pass over rows first .. first + count - 1. */
static void run_pass(text_state *state, int first, int count, const int32_t *wanted, int wanted_count, float *out) {
  buffer *memory = NULL;
  EXPECT_OK(model.ops->buffer_alloc(threads, (int64_t)wanted_count * BODY_WIDTH, &memory));
  EXPECT_OK(text_state_reserve(&model, threads, state, count));
  EXPECT_OK(model.ops->pass_begin(threads, NULL));
  EXPECT_OK(model.ops->pass_end(threads, record(state, first, count, wanted, view_of(memory, wanted_count, BODY_WIDTH), out)));
  model.ops->buffer_free(threads, memory);
}

static void open_state(text_state *state) {
  int32_t positions[3 * ROWS];
  for (int axis = 0; axis < 3; axis++)
    for (int row = 0; row < ROWS; row++) positions[axis * ROWS + row] = coordinate(axis, row);
  EXPECT_OK(text_state_open(&model, threads, positions, ROWS, ROWS, DIMPLE_TENSOR_F32, state));
}

static void expect_close(const float *got, const double *expected, const char *what) {
  for (int i = 0; i < BODY_WIDTH; i++)
    EXPECT(fabs(got[i] - expected[i]) < 2e-5, "%s is off by %g in column %d", what, fabs(got[i] - expected[i]), i);
}

static void all_rows_at_once(bool causal) {
  static double expected[ROWS][BODY_WIDTH];
  static const int32_t wanted[3] = {0, 4, 8};
  float states[3 * BODY_WIDTH];
  text_state state;
  open_model(causal);
  plain_states(causal, expected);
  open_state(&state);
  run_pass(&state, 0, ROWS, wanted, 3, states);
  for (int i = 0; i < 3; i++) expect_close(states + i * BODY_WIDTH, expected[wanted[i]], causal ? "a causal row" : "a row");
  int64_t columns = 0;
  for (int i = 0; i < BODY_LAYERS; i++) columns += layer_kv_width(&shapes[i]);
  EXPECT(state.cache.bytes == 2 * ROWS * columns * 4, "the cache takes %d bytes", (int)state.cache.bytes);
  text_state_close(&model, threads, &state);
  close_model();
}

/* A long pass takes the rows of a layer piece by piece; they come out as if they were one piece. */
static void rows_in_pieces(bool causal) {
  static const int32_t wanted[5] = {0, 3, 4, 6, 8};
  float whole[5 * BODY_WIDTH], pieces[5 * BODY_WIDTH];
  open_model(causal);
  for (int rows = 1; rows < ROWS; rows++) {
    text_state state;
    open_state(&state);
    run_pass(&state, 0, ROWS, wanted, 5, whole);
    text_state_close(&model, threads, &state);
    open_state(&state);
    state.piece_rows = rows;
    run_pass(&state, 0, ROWS, wanted, 5, pieces);
    EXPECT(memcmp(whole, pieces, sizeof whole) == 0, "pieces of %d rows change the states", rows);
    EXPECT(state.scratch_rows == ROWS, "room for %d rows", (int)state.scratch_rows);
    text_state_close(&model, threads, &state);
  }
  close_model();
}

/* In a causal model the rows that came first do not change: their keys and values in the cache serve as well. */
static void rows_behind_a_cache(void) {
  static double expected[ROWS][BODY_WIDTH];
  static const int32_t last[1] = {FIRST_ROWS - 1}, wanted[2] = {0, ROWS - FIRST_ROWS - 1};
  float states[2 * BODY_WIDTH];
  text_state state;
  open_model(true);
  plain_states(true, expected);
  open_state(&state);
  run_pass(&state, 0, FIRST_ROWS, last, 1, states);
  expect_close(states, expected[FIRST_ROWS - 1], "the last row of the first pass");
  run_pass(&state, FIRST_ROWS, ROWS - FIRST_ROWS, wanted, 2, states);
  expect_close(states, expected[FIRST_ROWS], "the first row behind the cache");
  expect_close(states + BODY_WIDTH, expected[ROWS - 1], "the last row behind the cache");
  text_state_close(&model, threads, &state);
  close_model();
}

int main(void) {
  all_rows_at_once(false);
  all_rows_at_once(true);
  rows_behind_a_cache();
  rows_in_pieces(false);
  rows_in_pieces(true);
  return expect_summary("layers");
}
