#include "diffusion/pass.h"

#include "allocate.h"
#include "diffusion/numbers.h"
#include "transformer/block.h"

/* ---------------------------------------------------------------------------------------------------------------- memory */

static dimple_status alloc_states(const pass *p, int64_t rows, view *out) {
  return matrix_alloc(p->model->ops, p->context, rows, p->model->text.width, out);
}

static int32_t sequence_length(const pass *p) { return p->prompt->length + p->canvas->length; }

/* What it may come to have. */
static int32_t longest_sequence(const pass *p) { return p->prompt->length + p->canvas->room; }

/* And what it had when the response was set. */
static int32_t given_sequence(const pass *p) { return p->prompt->length + p->canvas->given_length; }

/* What rows see; a picture's see each other where the model has them do so: neighbouring ones are of one picture. */
static void limit_text(const pass *p, attention_grid grid, text_state *text) {
  const int32_t *at = p->prompt->feature_rows;
  text_state_limit(p->model, text, grid, given_sequence(p));
  for (int64_t i = 0, end; p->model->text.canvases && i < p->prompt->feature_count; i = end) {
    for (end = i + 1; end < p->prompt->feature_count && at[end] == at[end - 1] + 1;) end++;
    text_state_join(text, at[i], at[end - 1] + 1);
  }
}

/* Of models with windows: the rows that a pass runs at most, so that no picture is cut. */
static int64_t most_rows(const pass *p) {
  const int32_t *at = p->prompt->feature_rows;
  int64_t most = TEXT_PIECE_ROWS;
  for (int64_t i = 0, end; i < p->prompt->feature_count; i = end) {
    for (end = i + 1; end < p->prompt->feature_count && at[end] == at[end - 1] + 1;) end++;
    if (end - i > most) most = end - i;
  }
  if (p->canvas_room > most) most = p->canvas_room;
  return p->model->text.block_length > most ? p->model->text.block_length : most;
}

/* Opens a cache for prompt and `rows` rows behind it, which see what the grid has them see. */
static dimple_status open_text(const pass *p, int32_t rows, attention_grid grid, text_state *text) {
  int64_t length = (int64_t)p->prompt->length + rows;
  int32_t *positions;
  ALLOCATE(positions, 3 * length, "positions");
  prompt_positions(p->prompt, rows, positions);
  dimple_status status = text_state_open(p->model, p->context, positions, length, most_rows(p), p->kv_type, text);
  free(positions);
  if (status == DIMPLE_OK) limit_text(p, grid, text);
  return status;
}

/* What an earlier call that failed has opened stays. */
static dimple_status open_pass(pass *p) {
  view *matrices[] = {&p->first_states, &p->later_states, &p->gathered};
  if (!p->text.capacity) DIMPLE_TRY(open_text(p, p->canvas->room + p->shadow_room, p->grid, &p->text));
  if (!p->wanted) ALLOCATE(p->wanted, p->canvas->room, "row numbers");
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
    if (!matrices[i]->memory && !p->model->text.canvases) DIMPLE_TRY(alloc_states(p, canvas_most_masked(p->canvas), matrices[i]));
  return text_state_reserve(p->model, p->context, &p->text, text_state_most(&p->text));
}

static dimple_status open_bare(pass *p) {
  if (!p->bare) ALLOCATE(p->bare, sequence_length(p), "a canvas without its prompt");
  return p->bare_states.memory ? DIMPLE_OK : alloc_states(p, p->canvas->initial_masked, &p->bare_states);
}

static dimple_status open_shadow(pass *p) {
  if (p->shadow) return DIMPLE_OK;
  ALLOCATE(p->shadow, 3 * (int64_t)(sequence_length(p) + p->shadow_room) + p->shadow_room, "shadows of positions");
  return DIMPLE_OK;
}

void pass_reserve_shadow(pass *p, int32_t rows) {
  if (rows <= p->shadow_room) return;
  pass_discard(p);
  p->shadow_room = rows;
}

void pass_reserve_canvas(pass *p, int32_t rows) {
  if (rows <= p->canvas_room) return;
  if (p->text.capacity > 0 && rows > text_state_most(&p->text)) pass_discard(p);
  p->canvas_room = rows;
}

void pass_reserve_growth(pass *p) {
  int32_t shadows = p->shadow_room, canvas = p->canvas_room;
  if (p->text.capacity == 0 || p->text.capacity >= longest_sequence(p) + shadows) return;
  pass_discard(p);
  p->shadow_room = shadows;
  p->canvas_room = canvas;
}

