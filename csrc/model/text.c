#include "model/text.h"

#include <string.h>

#include "allocate.h"
#include "model/rope.h"

static int64_t kv_width(const text_parameters *p) { return (int64_t)p->kv_heads * p->head_size; }

static dimple_status new_matrix(const dimple_model *m, context *c, int64_t rows, int64_t columns, view *out) {
  buffer *memory;
  DIMPLE_TRY(m->ops->buffer_alloc(c, rows * columns, &memory));
  *out = view_of(memory, rows, columns);
  return DIMPLE_OK;
}

static dimple_status record_angles(const dimple_model *m, context *c, const text_state *s, const float *cosine, const float *sine) {
  DIMPLE_TRY(m->ops->copy_in(c, s->cosine, cosine));
  return m->ops->copy_in(c, s->sine, sine);
}

/* Computes the rotation tables on the host and hands them to the backend. */
static dimple_status upload_angles(const dimple_model *m, context *c, const int32_t *positions, const text_state *s) {
  int64_t count = s->capacity * (m->text.head_size / 2);
  float *table = malloc((size_t)(2 * count) * sizeof *table);
  if (!table) return dimple_fail_memory((uint64_t)(2 * count) * sizeof *table, "rotation angles");
  rope_text_angles(&m->text, positions, s->capacity, table, table + count);
  dimple_status status = m->ops->pass_begin(c, NULL);
  if (status == DIMPLE_OK) status = m->ops->pass_end(c, record_angles(m, c, s, table, table + count));
  free(table);
  return status;
}

static dimple_status open_cache(const dimple_model *m, context *c, int64_t capacity, kv_cache *cache) {
  int64_t *widths;
  ALLOCATE(widths, m->text.layers, "the widths of the cache's layers");
  for (int32_t i = 0; i < m->text.layers; i++) widths[i] = kv_width(&m->text);
  dimple_status status = kv_cache_open(m->ops, c, widths, m->text.layers, capacity, cache);
  free(widths);
  return status;
}

static dimple_status allocate_state(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *s) {
  const text_parameters *p = &m->text;
  s->capacity = capacity;
  DIMPLE_TRY(open_cache(m, c, capacity, &s->cache));
  DIMPLE_TRY(new_matrix(m, c, capacity, p->head_size / 2, &s->cosine));
  DIMPLE_TRY(new_matrix(m, c, capacity, p->head_size / 2, &s->sine));
  DIMPLE_TRY(upload_angles(m, c, positions, s));
  s->row_numbers = malloc((size_t)(2 * capacity) * sizeof *s->row_numbers);
  if (!s->row_numbers) return dimple_fail_memory((uint64_t)(2 * capacity) * sizeof *s->row_numbers, "row numbers");
  for (int64_t i = 0; i < capacity; i++) s->row_numbers[i] = (int32_t)i;
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
  m->ops->buffer_free(c, s->x.memory);
  m->ops->buffer_free(c, s->selected.memory);
  s->x = s->selected = (view){0};
  s->scratch_rows = s->scratch_bytes = 0;
}

void text_state_close(const dimple_model *m, context *c, text_state *s) {
  close_scratch(m, c, s);
  kv_cache_close(m->ops, c, &s->cache);
  m->ops->buffer_free(c, s->cosine.memory);
  m->ops->buffer_free(c, s->sine.memory);
  free(s->row_numbers);
  memset(s, 0, sizeof *s);
}

/* The scratch of the largest pass so far is kept: the first pass runs prompt and response, later ones less. */
dimple_status text_state_reserve(const dimple_model *m, context *c, text_state *s, int64_t rows) {
  if (rows <= s->scratch_rows) return DIMPLE_OK;
  const text_parameters *p = &m->text;
  block_shape shape = text_block_shape(p);
  close_scratch(m, c, s);
  DIMPLE_TRY(block_scratch_open(m->ops, c, &shape, rows, &s->scratch));
  DIMPLE_TRY(new_matrix(m, c, rows, p->width, &s->x));
  DIMPLE_TRY(new_matrix(m, c, rows, p->width, &s->selected));
  s->scratch_rows = rows;
  s->scratch_bytes = s->scratch.bytes + (int64_t)sizeof(float) * 2 * rows * p->width;
  return DIMPLE_OK;
}

/* x = embeddings of the pieces, with image features where the prompt has placeholders. */
static dimple_status embed(const dimple_model *m, context *c, text_state *s, int64_t first, const text_piece *pieces,
                           int32_t piece_count, const text_images *images, view x) {
  for (int64_t i = 0, row = 0; i < piece_count; row += pieces[i++].count) {
    if (pieces[i].count > 0) DIMPLE_TRY(m->ops->embed_rows(c, view_rows(x, row, pieces[i].count), m->weights.embedding, pieces[i].tokens));
  }
  int64_t skip = 0;
  while (skip < images->count && images->at[skip] < first) skip++;
  int64_t inside = images->count - skip;
  if (inside == 0) return DIMPLE_OK;
  int32_t *row = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < inside; i++) row[i] = images->at[skip + i] - (int32_t)first;
  return m->ops->scatter_rows(c, x, view_rows(images->features, skip, inside), row);
}

/* What the rows of this pass share: where they stand in the cache, their residual stream and their angles. */
typedef struct text_rows {
  int64_t first;
  view x;            /* [count x width] */
  view cosine, sine; /* [count x head_size/2] */
} text_rows;

