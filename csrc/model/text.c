#include "model/text.h"

#include <string.h>

#include "allocate.h"
#include "model/rope.h"

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

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

static dimple_status open_cache(const dimple_model *m, context *c, int64_t capacity, bool half, kv_cache *cache) {
  int64_t *widths;
  ALLOCATE(widths, m->text.layers, "the widths of the cache's layers");
  for (int32_t i = 0; i < m->text.layers; i++) widths[i] = layer_kv_width(&m->text.layer[i]) / (half ? 2 : 1);
  dimple_status status = kv_cache_open(m->ops, c, widths, m->text.layers, capacity, cache);
  free(widths);
  return status;
}

void text_state_limit(const dimple_model *m, text_state *s, attention_grid grid, int64_t rows) {
  int64_t length = grid.block_length, first = length > 0 ? grid.offset % length : 0; /* of the whole blocks */
  s->limited = length > 0 || m->text.causal;
  for (int64_t i = 0; i < s->capacity; i++) {
    int64_t last = length == 0 ? i : i < first ? first - 1 : first + ((i - first) / length + 1) * length - 1;
    s->last_key[i] = (int32_t)(length == 0 ? last : smaller(last, rows - 1));
  }
}

static int64_t widest_layer(const text_parameters *p) {
  int64_t width = 0;
  for (int32_t i = 0; i < p->layers; i++) width = larger(width, layer_kv_width(&p->layer[i]));
  return width;
}

/* What layers of a cache of halves go through. */
static dimple_status open_floats(const dimple_model *m, context *c, text_state *s) {
  int64_t width = widest_layer(&m->text);
  DIMPLE_TRY(matrix_alloc(m->ops, c, smaller(s->capacity, s->piece_rows), width, &s->fresh_keys));
  DIMPLE_TRY(matrix_alloc(m->ops, c, smaller(s->capacity, s->piece_rows), width, &s->fresh_values));
  DIMPLE_TRY(matrix_alloc(m->ops, c, s->capacity, width, &s->wide_keys));
  return matrix_alloc(m->ops, c, s->capacity, width, &s->wide_values);
}

static dimple_status allocate_state(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, bool half, text_state *s) {
  s->capacity = capacity;
  s->piece_rows = TEXT_PIECE_ROWS;
  s->half = half;
  DIMPLE_TRY(open_cache(m, c, capacity, half, &s->cache));
  if (half) DIMPLE_TRY(open_floats(m, c, s));
  for (int32_t i = 0; i < m->text.rotaries; i++) DIMPLE_TRY(open_angles(m, c, i, positions, s));
  s->row_numbers = malloc((size_t)(5 * capacity) * sizeof *s->row_numbers);
  if (!s->row_numbers) return dimple_fail_memory((uint64_t)(5 * capacity) * sizeof *s->row_numbers, "row numbers");
  for (int64_t i = 0; i < capacity; i++) s->row_numbers[i] = (int32_t)i;
  s->last_key = s->row_numbers + 4 * capacity;
  text_state_limit(m, s, (attention_grid){0}, capacity);
  return DIMPLE_OK;
}

dimple_status text_state_open(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, bool half, text_state *s) {
  memset(s, 0, sizeof *s);
  dimple_status status = allocate_state(m, c, positions, capacity, half, s);
  if (status != DIMPLE_OK) text_state_close(m, c, s);
  return status;
}

static void close_scratch(const dimple_model *m, context *c, text_state *s) {
  block_scratch_close(m->ops, c, &s->scratch);
  m->ops->buffer_free(c, s->x.memory);
  s->x = (view){0};
  s->scratch_rows = 0;
}

void text_state_close(const dimple_model *m, context *c, text_state *s) {
  close_scratch(m, c, s);
  kv_cache_close(m->ops, c, &s->cache);
  view floats[] = {s->fresh_keys, s->fresh_values, s->wide_keys, s->wide_values};
  for (size_t i = 0; i < sizeof floats / sizeof *floats; i++) m->ops->buffer_free(c, floats[i].memory);
  for (int32_t i = 0; i < MAX_ROTARIES; i++) {
    m->ops->buffer_free(c, s->cosine[i].memory);
    m->ops->buffer_free(c, s->sine[i].memory);
  }
  free(s->row_numbers);
  memset(s, 0, sizeof *s);
}

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