/* No pass sees rows that are behind the sequence. */
static void hide_behind(pass *p) {
  if (p->text.cache.held > sequence_length(p)) kv_cache_hold(&p->text.cache, sequence_length(p));
}

static void close_canvas(pass *p) {
  view *matrices[] = {&p->canvas_states, &p->signals[0], &p->signals[1]};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
    p->model->ops->buffer_free(p->context, matrices[i]->memory);
    *matrices[i] = (view){0};
  }
}

static dimple_status open_canvas(pass *p, int32_t rows) {
  view *matrices[] = {&p->canvas_states, &p->signals[0], &p->signals[1]};
  if (p->canvas_states.rows < rows) close_canvas(p);
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
    if (!matrices[i]->memory) DIMPLE_TRY(alloc_states(p, rows, matrices[i]));
  return DIMPLE_OK;
}

void pass_discard(pass *p) {
  const backend_operations *ops = p->model->ops;
  text_state_close(p->model, p->context, &p->text);
  ops->buffer_free(p->context, p->first_states.memory);
  ops->buffer_free(p->context, p->later_states.memory);
  ops->buffer_free(p->context, p->gathered.memory);
  ops->buffer_free(p->context, p->bare_states.memory);
  close_canvas(p);
  former_close(&p->former, p->model, p->context);
  free(p->wanted);
  free(p->bare);
  free(p->shadow);
  *p = (pass){.model = p->model, .context = p->context, .cancelled = p->cancelled, .prompt = p->prompt, .canvas = p->canvas,
              .features = p->features, .keep_prompt = p->keep_prompt, .kv_type = p->kv_type,
              .grid = pass_model_grid(p->model)};
}

/* --------------------------------------------------------------------------------------------------------------- passes */

/* The row of prompt + response whose logits score response position `i`. */
static int32_t scoring_row(const pass *p, int32_t i) { return p->prompt->length + i - p->model->text.shift_logits; }

/* Rows first .. end - 1 of a prompt and a response of these tokens; states receives those of the rows first + wanted[states.rows]. */
static text_rows rows_of(const pass *p, text_state *text, int32_t first, int32_t end, const int32_t *prompt_tokens, const int32_t *response,
                         text_images images, const int32_t *wanted, view states) {
  int32_t border = p->prompt->length, skipped = first < border ? first : border, begun = first - skipped, rest = end - border - begun;
  return (text_rows){.state = text, .first = first, .images = images, .wanted = wanted, .states = states, .piece_count = 2,
                     .pieces = {{prompt_tokens + skipped, border - skipped}, {rest ? response + begun : NULL, rest}}}; /* there may be no response yet */
}

static text_images pictures(const pass *p) {
  return (text_images){.features = p->features->rows, .at = p->prompt->feature_rows, .count = p->prompt->feature_count};
}

static int32_t first_row(const pass *p, pass_scope scope) {
  if (scope.kind == SCOPE_PART) return p->prompt->length + scope.first;
  return scope.kind == SCOPE_CANVAS && p->keep_prompt ? scoring_row(p, 0) : 0;
}

static int32_t end_row(const pass *p, pass_scope scope) {
  if (scope.kind == SCOPE_PART) return p->prompt->length + scope.end;
  return p->prompt->length + p->canvas->used;
}

static void want(pass *p, const int32_t *positions, int32_t count, int32_t first) {
  for (int32_t i = 0; i < count; i++) p->wanted[i] = scoring_row(p, positions[i]) - first;
}

/* Of rows that see blocks: as many as the scope has them see, or else those up to their own. */
static void look_ahead(pass *p, pass_scope scope) {
  if (p->grid.block_length > 0) kv_cache_hold(&p->text.cache, scope.seen > 0 ? p->prompt->length + scope.seen : 0);
}

/* The rows of the scope, the canvas as it is; states receives those of the rows that score the positions. */
static text_rows canvas_rows(pass *p, pass_scope scope, const int32_t *positions, view states) {
  int32_t first = first_row(p, scope);
  look_ahead(p, scope);
  want(p, positions, (int32_t)states.rows, first);
  return rows_of(p, &p->text, first, end_row(p, scope), p->prompt->tokens, p->canvas->tokens, pictures(p), p->wanted, states);
}

