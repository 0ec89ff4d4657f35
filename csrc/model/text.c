#include "model/text.h"

#include <string.h>

#include "allocate.h"
#include "cancel.h"
#include "model/rope.h"
#include "quant/kv_rows.h"

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
  rope_angles(r, m->weights.rotation_divisors[rotary], positions, s->capacity, table, table + count);
  dimple_status status = m->ops->pass_begin(c, NULL);
  if (status == DIMPLE_OK) status = m->ops->pass_end(c, record_angles(m, c, s, rotary, table, table + count));
  free(table);
  return status;
}

static dimple_status open_cache(const dimple_model *m, context *c, int64_t capacity, int64_t most, int32_t kv_type, kv_cache *cache) {
  kv_layer_shape *shapes;
  ALLOCATE(shapes, m->text.layers, "the shapes of the cache's layers");
  for (int32_t i = 0; i < m->text.layers; i++)
    shapes[i] = (kv_layer_shape){.width = kv_row_elements(kv_type, layer_kv_width(&m->text.layer[i])), .windowed = m->text.layer[i].windowed};
  dimple_status status = kv_cache_open(m->ops, c, shapes, m->text.layers, capacity, (kv_reach){.window = m->text.window, .pass = most}, cache);
  free(shapes);
  return status;
}

/* What rows see, counted from the first row that layers have which slide. */
static void look_near(text_state *s) {
  int64_t base = s->cache.base;
  for (int64_t i = 0; i < s->capacity; i++) {
    s->near_first_key[i] = (int32_t)larger(0, s->first_key[i] - base);
    s->near_last_key[i] = (int32_t)larger(-1, s->last_key[i] - base);
  }
}

void text_state_limit(const dimple_model *m, text_state *s, attention_grid grid, int64_t rows) {
  int64_t length = grid.block_length, first = length > 0 ? grid.offset % length : 0; /* of the whole blocks */
  if (m->text.canvases) length = 0;
  s->limited = length > 0 || m->text.causal || m->text.canvases;
  for (int64_t i = 0; i < s->capacity; i++) {
    int64_t last = length == 0 ? i : i < first ? first - 1 : first + ((i - first) / length + 1) * length - 1;
    s->last_key[i] = (int32_t)(length == 0 ? last : smaller(last, rows - 1));
    s->first_key[i] = (int32_t)larger(0, i + 1 - m->text.window);
  }
  look_near(s);
}

void text_state_join(text_state *s, int64_t first, int64_t end) {
  for (int64_t i = first; i < end; i++) {
    s->last_key[i] = (int32_t)end - 1;
    if (s->first_key[i] > first) s->first_key[i] = (int32_t)first;
  }
  look_near(s);
}

dimple_status text_state_slide(const dimple_model *m, context *c, text_state *s, int64_t first, int64_t count) {
  int64_t before = s->cache.base;
  DIMPLE_TRY(kv_cache_slide(m->ops, c, s->row_numbers, first, count, &s->cache));
  if (s->cache.base != before) look_near(s);
  return DIMPLE_OK;
}

void text_state_begin(text_state *s, int64_t rows) {
  kv_cache_begin(&s->cache, rows);
  look_near(s);
}

int64_t text_state_most(const text_state *s) { return s->cache.reach.pass > 0 ? s->cache.reach.pass : s->capacity; }

int64_t text_state_cut(const text_state *s, int64_t first, int64_t end) {
  int64_t cut = smaller(end, first + text_state_most(s));
  while (cut < end && cut > first + 1 && s->last_key[cut - 1] >= cut) cut--;
  return cut;
}

static int64_t widest_layer(const text_parameters *p) {
  int64_t width = 0;
  for (int32_t i = 0; i < p->layers; i++) width = larger(width, layer_kv_width(&p->layer[i]));
  return width;
}

