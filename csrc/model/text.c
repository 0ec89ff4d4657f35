#include "model/text.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "model/rope.h"

dimple_status check_cancelled(atomic_bool *cancelled) {
  if (atomic_exchange(cancelled, false)) return dimple_fail(DIMPLE_ERROR_CANCELLED, "the call was cancelled");
  return DIMPLE_OK;
}

static int64_t kv_width(const text_parameters *p) { return (int64_t)p->kv_heads * p->head_size; }

/* Computes the rotation tables on the host and hands them to the backend. */
static dimple_status upload_angles(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *s) {
  int64_t count = capacity * (m->text.head_size / 2);
  float *table = malloc((size_t)(2 * count) * sizeof *table);
  if (!table) return dimple_fail_memory((uint64_t)(2 * count) * sizeof *table, "rotation angles");
  rope_text_angles(&m->text, positions, capacity, table, table + count);
  dimple_status status = m->ops->copy_in(c, s->cosine, table, count);
  if (status == DIMPLE_OK) status = m->ops->copy_in(c, s->sine, table + count, count);
  free(table);
  return status;
}

static dimple_status allocate_state(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *s) {
  const text_parameters *p = &m->text;
  int64_t kv = p->layers * capacity * kv_width(p), angles = capacity * (p->head_size / 2);
  s->capacity = capacity;
  DIMPLE_TRY(m->ops->buffer_alloc(c, kv, &s->keys));
  DIMPLE_TRY(m->ops->buffer_alloc(c, kv, &s->values));
  DIMPLE_TRY(m->ops->buffer_alloc(c, angles, &s->cosine));
  DIMPLE_TRY(m->ops->buffer_alloc(c, angles, &s->sine));
  DIMPLE_TRY(upload_angles(m, c, positions, capacity, s));
  s->row_numbers = malloc((size_t)(2 * capacity) * sizeof *s->row_numbers);
  if (!s->row_numbers) return dimple_fail_memory((uint64_t)(2 * capacity) * sizeof *s->row_numbers, "row numbers");
  for (int64_t i = 0; i < capacity; i++) s->row_numbers[i] = (int32_t)i;
  s->kv_bytes = (int64_t)sizeof(float) * 2 * kv;
  return DIMPLE_OK;
}

dimple_status text_state_open(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *s) {
  memset(s, 0, sizeof *s);
  dimple_status status = allocate_state(m, c, positions, capacity, s);
  if (status != DIMPLE_OK) text_state_close(m, c, s);
  return status;
}

static void close_scratch(const dimple_model *m, context *c, text_state *s) {
  block_scratch_close(m->ops, c, &s->scratch);
  float **buffers[] = {&s->x, &s->selected, &s->selected_cosine, &s->selected_sine};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
    m->ops->buffer_free(c, *buffers[i]);
    *buffers[i] = NULL;
  }
  s->scratch_rows = s->scratch_bytes = 0;
}

void text_state_close(const dimple_model *m, context *c, text_state *s) {
  close_scratch(m, c, s);
  m->ops->buffer_free(c, s->keys);
  m->ops->buffer_free(c, s->values);
  m->ops->buffer_free(c, s->cosine);
  m->ops->buffer_free(c, s->sine);
  free(s->row_numbers);
  memset(s, 0, sizeof *s);
}

/* The scratch of the largest pass so far is kept: the first pass runs prompt and response, later ones less. */
static dimple_status ensure_scratch(const dimple_model *m, context *c, text_state *s, int64_t rows) {
  if (rows <= s->scratch_rows) return DIMPLE_OK;
  const text_parameters *p = &m->text;
  block_shape shape = text_block_shape(p);
  int64_t half = p->head_size / 2;
  close_scratch(m, c, s);
  DIMPLE_TRY(block_scratch_open(m->ops, c, &shape, rows, &s->scratch));
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * p->width, &s->x));
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * p->width, &s->selected));
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * half, &s->selected_cosine));
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * half, &s->selected_sine));
  s->scratch_rows = rows;
  s->scratch_bytes = s->scratch.bytes + (int64_t)sizeof(float) * 2 * rows * (p->width + half);
  return DIMPLE_OK;
}

/* x [count x width] = embeddings, with image features where the prompt has placeholders. */
static dimple_status embed(const dimple_model *m, context *c, text_state *s, const int32_t *tokens, int64_t first, int64_t count,
                           const text_images *images) {
  DIMPLE_TRY(m->ops->embed_rows(c, s->x, m->embedding, tokens, count));
  int64_t skip = 0;
  while (skip < images->count && images->at[skip] < first) skip++;
  int64_t inside = images->count - skip;
  if (inside == 0) return DIMPLE_OK;
  int32_t *row = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < inside; i++) row[i] = images->at[skip + i] - (int32_t)first;
  return m->ops->scatter_rows(c, s->x, images->features + skip * m->text.width, row, inside, m->text.width);
}

static dimple_status attend(const dimple_model *m, context *c, const text_state *s, const float *keys, const float *values,
                            int64_t query_rows, int64_t key_rows, const int32_t *query_position) {
  const text_parameters *p = &m->text;
  int64_t width = (int64_t)p->heads * p->head_size;
  return m->ops->attention(c, &(attention_call){
      .q = s->scratch.q, .k = keys, .v = values, .y = s->scratch.attended,
      .q_stride = width, .kv_stride = kv_width(p), .y_stride = width,
      .query_rows = query_rows, .key_rows = key_rows, .heads = p->heads, .kv_heads = p->kv_heads, .size = p->head_size,
      .query_position = p->causal ? query_position : NULL});
}