/* The same of all rows, with masks in the place of everything that was given. */
static text_rows bare_rows(pass *p, int32_t from, view states) {
  const canvas *c = p->canvas;
  int32_t *response = p->bare + p->prompt->length;
  for (int32_t i = 0; i < p->prompt->length; i++) p->bare[i] = c->mask_token;
  for (int32_t i = 0; i < c->length; i++) response[i] = c->initial[i] == c->mask_token ? c->tokens[i] : c->mask_token;
  want(p, c->masked + from, (int32_t)states.rows, 0);
  return rows_of(p, &p->text, 0, sequence_length(p), p->bare, response, (text_images){.count = 0}, p->wanted, states);
}

/* All rows and behind them the shadows; states receives those of the rows that score masked positions from the `from`-th on, and of the
 * shadows that are watched. */
static text_rows shadowed_rows(pass *p, const pass_rows *rows, view states) {
  int32_t length = sequence_length(p), border = p->prompt->length, shadows = rows->shadow_end - rows->shadow_first, all = length + shadows;
  int32_t *place = p->shadow, *last_key = place + all, *skip_key = last_key + all, *masks = skip_key + all;
  for (int32_t i = 0; i < all; i++) {
    int32_t seat = i < length ? i : border + rows->shadow_first + i - length;
    place[i] = seat;
    last_key[i] = i < length ? length - 1 : all - 1;
    skip_key[i] = i < length ? -1 : seat;
  }
  for (int32_t i = 0; i < shadows; i++) masks[i] = p->canvas->mask_token;
  want(p, p->canvas->masked + rows->from, rows->count, 0);
  for (int32_t i = 0; i < rows->watched_count; i++) p->wanted[rows->count + i] = length + rows->watched[i] - rows->shadow_first;
  return (text_rows){.state = &p->text, .images = pictures(p), .sight = {place, last_key, skip_key}, .wanted = p->wanted, .states = states,
                     .pieces = {{p->prompt->tokens, border}, {p->canvas->tokens, p->canvas->length}, {masks, shadows}}, .piece_count = 3};
}

/* How many rows lie before the first block that the response has a part in. */
static int32_t settled_rows(const pass *p) { return p->prompt->length - (p->prompt->length - p->grid.offset) % p->grid.block_length; }

/* Whether the last of them scores the response's first position, which is masked when decodings begin. */
static bool settled_score(const pass *p) {
  return p->model->text.shift_logits && settled_rows(p) == p->prompt->length && p->canvas->initial[0] == p->canvas->mask_token;
}

/* The prompt up to the response's first block. */
static text_rows prompt_rows(pass *p) {
  int32_t first = p->shared, rows = settled_rows(p) - first;
  p->wanted[0] = rows - 1;
  return (text_rows){.state = &p->text, .first = first, .images = pictures(p), .pieces = {{p->prompt->tokens + first, rows}}, .piece_count = 1,
                     .wanted = p->wanted, .states = view_rows(p->first_states, 0, settled_score(p))};
}

int32_t pass_settled(const pass *p) { return p->model->text.canvases ? p->kept : p->prefilled && p->grid.block_length > 0 ? settled_rows(p) : 0; }

static bool same_grid(attention_grid a, attention_grid b) { return a.block_length == b.block_length && a.offset == b.offset; }

/* How many of the first `same` rows can be taken over: those that both see alike, in whole blocks. */
static int32_t shareable_rows(const pass *p, const pass *from, int32_t same) {
  int32_t settled = settled_rows(p) - 1, of_other = pass_settled(from), block = p->grid.block_length;
  int32_t rows = same < settled ? same : settled;
  if (of_other < rows) rows = of_other;
  if ((p->grid.offset - from->grid.offset) % block != 0) return 0;
  rows -= ((rows - p->grid.offset) % block + block) % block;
  return rows > 0 ? rows : 0;
}

/* Makes room for a pass over rows of the session where layers slide. Decodings that begin want the prompt's rows: if some have fallen out,
 * it is to be run again. */
static dimple_status slide(pass *p, int64_t first, int64_t count) {
  kv_cache *cache = &p->text.cache;
  dimple_status status = text_state_slide(p->model, p->context, &p->text, first, count);
  if (cache->base > kv_cache_seen_from(cache, p->prompt->length)) p->intact = NEED_NOTHING;
  return status;
}

/* Through host memory, for the two are of different contexts. */
static dimple_status copy_rows(const pass *p, const pass *from, view target, view source, float *room) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(ops->pass_begin(from->context, NULL));
  DIMPLE_TRY(ops->pass_end(from->context, ops->copy_out(from->context, room, source)));
  DIMPLE_TRY(ops->pass_begin(p->context, NULL));
  return ops->pass_end(p->context, ops->copy_in(p->context, target, room));
}