int64_t text_state_bytes(const dimple_model *m, const text_state *s) {
  if (s->capacity == 0) return 0;
  int64_t angles = 0;
  for (int32_t i = 0; i < m->text.rotaries; i++) angles += s->capacity * m->text.rotary[i].size; /* half of it cosines, half sines */
  int64_t floats = 2 * (s->fresh_keys.rows * s->fresh_keys.columns + s->wide_keys.rows * s->wide_keys.columns);
  return s->scratch.bytes + (s->scratch_rows * m->text.width + angles + floats) * (int64_t)sizeof(float) +
         5 * s->capacity * (int64_t)sizeof *s->row_numbers;
}

/* The scratch of the largest pass so far is kept: the first pass runs prompt and response, later ones less. */
dimple_status text_state_reserve(const dimple_model *m, context *c, text_state *s, int64_t rows) {
  if (rows <= s->scratch_rows) return DIMPLE_OK;
  const text_parameters *p = &m->text;
  block_widths widths = scratch_widths(p);
  close_scratch(m, c, s);
  DIMPLE_TRY(block_scratch_open(m->ops, c, &widths, smaller(rows, s->piece_rows), &s->scratch));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, p->width, &s->x));
  s->scratch_rows = rows;
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
  while (inside > 0 && images->at[skip + inside - 1] >= first + x.rows) inside--;
  if (inside == 0) return DIMPLE_OK;
  int32_t *row = s->row_numbers + s->capacity;
  for (int64_t i = 0; i < inside; i++) row[i] = images->at[skip + i] - (int32_t)first;
  return m->ops->scatter_rows(c, x, view_rows(images->features, skip, inside), row);
}

/* A pass that is recorded: the positions first, first + 1, .. first + count - 1. */
typedef struct run {
  const dimple_model *m;
  context *c;
  const text_state *s;
  int64_t first, count;
  const text_sight *sight; /* null: as usual */
} run;

/* Layer `index`, with keys, angles and last keys of all rows of the pass. */
static layer layer_of(const run *r, int32_t index, layer_part part, view x) {
  const layer_parameters *p = &r->m->text.layer[index];
  kv_window cache = kv_cache_window(&r->s->cache, index, r->first, r->count);
  layer l = {.block = {r->m->ops, r->c, &r->m->weights.layers[index], &r->s->scratch, r->m->text.norm_epsilon}, .parameters = p,
                 .limited = r->s->limited, .part = part, .keys = cache.keys, .values = cache.values, .own_keys = cache.own_keys,
                 .own_values = cache.own_values, .cosine = view_rows(r->s->cosine[p->rotary], r->first, r->count),
                 .sine = view_rows(r->s->sine[p->rotary], r->first, r->count), .x = x, .last_key = r->s->last_key + r->first};
  if (!r->sight) return l;
  l.cosine = r->s->cosine[p->rotary];
  l.sine = r->s->sine[p->rotary];
  l.angle_rows = r->sight->place;
  l.last_key = r->sight->last_key;
  l.skip_key = r->sight->skip_key;
  return l;
}

/* The first rows of a view, in the width of a layer. */
static view part_of(view floats, int64_t rows, int64_t columns) { return view_rows(view_columns(floats, 0, columns), 0, rows); }

/* Turns the windows into a cache of halves to windows of floats, and keeps them for what packs and unpacks. */
static void through_floats(const text_state *s, layer *l) {
  int64_t columns = 2 * l->keys.columns, seen = l->keys.rows, own = l->x.rows;
  l->halves = (kv_window){.keys = l->keys, .values = l->values, .own_keys = l->own_keys, .own_values = l->own_values};
  l->keys = part_of(s->wide_keys, seen, columns);
  l->values = part_of(s->wide_values, seen, columns);
  l->own_keys = part_of(s->fresh_keys, own, columns);
  l->own_values = part_of(s->fresh_values, own, columns);
}