/* What the rows of this pass share: where they stand in the cache and their angles. */
typedef struct pass {
  int64_t first, count;
  const float *cosine, *sine;
} pass;

/* Queries or keys [rows x heads * size] in place: the norm over each head, where the model has one, then the rotation. */
static dimple_status rotate(const dimple_model *m, context *c, float *x, const weight *norm, int64_t rows, int32_t heads,
                            const float *cosine, const float *sine) {
  int32_t size = m->text.head_size;
  if (norm) DIMPLE_TRY(m->ops->rms_norm(c, x, x, norm, rows * heads, size, m->text.norm_epsilon));
  return m->ops->rotary(c, &(rotary_call){x, (int64_t)heads * size, rows, heads, size, cosine, sine});
}

/* Keys and values of all rows into the cache; with q, queries as well (they share the normalised rows). */
static dimple_status project(const dimple_model *m, context *c, const text_state *s, const block_weights *b, const pass *at,
                             float *k, float *v, float *q) {
  const text_parameters *p = &m->text;
  int64_t q_width = (int64_t)p->heads * p->head_size;
  DIMPLE_TRY(m->ops->rms_norm(c, s->scratch.normed, s->x, b->norm1, at->count, p->width, p->norm_epsilon));
  linear_output outputs[3] = {
      {.w = b->k.w, .bias = b->k.bias, .y = k, .y_stride = kv_width(p), .mode = LINEAR_STORE},
      {.w = b->v.w, .bias = b->v.bias, .y = v, .y_stride = kv_width(p), .mode = LINEAR_STORE},
      {.w = b->q.w, .bias = b->q.bias, .y = q, .y_stride = q_width, .mode = LINEAR_STORE}};
  DIMPLE_TRY(m->ops->linear(c, &(linear_call){s->scratch.normed, p->width, at->count, p->width, outputs, q ? 3 : 2}));
  return rotate(m, c, k, b->k_norm, at->count, p->kv_heads, at->cosine, at->sine);
}

/* One block over all rows. */
static dimple_status run_block(const dimple_model *m, context *c, text_state *s, const block_weights *b, const pass *at,
                               float *keys, float *values) {
  const text_parameters *p = &m->text;
  block_shape shape = text_block_shape(p);
  int64_t begin = at->first * kv_width(p);
  DIMPLE_TRY(project(m, c, s, b, at, keys + begin, values + begin, s->scratch.q));
  DIMPLE_TRY(rotate(m, c, s->scratch.q, b->q_norm, at->count, p->heads, at->cosine, at->sine));
  DIMPLE_TRY(attend(m, c, s, keys, values, at->count, at->first + at->count, s->row_numbers + at->first));
  return block_finish(m->ops, c, &shape, b, &s->scratch, s->x, at->count);
}

/* The last block: keys and values of all rows, but queries, attention and feed-forward only for the wanted ones. */
static dimple_status run_last_block(const dimple_model *m, context *c, text_state *s, const block_weights *b, const pass *at,
                                    float *keys, float *values, const int32_t *wanted, int64_t wanted_count, float *states) {
  const text_parameters *p = &m->text;
  block_shape shape = text_block_shape(p);
  int64_t begin = at->first * kv_width(p), q_width = (int64_t)p->heads * p->head_size, half = p->head_size / 2;
  int32_t *position = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < wanted_count; i++) position[i] = (int32_t)at->first + wanted[i];

  DIMPLE_TRY(project(m, c, s, b, at, keys + begin, values + begin, NULL));
  DIMPLE_TRY(m->ops->gather_rows(c, states, s->x, wanted, wanted_count, p->width));
  DIMPLE_TRY(m->ops->gather_rows(c, s->selected, s->scratch.normed, wanted, wanted_count, p->width));
  DIMPLE_TRY(m->ops->gather_rows(c, s->selected_cosine, at->cosine, wanted, wanted_count, half));
  DIMPLE_TRY(m->ops->gather_rows(c, s->selected_sine, at->sine, wanted, wanted_count, half));
  DIMPLE_TRY(block_linear(m->ops, c, &b->q, LINEAR_STORE, s->selected, p->width, wanted_count, p->width, s->scratch.q, q_width));
  DIMPLE_TRY(rotate(m, c, s->scratch.q, b->q_norm, wanted_count, p->heads, s->selected_cosine, s->selected_sine));
  DIMPLE_TRY(attend(m, c, s, keys, values, wanted_count, at->first + at->count, position));
  return block_finish(m->ops, c, &shape, b, &s->scratch, states, wanted_count);
}

dimple_status text_forward(const dimple_model *m, context *c, text_state *s, const int32_t *tokens, int64_t first, int64_t count,
                           const text_images *images, const int32_t *wanted, int64_t wanted_count, atomic_bool *cancelled, float *states) {
  const text_parameters *p = &m->text;
  int64_t half = p->head_size / 2, layer_size = s->capacity * kv_width(p);
  pass at = {first, count, s->cosine + first * half, s->sine + first * half};
  DIMPLE_TRY(ensure_scratch(m, c, s, count));
  DIMPLE_TRY(embed(m, c, s, tokens, first, count, images));
  for (int32_t i = 0; i < p->layers; i++) {
    float *keys = s->keys + i * layer_size, *values = s->values + i * layer_size;
    DIMPLE_TRY(check_cancelled(cancelled));
    if (i + 1 < p->layers)
      DIMPLE_TRY(run_block(m, c, s, &m->layers[i], &at, keys, values));
    else
      DIMPLE_TRY(run_last_block(m, c, s, &m->layers[i], &at, keys, values, wanted, wanted_count, states));
  }
  return m->ops->rms_norm(c, states, states, m->output_norm, wanted_count, p->width, p->norm_epsilon);
}