/* Where layers slide, what later rows see. */
static dimple_status copy_layers(const pass *p, const pass *from, int32_t rows, float *room) {
  for (int32_t i = 0; i < p->text.cache.layer_count; i++) {
    const kv_layer *to = &p->text.cache.layers[i], *of = &from->text.cache.layers[i];
    int64_t base = to->slides ? p->text.cache.base : 0, of_base = of->slides ? from->text.cache.base : 0, first = base > of_base ? base : of_base;
    DIMPLE_TRY(copy_rows(p, from, view_rows(to->keys, first - base, rows - first), view_rows(of->keys, first - of_base, rows - first), room));
    DIMPLE_TRY(copy_rows(p, from, view_rows(to->values, first - base, rows - first), view_rows(of->values, first - of_base, rows - first), room));
  }
  return DIMPLE_OK;
}

/* Whether the rows that those behind the first `rows` see are all there. */
static bool has_seen_rows(const pass *p, int32_t rows) { return p->text.cache.base <= kv_cache_seen_from(&p->text.cache, rows); }

dimple_status pass_take_prefix(pass *p, const pass *from, int32_t same, bool limited, int32_t *rows) {
  *rows = 0;
  bool there = from->prefilled && from->total > 0 && from->intact >= NEED_PROMPT && from->grid.block_length > 0;
  attention_grid grid = {.block_length = from->grid.block_length, .offset = from->grid.offset > 0 ? p->prompt->length : 0};
  if (!there || p->prefilled || p->canvas->masked_count == 0 || p->kv_type != from->kv_type) return DIMPLE_OK;
  if (limited && !same_grid(p->grid, grid)) return DIMPLE_OK;
  pass_limit(p, grid);
  int32_t count = shareable_rows(p, from, same);
  if (count == 0 || !has_seen_rows(from, count)) return DIMPLE_OK;
  DIMPLE_TRY(open_pass(p));
  text_state_begin(&p->text, count);
  int64_t widest = 0;
  for (int32_t i = 0; i < p->text.cache.layer_count; i++) /* keys and values are of one width */
    if (p->text.cache.layers[i].keys.columns > widest) widest = p->text.cache.layers[i].keys.columns;
  float *room;
  ALLOCATE(room, count * widest, "keys and values of a prefix");
  dimple_status status = copy_layers(p, from, count, room);
  free(room);
  if (status == DIMPLE_OK) p->shared = *rows = count;
  return status;
}

dimple_status pass_open_first(pass *p, text_rows *rows) {
  *rows = (text_rows){.state = &p->text};
  if (p->canvas->masked_count == 0) return DIMPLE_OK;
  DIMPLE_TRY(open_pass(p));
  p->intact = NEED_NOTHING;
  if (p->shared > 0 && !has_seen_rows(p, p->shared)) p->shared = 0; /* an attempt that failed has moved on */
  view first = view_rows(p->first_states, 0, p->canvas->masked_count);
  *rows = p->grid.block_length > 0 ? prompt_rows(p) : canvas_rows(p, (pass_scope){.kind = SCOPE_ALL}, p->canvas->masked, first);
  int64_t count = text_rows_count(rows);
  return count > 0 && count <= text_state_most(&p->text) ? slide(p, rows->first, count) : DIMPLE_OK; /* more are run by pass_run */
}

void pass_close_first(pass *p) {
  p->total = p->canvas->masked_count;
  if (p->total > 0) {
    kv_cache_hold(&p->text.cache, p->grid.block_length > 0 ? 0 : sequence_length(p)); /* with blocks a pass sees the rows up to its own */
    p->intact = NEED_ALL;
  }
  p->prefilled = true;
  p->shared = 0; /* what runs it again runs all of it */
  pass_restart(p, NEED_NOTHING);
}

/* Of these rows, of which no states are wanted unless that is all, those from position `first` up to `end`. */
static text_rows part_of_rows(const text_rows *rows, int64_t first, int64_t end) {
  text_rows part = *rows;
  int64_t at = rows->first;
  part.first = first;
  for (int32_t i = 0; i < rows->piece_count; at += rows->pieces[i++].count) {
    const text_piece *piece = &rows->pieces[i];
    int64_t begin = first > at ? first - at : 0, stop = end - at < piece->count ? end - at : piece->count;
    part.pieces[i] = stop > begin ? (text_piece){piece->tokens + begin, stop - begin} : (text_piece){NULL, 0};
  }
  return part;
}