/* What keys and values are before they are packed. */
static dimple_status open_fresh(const dimple_model *m, context *c, text_state *s) {
  int64_t width = widest_layer(&m->text), rows = smaller(s->capacity, s->piece_rows);
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, width, &s->fresh_keys));
  return matrix_alloc(m->ops, c, rows, width, &s->fresh_values);
}

enum { ROW_ARRAYS = 9 }; /* row_numbers and what follows them */

static dimple_status allocate_state(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, int64_t most, int32_t kv_type,
                                    text_state *s) {
  s->capacity = capacity;
  s->piece_rows = TEXT_PIECE_ROWS;
  s->kv_type = kv_type;
  DIMPLE_TRY(open_cache(m, c, capacity, most, kv_type, &s->cache));
  if (kv_type != DIMPLE_TENSOR_F32) DIMPLE_TRY(open_fresh(m, c, s));
  for (int32_t i = 0; i < m->text.rotaries; i++) DIMPLE_TRY(open_angles(m, c, i, positions, s));
  s->row_numbers = malloc((size_t)(ROW_ARRAYS * capacity) * sizeof *s->row_numbers);
  if (!s->row_numbers) return dimple_fail_memory((uint64_t)(ROW_ARRAYS * capacity) * sizeof *s->row_numbers, "row numbers");
  for (int64_t i = 0; i < capacity; i++) s->row_numbers[i] = (int32_t)i;
  s->last_key = s->row_numbers + 5 * capacity;
  s->first_key = s->last_key + capacity;
  s->near_first_key = s->first_key + capacity;
  s->near_last_key = s->near_first_key + capacity;
  text_state_limit(m, s, (attention_grid){0}, capacity);
  return DIMPLE_OK;
}

dimple_status text_state_open(const dimple_model *m, context *c, const int32_t *positions, int64_t capacity, int64_t most, int32_t kv_type,
                              text_state *s) {
  memset(s, 0, sizeof *s);
  dimple_status status = allocate_state(m, c, positions, capacity, most, kv_type, s);
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
  m->ops->buffer_free(c, s->fresh_keys.memory);
  m->ops->buffer_free(c, s->fresh_values.memory);
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
    w.feed_forward = larger(w.feed_forward, l->experts == 0 ? l->feed_forward : larger(l->shared_feed_forward, l->dense));
    if (l->dense > 0) w.sums = p->width;
  }
  return w;
}