/* attended [query rows x heads * head_size] of the queries; last_key[query rows] counts in a causal model only. */
static dimple_status attend(const dimple_model *m, context *c, const text_state *s, const kv_window *cache, view q, const int32_t *last_key) {
  const text_parameters *p = &m->text;
  return m->ops->attention(c, &(attention_call){
      .q = q, .k = cache->keys, .v = cache->values, .y = view_rows(s->scratch.attended, 0, q.rows),
      .heads = p->heads, .kv_heads = p->kv_heads, .size = p->head_size, .last_key = p->causal ? last_key : NULL});
}

/* Queries or keys [rows x heads * size] in place: the norm over each head, where the model has one, then the rotation by the pass's
 * angles, those of angle_rows[rows] if it is not null. */
static dimple_status rotate(const dimple_model *m, context *c, view x, const weight *norm, int32_t heads, const text_rows *at,
                            const int32_t *angle_rows) {
  int32_t size = m->text.head_size;
  view by_head = view_reshape(x, size);
  if (norm) DIMPLE_TRY(m->ops->rms_norm(c, by_head, by_head, norm, m->text.norm_epsilon));
  return m->ops->rotary(c, &(rotary_call){x, heads, size, at->cosine, at->sine, angle_rows});
}

/* Keys and values of all rows into the cache; with q, queries as well (they share the normalised rows). */
static dimple_status project(const dimple_model *m, context *c, const text_state *s, const block_weights *b, const text_rows *at,
                             const kv_window *cache, const view *q) {
  const text_parameters *p = &m->text;
  view normed = view_rows(s->scratch.normed, 0, at->x.rows);
  DIMPLE_TRY(m->ops->rms_norm(c, normed, at->x, b->norm1, p->norm_epsilon));
  linear_output outputs[3] = {{.w = b->k.w, .bias = b->k.bias, .y = cache->own_keys, .mode = LINEAR_STORE},
                              {.w = b->v.w, .bias = b->v.bias, .y = cache->own_values, .mode = LINEAR_STORE},
                              {.w = b->q.w, .bias = b->q.bias, .mode = LINEAR_STORE}};
  if (q) outputs[2].y = *q;
  DIMPLE_TRY(m->ops->linear(c, &(linear_call){normed, outputs, q ? 3 : 2}));
  return rotate(m, c, cache->own_keys, b->k_norm, p->kv_heads, at, NULL);
}

/* One block over all rows. */
static dimple_status run_block(const dimple_model *m, context *c, text_state *s, const block_weights *b, const text_rows *at, const kv_window *cache) {
  block_shape shape = text_block_shape(&m->text);
  view q = view_rows(s->scratch.q, 0, at->x.rows);
  DIMPLE_TRY(project(m, c, s, b, at, cache, &q));
  DIMPLE_TRY(rotate(m, c, q, b->q_norm, m->text.heads, at, NULL));
  DIMPLE_TRY(attend(m, c, s, cache, q, s->row_numbers + at->first));
  return block_finish(m->ops, c, &shape, b, &s->scratch, at->x);
}

/* The last block: keys and values of all rows, but queries, attention and feed-forward only for the wanted ones. */
static dimple_status run_last_block(const dimple_model *m, context *c, text_state *s, const block_weights *b, const text_rows *at,
                                    const kv_window *cache, const int32_t *wanted, view states) {
  block_shape shape = text_block_shape(&m->text);
  view q = view_rows(s->scratch.q, 0, states.rows), selected = view_rows(s->selected, 0, states.rows);
  int32_t *last_key = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < states.rows; i++) last_key[i] = (int32_t)at->first + wanted[i];

  DIMPLE_TRY(project(m, c, s, b, at, cache, NULL));
  DIMPLE_TRY(m->ops->gather_rows(c, states, at->x, wanted));
  DIMPLE_TRY(m->ops->gather_rows(c, selected, view_rows(s->scratch.normed, 0, at->x.rows), wanted));
  DIMPLE_TRY(block_linear(m->ops, c, &b->q, LINEAR_STORE, selected, q));
  DIMPLE_TRY(rotate(m, c, q, b->q_norm, m->text.heads, at, wanted));
  DIMPLE_TRY(attend(m, c, s, cache, q, last_key));
  return block_finish(m->ops, c, &shape, b, &s->scratch, states);
}

dimple_status text_forward(const dimple_model *m, context *c, text_state *s, int64_t first, const text_piece *pieces,
                           int32_t piece_count, const text_images *images, const int32_t *wanted, view states) {
  const text_parameters *p = &m->text;
  int64_t count = 0;
  for (int32_t i = 0; i < piece_count; i++) count += pieces[i].count;
  text_rows at = {first, view_rows(s->x, 0, count), view_rows(s->cosine, first, count), view_rows(s->sine, first, count)};
  DIMPLE_TRY(embed(m, c, s, first, pieces, piece_count, images, at.x));
  for (int32_t i = 0; i < p->layers; i++) {
    kv_window cache = kv_cache_window(&s->cache, i, first, count);
    DIMPLE_TRY(m->ops->checkpoint(c));
    if (i + 1 < p->layers)
      DIMPLE_TRY(run_block(m, c, s, &m->weights.layers[i], &at, &cache));
    else
      DIMPLE_TRY(run_last_block(m, c, s, &m->weights.layers[i], &at, &cache, wanted, states));
  }
  return m->ops->rms_norm(c, states, states, m->weights.output_norm, p->norm_epsilon);
}
