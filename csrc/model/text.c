#include "model/text.h"

#include <string.h>

#include "allocate.h"
#include "model/rope.h"

static dimple_status record_angles(const dimple_model *m, context *c, const text_state *s, int32_t rotary, const float *cosine, const float *sine) {
  DIMPLE_TRY(m->ops->copy_in(c, s->cosine[rotary], cosine));
  return m->ops->copy_in(c, s->sine[rotary], sine);
}

/* Computes the tables of one rotary on the host and hands them to the backend. */
static dimple_status open_angles(const dimple_model *m, context *c, int32_t rotary, const int32_t *positions, text_state *s) {
  const rotary_parameters *r = &m->text.rotary[rotary];
  int64_t count = s->capacity * (r->size / 2);
  DIMPLE_TRY(matrix_alloc(m->ops, c, s->capacity, r->size / 2, &s->cosine[rotary]));
  DIMPLE_TRY(matrix_alloc(m->ops, c, s->capacity, r->size / 2, &s->sine[rotary]));
  float *table = malloc((size_t)(2 * count) * sizeof *table);
  if (!table) return dimple_fail_memory((uint64_t)(2 * count) * sizeof *table, "rotation angles");
  rope_angles(r, positions, s->capacity, table, table + count);
  dimple_status status = m->ops->pass_begin(c, NULL);
  if (status == DIMPLE_OK) status = m->ops->pass_end(c, record_angles(m, c, s, rotary, table, table + count));
  free(table);
  return status;
}

static dimple_status open_cache(const dimple_model *m, context *c, int64_t capacity, kv_cache *cache) {
  int64_t *widths;
  ALLOCATE(widths, m->text.layers, "the widths of the cache's layers");
  for (int32_t i = 0; i < m->text.layers; i++) widths[i] = layer_kv_width(&m->text.layer[i]);
  dimple_status status = kv_cache_open(m->ops, c, widths, m->text.layers, capacity, cache);
  free(widths);
  return status;
}

static dimple_status allocate_state(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, text_state *s) {
  s->capacity = capacity;
  DIMPLE_TRY(open_cache(m, c, capacity, &s->cache));
  for (int32_t i = 0; i < m->text.rotaries; i++) DIMPLE_TRY(open_angles(m, c, i, positions, s));
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
  for (int32_t i = 0; i < MAX_ROTARIES; i++) {
    m->ops->buffer_free(c, s->cosine[i].memory);
    m->ops->buffer_free(c, s->sine[i].memory);
  }
  free(s->row_numbers);
  memset(s, 0, sizeof *s);
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* What the widest of the layers need. */
static block_widths scratch_widths(const text_parameters *p) {
  block_widths w = {.width = p->width};
  for (int32_t i = 0; i < p->layers; i++) {
    const layer_parameters *l = &p->layer[i];
    w.queries = larger(w.queries, layer_query_width(l));
    w.experts = larger(w.experts, l->experts);
    w.experts_used = larger(w.experts_used, l->experts_used);
    if (l->experts == 0) w.feed_forward = larger(w.feed_forward, l->feed_forward);
  }
  return w;
}

/* The scratch of the largest pass so far is kept: the first pass runs prompt and response, later ones less. */
dimple_status text_state_reserve(const dimple_model *m, context *c, text_state *s, int64_t rows) {
  if (rows <= s->scratch_rows) return DIMPLE_OK;
  const text_parameters *p = &m->text;
  block_widths widths = scratch_widths(p);
  close_scratch(m, c, s);
  DIMPLE_TRY(block_scratch_open(m->ops, c, &widths, rows, &s->scratch));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, p->width, &s->x));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, p->width, &s->selected));
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

/* Layer `index` of a pass over the rows `first` .. `first` + x.rows - 1. */
static layer layer_of(const dimple_model *m, context *c, const text_state *s, int32_t index, int64_t first, view x) {
  const layer_parameters *p = &m->text.layer[index];
  return (layer){
      .block = {m->ops, c, &m->weights.layers[index], &s->scratch, m->text.norm_epsilon}, .parameters = p, .causal = m->text.causal,
      .cache = kv_cache_window(&s->cache, index, first, x.rows), .cosine = view_rows(s->cosine[p->rotary], first, x.rows),
      .sine = view_rows(s->sine[p->rotary], first, x.rows), .x = x, .last_key = s->row_numbers + first};
}

/* Only the wanted rows go on in the last layer, into `states`. */
static void select_rows(const text_state *s, int64_t first, const int32_t *wanted, view states, layer *l) {
  int32_t *last_key = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < states.rows; i++) last_key[i] = (int32_t)first + wanted[i];
  l->wanted = wanted;
  l->states = states;
  l->selected = view_rows(s->selected, 0, states.rows);
  l->last_key = last_key;
}

dimple_status text_forward(const dimple_model *m, context *c, text_state *s, int64_t first, const text_piece *pieces,
                           int32_t piece_count, const text_images *images, const int32_t *wanted, view states) {
  const text_parameters *p = &m->text;
  int64_t count = 0;
  for (int32_t i = 0; i < piece_count; i++) count += pieces[i].count;
  view x = view_rows(s->x, 0, count);
  DIMPLE_TRY(embed(m, c, s, first, pieces, piece_count, images, x));
  for (int32_t i = 0; i < p->layers; i++) {
    DIMPLE_TRY(m->ops->checkpoint(c));
    layer l = layer_of(m, c, s, i, first, x);
    if (i + 1 == p->layers) select_rows(s, first, wanted, states, &l);
    DIMPLE_TRY(p->architecture->record_layer(&l));
  }
  return m->ops->rms_norm(c, states, states, m->weights.output_norm, p->norm_epsilon);
}