int64_t text_state_bytes(const dimple_model *m, const text_state *s) {
  if (s->capacity == 0) return 0;
  int64_t angles = 0;
  for (int32_t i = 0; i < m->text.rotaries; i++) angles += s->capacity * m->text.rotary[i].size; /* half of it cosines, half sines */
  int64_t fresh = 2 * s->fresh_keys.rows * s->fresh_keys.columns;
  return s->scratch.bytes + (s->scratch_rows * m->text.width + angles + fresh) * (int64_t)sizeof(float) +
         ROW_ARRAYS * s->capacity * (int64_t)sizeof *s->row_numbers;
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

int64_t text_rows_count(const text_rows *rows) {
  int64_t count = 0;
  for (int32_t i = 0; i < rows->piece_count; i++) count += rows->pieces[i].count;
  return count;
}

/* The tokens whose embeddings a piece has. Of models with canvases a settled placeholder of a picture has the padding token's, wherever it stands, as
 * their authors' code has it; features take its place. */
static const int32_t *embedded_as(const dimple_model *m, const text_rows *rows, const text_piece *piece) {
  const text_parameters *p = &m->text;
  if (!p->canvases || rows->canvas || p->image_token < 0 || p->pad_token < 0) return piece->tokens;
  int32_t *tokens = rows->state->row_numbers + rows->state->capacity;
  for (int64_t i = 0; i < piece->count; i++) tokens[i] = piece->tokens[i] == p->image_token ? p->pad_token : piece->tokens[i];
  return tokens;
}

/* x = embeddings of the pieces, with image features where the prompt has placeholders. */
static dimple_status embed(const dimple_model *m, context *c, const text_rows *rows, view x) {
  const text_piece *pieces = rows->pieces;
  const text_images *images = &rows->images;
  for (int64_t i = 0, row = 0; i < rows->piece_count; row += pieces[i++].count) {
    if (pieces[i].count > 0) DIMPLE_TRY(m->ops->embed_rows(c, view_rows(x, row, pieces[i].count), m->weights.embedding, embedded_as(m, rows, &pieces[i])));
  }
  if (m->text.embedding_scale > 0) DIMPLE_TRY(m->ops->add_rows(c, x, (view){0}, m->text.embedding_scale));
  int64_t skip = 0;
  while (skip < images->count && images->at[skip] < rows->first) skip++;
  int64_t inside = images->count - skip;
  while (inside > 0 && images->at[skip + inside - 1] >= rows->first + x.rows) inside--;
  if (inside == 0) return DIMPLE_OK;
  int32_t *row = rows->state->row_numbers + rows->state->capacity;
  for (int64_t i = 0; i < inside; i++) row[i] = images->at[skip + i] - (int32_t)rows->first;
  return m->ops->scatter_rows(c, x, view_rows(images->features, skip, inside), row);
}

/* The first rows of a view, in the width of a layer. */
static view part_of(view floats, int64_t rows, int64_t columns) { return view_rows(view_columns(floats, 0, columns), 0, rows); }

/* What a canvas sees in a layer: in a windowed one not all that is before it. */
static void see_as_canvas(const dimple_model *m, const text_rows *rows, int32_t index, layer_sequence *q) {
  view *seen[] = {&q->keys, &q->values};
  const kv_cache *cache = &rows->state->cache;
  int64_t hidden = m->text.layer[index].windowed ? larger(0, rows->first + 1 - m->text.window) - (cache->layers[index].slides ? cache->base : 0) : 0;
  for (size_t i = 0; i < sizeof seen / sizeof *seen; i++)
    *seen[i] = view_rows(*seen[i], hidden, seen[i]->rows - hidden);
  q->limited = false;
}

/* Rows of a sequence in layer `index`, which begin with row `at` of the layer's x: all that the pass runs of it. */
static layer_sequence sequence_of(const dimple_model *m, const text_rows *rows, int32_t index, int64_t at) {
  const text_state *s = rows->state;
  int64_t count = text_rows_count(rows);
  int32_t rotary = m->text.layer[index].rotary;
  kv_window cache = kv_cache_window(&s->cache, index, rows->first, count);
  layer_sequence q = {.first = at, .count = count, .limited = s->limited, .kv_type = s->kv_type, .keys = cache.keys, .values = cache.values,
                      .own_keys = cache.own_keys, .own_values = cache.own_values, .numbers = s->row_numbers,
                      .cosine = view_rows(s->cosine[rotary], rows->first, count), .sine = view_rows(s->sine[rotary], rows->first, count),
                      .first_key = m->text.layer[index].windowed ? s->first_key + rows->first : NULL, .last_key = s->last_key + rows->first};
  if (s->cache.layers[index].slides) {
    q.first_key = s->near_first_key + rows->first;
    q.last_key = s->near_last_key + rows->first;
  }
  if (rows->sight.place) {
    q.cosine = s->cosine[rotary];
    q.sine = s->sine[rotary];
    q.angle_rows = rows->sight.place;
    q.last_key = rows->sight.last_key;
    q.skip_key = rows->sight.skip_key;
  }
  if (rows->canvas) see_as_canvas(m, rows, index, &q);
  return q;
}

/* Of these rows `count` from the `at`-th on, which are all that x is then. */
static layer_sequence piece_of(layer_sequence q, int64_t at, int64_t count) {
  q.own_keys = view_rows(q.own_keys, at, count);
  q.own_values = view_rows(q.own_values, at, count);
  q.first = 0;
  q.count = count;
  if (q.first_key) q.first_key += at;
  q.last_key += at;
  if (q.skip_key) q.skip_key += at;
  if (q.angle_rows) {
    q.angle_rows += at;
  } else {
    q.cosine = view_rows(q.cosine, at, count);
    q.sine = view_rows(q.sine, at, count);
  }
  return q;
}

/* The same rows in the last layer, where those that are wanted go on past keys and values: they begin with row `at` of x. */
static layer_sequence wanted_of(layer_sequence q, const text_rows *rows, int64_t at) {
  const text_state *s = rows->state;
  int32_t *last_key = s->row_numbers + s->capacity, *skip_key = last_key + s->capacity, *place = skip_key + s->capacity,
          *first_key = place + s->capacity;
  for (int64_t i = 0; i < rows->states.rows; i++) {
    int32_t row = rows->wanted[i];
    first_key[i] = q.first_key ? q.first_key[row] : 0;
    last_key[i] = q.last_key[row];
    skip_key[i] = q.skip_key ? q.skip_key[row] : -1;
    place[i] = q.angle_rows ? q.angle_rows[row] : row;
  }
  q.first = at;
  q.count = rows->states.rows;
  q.first_key = q.first_key ? first_key : NULL;
  q.last_key = last_key;
  q.skip_key = q.skip_key ? skip_key : NULL;
  q.angle_rows = place;
  return q;
}

/* A layer of x, whose rows are the sequences'. */
static layer layer_of(const dimple_model *m, context *c, const block_scratch *scratch, int32_t index, layer_part part, view x,
                      const layer_sequence *sequences, int32_t count) {
  return (layer){.block = {m->ops, c, &m->weights.layers[index], scratch, m->text.norm_epsilon}, .parameters = &m->text.layer[index],
                 .part = part, .x = x, .sequences = sequences, .sequence_count = count};
}

/* -------------------------------------------------------------------------------------------------------- one sequence */

/* One part of a layer of a sequence alone, of its rows in x, piece by piece; keys and values that stay floats are projected to where they are kept. */
static dimple_status record_part(const dimple_model *m, context *c, const text_rows *of, int32_t index, layer_part part, view x,
                                 layer_sequence q) {
  const text_state *s = of->state;
  int64_t width = layer_kv_width(&m->text.layer[index]);
  for (int64_t at = 0; at < x.rows; at += s->piece_rows) {
    int64_t rows = smaller(x.rows - at, s->piece_rows);
    layer_sequence piece = piece_of(q, at, rows);
    layer l = layer_of(m, c, &s->scratch, index, part, view_rows(x, at, rows), &piece, 1);
    l.canvas = of->canvas;
    bool packed = s->kv_type != DIMPLE_TENSOR_F32;
    l.new_keys = packed ? part_of(s->fresh_keys, rows, width) : piece.own_keys;
    l.new_values = packed ? part_of(s->fresh_values, rows, width) : piece.own_values;
    DIMPLE_TRY(m->text.architecture->record_layer(&l));
  }
  return DIMPLE_OK;
}

/* Whether rows of a layer are routed together with others of their block, so that all have to go through all of it. */
static bool routes_blocks(const dimple_model *m, int32_t index) { return m->text.layer[index].route.block > 0; }

/* Where rows are routed by blocks, those of a pass begin with one. */
static dimple_status check_blocks(const dimple_model *m, const text_rows *rows) {
  for (int32_t i = 0; i < m->text.layers; i++) {
    int32_t block = m->text.layer[i].route.block;
    if (block > 0 && (rows->first % block != 0 || rows->sight.place))
      return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "rows are routed by blocks of %d: a pass cannot begin with position %lld", block, (long long)rows->first);
  }
  return DIMPLE_OK;
}