static dimple_status run_part(const pass *p, const text_rows *rows) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  return numbers_end_pass(p->model, p->context, text_forward(p->model, p->context, rows));
}

dimple_status pass_run(pass *p, const text_rows *rows) {
  int64_t first = rows->first, end = first + text_rows_count(rows);
  while (first < end) {
    int64_t cut = text_state_cut(&p->text, first, end);
    text_rows part = part_of_rows(rows, first, cut);
    DIMPLE_TRY(slide(p, first, cut - first));
    DIMPLE_TRY(run_part(p, &part));
    first = cut;
  }
  return DIMPLE_OK;
}

dimple_status pass_prefill(pass *p) {
  text_rows rows;
  if (p->prefilled) return DIMPLE_OK;
  DIMPLE_TRY(pass_open_first(p, &rows));
  DIMPLE_TRY(pass_run(p, &rows));
  pass_close_first(p);
  return DIMPLE_OK;
}

attention_grid pass_model_grid(const dimple_model *model) {
  if (model->text.canvases) return (attention_grid){.block_length = 1}; /* all of the prompt is before the response */
  return (attention_grid){.block_length = model->text.block_causal ? model->text.block_length : 0};
}

void pass_limit(pass *p, attention_grid grid) {
  if (same_grid(grid, p->grid)) return;
  p->grid = grid;
  p->shared = 0;
  p->prefilled = false;
  p->intact = NEED_NOTHING;
  if (p->text.capacity > 0) limit_text(p, grid, &p->text);
}

void pass_restart(pass *p, pass_need need) {
  bool blocks = p->grid.block_length > 0;
  hide_behind(p);
  former_clear(&p->former);
  if (need == NEED_PROMPT && !p->keep_prompt && !blocks) need = NEED_NOTHING;
  if (p->total > 0 && need > p->intact) p->prefilled = false;
  p->fresh = p->prefilled && p->total > 0 && (!blocks || settled_score(p)) ? &p->first_states : NULL;
  p->fresh_from = 0;
  p->stale = p->prefilled && p->total > 0 && !blocks && p->intact < NEED_ALL;
  p->recalls = false;
  p->kept = p->prefilled && p->total > 0 ? p->prompt->length : 0; /* another decoding writes over its canvases */
  p->fresh_count = blocks ? 1 : p->total;
  p->count = p->prefilled && p->total > 0 && (!blocks || settled_rows(p) > 0);
}

void pass_canvas_changed(pass *p) {
  p->fresh = NULL;
  hide_behind(p);
}

void pass_shortened(pass *p) {
  pass_canvas_changed(p);
  p->recalls = p->stale;
}