/* One part of a layer, of the pass's rows in x, piece by piece. */
static dimple_status record_part(const run *r, int32_t index, layer_part part, view x) {
  for (int64_t at = 0; at < x.rows; at += r->s->piece_rows) {
    int64_t rows = smaller(x.rows - at, r->s->piece_rows);
    layer l = layer_of(r, index, part, view_rows(x, at, rows));
    l.own_keys = view_rows(l.own_keys, at, rows);
    l.own_values = view_rows(l.own_values, at, rows);
    if (r->s->half) through_floats(r->s, &l);
    l.last_key += at;
    if (r->sight) {
      l.angle_rows += at;
      l.skip_key += at;
    } else {
      l.cosine = view_rows(l.cosine, at, rows);
      l.sine = view_rows(l.sine, at, rows);
    }
    DIMPLE_TRY(r->m->text.architecture->record_layer(&l));
  }
  return DIMPLE_OK;
}

static dimple_status record_layer(const run *r, int32_t index, view x) {
  if (x.rows <= r->s->piece_rows) return record_part(r, index, LAYER_WHOLE, x);
  DIMPLE_TRY(record_part(r, index, LAYER_KEYS, x));
  return record_part(r, index, LAYER_QUERIES, x);
}

/* In the last layer only the wanted rows go on past keys and values, into `states`. */
static dimple_status record_last_layer(const run *r, int32_t index, view x, const int32_t *wanted, view states) {
  DIMPLE_TRY(record_part(r, index, LAYER_KEYS, x));
  if (states.rows == 0) return DIMPLE_OK;
  DIMPLE_TRY(r->m->ops->gather_rows(r->c, states, x, wanted));
  int32_t *last_key = r->s->row_numbers + r->s->capacity, *skip_key = last_key + r->s->capacity, *place = skip_key + r->s->capacity;
  for (int64_t i = 0; i < states.rows; i++) {
    last_key[i] = r->sight ? r->sight->last_key[wanted[i]] : r->s->last_key[r->first + wanted[i]];
    skip_key[i] = r->sight ? r->sight->skip_key[wanted[i]] : -1;
    place[i] = r->sight ? r->sight->place[wanted[i]] : wanted[i];
  }
  for (int64_t at = 0; at < states.rows; at += r->s->piece_rows) {
    layer l = layer_of(r, index, LAYER_QUERIES, view_rows(states, at, smaller(states.rows - at, r->s->piece_rows)));
    l.angle_rows = place + at;
    l.last_key = last_key + at;
    if (r->sight) l.skip_key = skip_key + at;
    if (r->s->half) through_floats(r->s, &l);
    DIMPLE_TRY(r->m->text.architecture->record_layer(&l));
  }
  return DIMPLE_OK;
}

dimple_status text_forward(const dimple_model *m, context *c, text_state *s, int64_t first, const text_piece *pieces,
                           int32_t piece_count, const text_images *images, const text_sight *sight, const int32_t *wanted, view states) {
  const text_parameters *p = &m->text;
  run r = {m, c, s, first, 0, sight};
  for (int32_t i = 0; i < piece_count; i++) r.count += pieces[i].count;
  view x = view_rows(s->x, 0, r.count);
  DIMPLE_TRY(embed(m, c, s, first, pieces, piece_count, images, x));
  for (int32_t i = 0; i < p->layers; i++) {
    DIMPLE_TRY(m->ops->checkpoint(c));
    DIMPLE_TRY(i + 1 < p->layers ? record_layer(&r, i, x) : record_last_layer(&r, i, x, wanted, states));
  }
  return states.rows == 0 ? DIMPLE_OK : m->ops->rms_norm(c, states, states, m->weights.output_norm, p->norm_epsilon);
}