static dimple_status record_layer(const dimple_model *m, context *c, const text_rows *rows, int32_t index, view x) {
  layer_sequence q = sequence_of(m, rows, index, 0);
  if (x.rows <= rows->state->piece_rows) return record_part(m, c, rows, index, LAYER_WHOLE, x, q);
  DIMPLE_TRY(record_part(m, c, rows, index, LAYER_KEYS, x, q));
  return record_part(m, c, rows, index, LAYER_QUERIES, x, q);
}

/* In the last layer only the wanted rows go on past keys and values. */
static dimple_status record_last_layer(const dimple_model *m, context *c, const text_rows *rows, int32_t index, view x) {
  layer_sequence q = sequence_of(m, rows, index, 0);
  if (rows->states.rows > 0 && routes_blocks(m, index)) {
    DIMPLE_TRY(record_layer(m, c, rows, index, x));
    DIMPLE_TRY(m->ops->gather_rows(c, rows->states, x, rows->wanted));
    return m->ops->rms_norm(c, rows->states, rows->states, m->weights.output_norm, m->text.norm_epsilon);
  }
  DIMPLE_TRY(record_part(m, c, rows, index, LAYER_KEYS, x, q));
  if (rows->states.rows == 0) return DIMPLE_OK;
  DIMPLE_TRY(m->ops->gather_rows(c, rows->states, x, rows->wanted));
  DIMPLE_TRY(record_part(m, c, rows, index, LAYER_QUERIES, rows->states, wanted_of(q, rows, 0)));
  return m->ops->rms_norm(c, rows->states, rows->states, m->weights.output_norm, m->text.norm_epsilon);
}