/* Runs the response as it was set once more, against the first pass's prompt, if its keys and values are wanted again. */
static dimple_status recall(pass *p) {
  if (!p->recalls) return DIMPLE_OK;
  int32_t first = p->keep_prompt && p->intact >= NEED_PROMPT ? scoring_row(p, 0) : 0;
  text_rows rows = rows_of(p, &p->text, first, sequence_length(p), p->prompt->tokens, p->canvas->initial, pictures(p), NULL,
                           view_rows(p->later_states, 0, 0));
  DIMPLE_TRY(pass_run(p, &rows));
  p->recalls = p->stale = false;
  p->count++;
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- scoring */

static bool same_scope(pass_scope a, pass_scope b) {
  return a.kind == b.kind && (a.kind != SCOPE_PART || (a.first == b.first && a.end == b.end && a.seen == b.seen));
}

/* Whether the rows' states are there: the first pass's do for a pass over everything, kept or not. */
static bool is_fresh(const pass *p, const pass_rows *rows) {
  if (!p->fresh || rows->from < p->fresh_from || rows->from + rows->count > p->fresh_from + p->fresh_count) return false;
  if (p->fresh == &p->first_states) return p->grid.block_length > 0 ? rows->scope.end == 0 : rows->scope.kind != SCOPE_PART;
  return same_scope(p->fresh_scope, rows->scope);
}

/* What a pass of that scope leaves of the first one's keys and values. */
static pass_need left_by(const pass *p, pass_scope scope) {
  if (scope.kind == SCOPE_ALL || (scope.kind == SCOPE_CANVAS && !p->keep_prompt)) return NEED_NOTHING;
  return p->intact < NEED_PROMPT ? p->intact : NEED_PROMPT;
}

static dimple_status record_choice(const pass *p, const pass_rows *rows, view target, view *scored) {
  if (!rows->chosen) return DIMPLE_OK;
  view gathered = view_rows(target, 0, rows->chosen_count);
  DIMPLE_TRY(p->model->ops->gather_rows(p->context, gathered, *scored, rows->chosen));
  *scored = gathered;
  return DIMPLE_OK;
}

/* Of a call of the head over `rows` rows, whose results tell of the logits they were made of. */
static dimple_status check_head(const pass *p, const head_call *head, int64_t rows) {
  if (head->results) return numbers_check_results(p->model, head->results, rows);
  return numbers_check(p->model, "logits", head->logits, rows * p->model->text.vocab);
}

/* The rows whose states are scored, if they are not there yet: with shadows, or of the scope alone. */
static text_rows scored_rows(pass *p, const pass_rows *rows) {
  if (rows->watched_count > 0) return shadowed_rows(p, rows, view_rows(p->later_states, 0, rows->count + rows->watched_count));
  return canvas_rows(p, rows->scope, rows->positions ? rows->positions : p->canvas->masked + rows->from, view_rows(p->later_states, 0, rows->count));
}

/* Those of a pass for keys and values. */
static text_rows kept_rows(pass *p, pass_scope scope) {
  look_ahead(p, scope);
  return rows_of(p, &p->text, first_row(p, scope), end_row(p, scope), p->prompt->tokens, p->canvas->tokens, pictures(p), NULL,
                 view_rows(p->later_states, 0, 0));
}

/* Whether a pass for these rows finds their states there. */
static bool finds_states(const pass *p, const pass_rows *rows) { return rows->watched_count == 0 && !rows->positions && is_fresh(p, rows); }

/* Makes ready for a pass that scores the rows. */
static dimple_status open_score(pass *p, const pass_rows *rows) {
  bool fresh = finds_states(p, rows);
  if (rows->bare) DIMPLE_TRY(open_bare(p));
  if (rows->watched_count > 0) DIMPLE_TRY(open_shadow(p));
  if (!fresh) p->intact = left_by(p, rows->scope);
  if (rows->bare) p->intact = NEED_NOTHING;
  if (!fresh && p->fresh == &p->later_states) p->fresh = NULL; /* they are overwritten */
  return DIMPLE_OK;
}

static dimple_status record_forward(const pass *p, text_rows rows) { return text_forward(p->model, p->context, &rows); }

static bool same_rows(const pass_rows *a, const pass_rows *b) {
  return same_scope(a->scope, b->scope) && a->from == b->from && a->count == b->count && a->positions == b->positions && a->bare == b->bare &&
         a->shadow_first == b->shadow_first && a->shadow_end == b->shadow_end && a->watched == b->watched && a->watched_count == b->watched_count;
}

/* Whether what is wanted now has run. */
static bool ran_ahead(const pass *p, pass_wish_kind kind, const pass_rows *rows) {
  return p->ahead && p->ahead->kind == kind && same_rows(&p->ahead->rows, rows);
}

/* Records the states of the canvas as it is, if they are not there yet, the choice among them, and the head. */
static dimple_status record_score(pass *p, const pass_rows *rows, bool fresh, const head_call *head) {
  const backend_operations *ops = p->model->ops;
  p->scored = fresh ? view_rows(*p->fresh, rows->from - p->fresh_from, rows->count) : view_rows(p->later_states, 0, rows->count);
  p->shadow_scored = view_rows(p->later_states, rows->count, rows->watched_count);
  if (rows->bare) p->bare_scored = view_rows(p->bare_states, 0, rows->count);
  bool ran = ran_ahead(p, WISH_SCORE, rows);
  if (!fresh && !ran) DIMPLE_TRY(record_forward(p, scored_rows(p, rows)));
  if (rows->bare && !ran) DIMPLE_TRY(record_forward(p, bare_rows(p, rows->from, p->bare_scored)));
  DIMPLE_TRY(record_choice(p, rows, p->gathered, &p->scored));
  if (!head) return DIMPLE_OK;
  head_call call = *head;
  call.x = p->scored;
  call.w = p->model->weights.output;
  return ops->head(p->context, &call);
}

dimple_status pass_score(pass *p, pass_rows rows, const head_call *head) {
  const backend_operations *ops = p->model->ops;
  bool fresh = finds_states(p, &rows);
  DIMPLE_TRY(recall(p));
  DIMPLE_TRY(open_score(p, &rows));
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(numbers_end_pass(p->model, p->context, record_score(p, &rows, fresh, head)));
  if (head) DIMPLE_TRY(check_head(p, head, p->scored.rows));
  p->count += !fresh + rows.bare;
  if (fresh) return DIMPLE_OK;
  p->stale = false;
  p->fresh = rows.positions ? NULL : &p->later_states;
  p->fresh_scope = rows.scope;
  p->fresh_from = rows.from;
  p->fresh_count = rows.count;
  return DIMPLE_OK;
}

dimple_status pass_keep(pass *p, pass_scope scope) {
  DIMPLE_TRY(recall(p));
  text_rows rows = kept_rows(p, scope);
  p->intact = left_by(p, scope);
  if (!ran_ahead(p, WISH_KEEP, &(pass_rows){.scope = scope})) DIMPLE_TRY(pass_run(p, &rows)); /* which may leave less intact */
  if (rows.first == p->kept) p->kept += (int32_t)text_rows_count(&rows);
  p->stale = false;
  p->count++;
  return DIMPLE_OK;
}

/* The rows of a canvas; states receives those of all. */
static text_rows denoised_rows(const pass *p, text_state *text, int32_t first, int32_t count, const int32_t *tokens, view signal, view states) {
  return (text_rows){.state = text, .first = p->prompt->length + first, .pieces = {{tokens, count}}, .piece_count = 1, .canvas = true,
                     .signal = signal, .wanted = text->row_numbers, .states = states};
}

static dimple_status record_denoising(const pass *p, const text_rows *rows, bool expects, const head_call *head) {
  head_call call = *head;
  call.x = rows->states;
  call.w = p->model->weights.output;
  call.softcap = p->model->text.softcap;
  call.rows = p->model->weights.embedding;
  if (expects) call.expected = view_rows(p->signals[!p->signal], 0, rows->states.rows);
  DIMPLE_TRY(text_forward(p->model, p->context, rows));
  return p->model->ops->head(p->context, &call);
}

dimple_status pass_denoise(pass *p, int32_t first, int32_t end, const int32_t *tokens, bool conditioned, bool expects, const head_call *head) {
  const backend_operations *ops = p->model->ops;
  int32_t count = end - first;
  DIMPLE_TRY(open_canvas(p, count));
  view signal = conditioned ? view_rows(p->signals[p->signal], 0, count) : (view){0};
  text_rows rows = denoised_rows(p, &p->text, first, count, tokens, signal, view_rows(p->canvas_states, 0, count));
  p->intact = left_by(p, (pass_scope){.kind = SCOPE_PART});
  DIMPLE_TRY(slide(p, rows.first, count));
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(numbers_end_pass(p->model, p->context, record_denoising(p, &rows, expects, head)));
  DIMPLE_TRY(check_head(p, head, count));
  if (expects) p->signal = !p->signal;
  p->count++;
  return DIMPLE_OK;
}

dimple_status pass_canvas_logits(pass *p, int32_t row, int32_t count, float *logits) {
  const backend_operations *ops = p->model->ops;
  head_call call = {.x = view_rows(p->canvas_states, row, count), .w = p->model->weights.output, .softcap = p->model->text.softcap, .logits = logits};
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  return numbers_end_pass(p->model, p->context, ops->head(p->context, &call));
}

dimple_status pass_open_ahead(pass *p, const pass_wish *wish, pass_round round, text_rows *out) {
  const pass_rows *rows = &wish->rows;
  *out = (text_rows){.state = &p->text};
  if (wish->kind == WISH_NOTHING) return DIMPLE_OK;
  DIMPLE_TRY(recall(p)); /* alone */
  if (wish->kind == WISH_KEEP) {
    p->intact = left_by(p, rows->scope);
    if (round == ROUND_CANVAS) *out = kept_rows(p, rows->scope);
    return DIMPLE_OK;
  }
  DIMPLE_TRY(open_score(p, rows));
  if (round == ROUND_BARE && rows->bare) *out = bare_rows(p, rows->from, view_rows(p->bare_states, 0, rows->count));
  if (round == ROUND_CANVAS && !finds_states(p, rows)) *out = scored_rows(p, rows);
  return DIMPLE_OK;
}

void pass_set_ahead(pass *p, const pass_wish *ahead) { p->ahead = ahead; }

dimple_status pass_keep_states(pass *p, const int32_t *positions, int32_t count, const float *log_sums, bool guided) {
  view bare = guided ? view_rows(p->bare_scored, 0, count) : (view){0};
  return former_keep(&p->former, p->model, p->context, positions, count, log_sums, view_rows(p->scored, 0, count), bare, p->canvas->room);
}

static dimple_status record_head(const pass *p, pass_view of, int32_t first, int32_t count, head_call call) {
  view own = view_rows(p->scored, first, count), bare = view_rows(p->bare_scored, first, count);
  const former_states *f = &p->former;
  bool guided = call.guidance > 0, former = of == VIEW_FORMER || of == VIEW_FORMER_BARE;
  call.x = of == VIEW_SCORED ? own : of == VIEW_BARE ? bare : view_rows(p->shadow_scored, first, count);
  call.w = p->model->weights.output;
  if (guided) call.bare = bare;
  if (former) DIMPLE_TRY(former_bring(f, p->model, p->context, call.positions, of == VIEW_FORMER ? own : bare, of == VIEW_FORMER_BARE, &call.x));
  if (call.comparison) DIMPLE_TRY(former_bring(f, p->model, p->context, call.positions, own, false, &call.former));
  if (call.comparison && guided) DIMPLE_TRY(former_bring(f, p->model, p->context, call.positions, bare, true, &call.former_bare));
  return p->model->ops->head(p->context, &call);
}

dimple_status pass_head(pass *p, pass_view of, int32_t first, int32_t count, const head_call *head) {
  DIMPLE_TRY(p->model->ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(numbers_end_pass(p->model, p->context, record_head(p, of, first, count, *head)));
  return check_head(p, head, count);
}

/* ------------------------------------------------------------------------------------------------------ looking inside */

/* The positions that are no canvas, before the pass of the others. */
static dimple_status run_settled_logits(const pass *p, text_state *text, int32_t settled, view states) {
  for (int64_t first = 0, cut; first < settled; first = cut) {
    cut = text_state_cut(text, first, settled);
    text_rows rows = rows_of(p, text, (int32_t)first, (int32_t)cut, p->prompt->tokens, p->canvas->initial, pictures(p), text->row_numbers,
                             view_rows(states, first, cut - first));
    DIMPLE_TRY(text_state_slide(p->model, p->context, text, first, cut - first));
    DIMPLE_TRY(run_part(p, &rows));
  }
  return text_state_slide(p->model, p->context, text, settled, given_sequence(p) - settled);
}

static dimple_status record_logits(const pass *p, text_state *text, int32_t settled, view states, float *logits) {
  int32_t canvas = given_sequence(p) - settled;
  if (canvas > 0)
    DIMPLE_TRY(record_forward(p, denoised_rows(p, text, 0, canvas, p->canvas->initial, (view){0}, view_rows(states, settled, canvas))));
  return p->model->ops->head(p->context, &(head_call){.x = states, .w = p->model->weights.output, .softcap = p->model->text.softcap, .logits = logits});
}

static dimple_status run_logits(const pass *p, text_state *text, view *states, float *logits) {
  const backend_operations *ops = p->model->ops;
  DIMPLE_TRY(open_text(p, p->canvas->given_length, pass_model_grid(p->model), text));
  int32_t settled = p->model->text.canvases ? p->prompt->length : given_sequence(p);
  DIMPLE_TRY(text_state_reserve(p->model, p->context, text, text_state_most(text)));
  DIMPLE_TRY(alloc_states(p, text->capacity, states));
  DIMPLE_TRY(run_settled_logits(p, text, settled, *states));
  DIMPLE_TRY(ops->pass_begin(p->context, p->cancelled));
  DIMPLE_TRY(numbers_end_pass(p->model, p->context, record_logits(p, text, settled, *states, logits)));
  return numbers_check(p->model, "logits", logits, text->capacity * p->model->text.vocab);
}

dimple_status pass_logits(const pass *p, float *logits) {
  text_state text = {0};
  view states = {0};
  dimple_status status = run_logits(p, &text, &states, logits);
  p->model->ops->buffer_free(p->context, states.memory);
  text_state_close(p->model, p->context, &text);
  return status;
}

int64_t pass_scratch_bytes(const pass *p) {
  const view *matrices[] = {&p->first_states, &p->later_states, &p->gathered, &p->bare_states, &p->canvas_states, &p->signals[0], &p->signals[1]};
  int64_t floats = 0, numbers = 0;
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) floats += matrices[i]->rows * matrices[i]->columns;
  if (p->wanted) numbers += p->canvas->room;
  if (p->bare) numbers += sequence_length(p);
  if (p->shadow) numbers += 3 * (int64_t)(sequence_length(p) + p->shadow_room) + p->shadow_room;
  return text_state_bytes(p->model, &p->text) + former_bytes(&p->former) + floats * (int64_t)sizeof(float) + numbers * (int64_t)sizeof(int32_t);
}