dimple_status text_forward(const dimple_model *m, context *c, const text_rows *rows) {
  int32_t last = m->text.layers - 1;
  view x = view_rows(rows->state->x, 0, text_rows_count(rows));
  DIMPLE_TRY(check_blocks(m, rows));
  DIMPLE_TRY(embed(m, c, rows, x));
  if (rows->canvas) {
    block b = {m->ops, c, NULL, &rows->state->scratch, m->text.norm_epsilon};
    DIMPLE_TRY(m->text.architecture->record_canvas(&b, &m->text, &m->weights, x, rows->signal));
  }
  for (int32_t i = 0; i <= last; i++) {
    DIMPLE_TRY(m->ops->checkpoint(c));
    DIMPLE_TRY(i < last ? record_layer(m, c, rows, i, x) : record_last_layer(m, c, rows, i, x));
  }
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------- several sequences */

void text_room_close(const dimple_model *m, context *c, text_room *room) {
  view views[] = {room->x, room->keys, room->values, room->states};
  block_scratch_close(m->ops, c, &room->scratch);
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) m->ops->buffer_free(c, views[i].memory);
  free(room->sequences);
  *room = (text_room){0};
}

static dimple_status open_room(const dimple_model *m, context *c, text_room *room, int64_t rows, int32_t sequences) {
  const text_parameters *p = &m->text;
  block_widths widths = scratch_widths(p);
  *room = (text_room){.rows = rows, .sequence_count = sequences};
  DIMPLE_TRY(block_scratch_open(m->ops, c, &widths, rows, &room->scratch));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, p->width, &room->x));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, p->width, &room->states));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, widest_layer(p), &room->keys));
  DIMPLE_TRY(matrix_alloc(m->ops, c, rows, widest_layer(p), &room->values));
  ALLOCATE(room->sequences, sequences, "the sequences of a pass");
  return DIMPLE_OK;
}

dimple_status text_room_reserve(const dimple_model *m, context *c, text_room *room, int64_t rows, int32_t sequences) {
  if (rows <= room->rows && sequences <= room->sequence_count) return DIMPLE_OK;
  rows = larger(rows, room->rows);
  sequences = (int32_t)larger(sequences, room->sequence_count);
  text_room_close(m, c, room);
  dimple_status status = open_room(m, c, room, rows, sequences);
  if (status != DIMPLE_OK) text_room_close(m, c, room);
  return status;
}

int64_t text_room_bytes(const dimple_model *m, const text_room *room) {
  int64_t columns = 2 * ((int64_t)m->text.width + widest_layer(&m->text));
  return room->scratch.bytes + (room->rows ? room->rows * columns * (int64_t)sizeof(float) : 0) +
         room->sequence_count * (int64_t)sizeof *room->sequences;
}

/* Takes note of who is asked to stop. */
static dimple_status look_for_stops(text_member *members, int32_t count) {
  int32_t running = 0;
  for (int32_t i = 0; i < count; i++) {
    text_member *one = &members[i];
    if (!one->stopped && one->cancelled) one->stopped = atomic_exchange(one->cancelled, false);
    running += !one->stopped;
  }
  return running > 0 ? DIMPLE_OK : dimple_fail(DIMPLE_ERROR_CANCELLED, "the call was cancelled");
}

static dimple_status record_together(const dimple_model *m, context *c, const text_room *room, int32_t index, layer_part part, view x,
                                     int32_t count) {
  int64_t width = layer_kv_width(&m->text.layer[index]);
  layer l = layer_of(m, c, &room->scratch, index, part, x, room->sequences, count);
  l.new_keys = view_of(room->keys.memory, x.rows, width);
  l.new_values = view_of(room->values.memory, x.rows, width);
  return m->text.architecture->record_layer(&l);
}

/* The last layer of the rows that are wanted, of all sequences, and their states to where each wants its own. */
static dimple_status record_wanted(const dimple_model *m, context *c, const text_room *room, int32_t index, view x, const text_member *members,
                                   int32_t count) {
  int64_t at = 0;
  int32_t used = 0;
  for (int32_t i = 0; i < count; i++) {
    const text_rows *rows = &members[i].rows;
    layer_sequence q = room->sequences[i];
    if (rows->states.rows == 0) continue;
    DIMPLE_TRY(m->ops->gather_rows(c, view_rows(room->states, at, rows->states.rows), view_rows(x, q.first, q.count), rows->wanted));
    room->sequences[used++] = wanted_of(q, rows, at);
    at += rows->states.rows;
  }
  if (at == 0) return DIMPLE_OK;
  view states = view_rows(room->states, 0, at);
  if (!routes_blocks(m, index)) DIMPLE_TRY(record_together(m, c, room, index, LAYER_QUERIES, states, used));
  DIMPLE_TRY(m->ops->rms_norm(c, states, states, m->weights.output_norm, m->text.norm_epsilon));
  at = 0;
  for (int32_t i = 0; i < count; i++) {
    const text_rows *rows = &members[i].rows;
    int64_t own = rows->states.rows;
    if (own > 0) DIMPLE_TRY(m->ops->gather_rows(c, rows->states, view_rows(states, at, own), rows->state->row_numbers));
    at += own;
  }
  return DIMPLE_OK;
}

static void place_sequences(const dimple_model *m, const text_room *room, int32_t index, const text_member *members, int32_t count) {
  int64_t at = 0;
  for (int32_t i = 0; i < count; i++) {
    room->sequences[i] = sequence_of(m, &members[i].rows, index, at);
    at += room->sequences[i].count;
  }
}

dimple_status text_forward_together(const dimple_model *m, context *c, text_room *room, text_member *members, int32_t count) {
  int32_t last = m->text.layers - 1;
  int64_t total = 0;
  for (int32_t i = 0; i < count; i++) {
    const text_rows *rows = &members[i].rows;
    int64_t own = text_rows_count(rows);
    DIMPLE_TRY(check_blocks(m, rows));
    DIMPLE_TRY(embed(m, c, rows, view_rows(room->x, total, own)));
    total += own;
  }
  view x = view_rows(room->x, 0, total);
  for (int32_t i = 0; i <= last; i++) {
    DIMPLE_TRY(look_for_stops(members, count));
    DIMPLE_TRY(m->ops->checkpoint(c));
    place_sequences(m, room, i, members, count);
    DIMPLE_TRY(record_together(m, c, room, i, i < last || routes_blocks(m, i) ? LAYER_WHOLE : LAYER_KEYS, x, count));
  }
  return record_wanted(m, c, room, last, x, members, count);
}
