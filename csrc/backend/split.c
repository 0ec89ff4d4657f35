#include "backend/split.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "error.h"

typedef struct split {
  backend_operations operations; /* first, so that a table's address is its split's */
  split_part parts[SPLIT_MOST_PARTS];
  int32_t count;
  char name[512];
} split;

/* The bit of a part; the host has one, too. */
static uint32_t bit_of(int32_t part) { return 1u << part; }

enum { HOST = SPLIT_MOST_PARTS };

/* -------------------------------------------------------------------------------------------------------------- weights */

struct weight {
  const split *of;
  weight *inner[SPLIT_MOST_PARTS]; /* null: not there */
};

static void split_weight_free(weight *w) {
  if (!w) return;
  for (int32_t i = 0; i < w->of->count; i++) w->of->parts[i].ops->weight_free(w->inner[i]);
  free(w);
}

static int64_t split_weight_bytes(const weight *w) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < w->of->count; i++)
    if (w->inner[i]) bytes += w->of->parts[i].ops->weight_bytes(w->inner[i]);
  return bytes;
}

static int32_t part_of_stage(const split *s, int32_t stage) {
  int32_t part = 0;
  while (part + 1 < s->count && stage >= s->parts[part].end) part++;
  return part;
}

/* Where an operation with this weight runs. */
static int32_t part_of(const weight *w) {
  int32_t part = 0;
  while (part + 1 < w->of->count && !w->inner[part]) part++;
  return part;
}

/* ------------------------------------------------------------------------------------------------------------- contexts */

/* A stretch of a buffer that a part has been given in the pass that is under way. */
typedef struct carried {
  buffer *memory;
  int64_t first, end;
  int32_t part;
} carried;

struct context {
  const split *of;
  context *inner[SPLIT_MOST_PARTS];
  bool open[SPLIT_MOST_PARTS]; /* in the pass that is under way, the part has one, too */
  int32_t current;             /* the part that the last operation ran on; -1: none yet */
  bool misplaced;              /* an operation found a weight on another part than its first one */
  atomic_bool *cancelled;
  carried *carried;
  int64_t carried_count, carried_room;
  split_figures figures;
};

static void split_context_close(context *c) {
  if (!c) return;
  for (int32_t i = 0; i < c->of->count; i++)
    if (c->inner[i]) c->of->parts[i].ops->context_close(c->inner[i]);
  free(c->carried);
  free(c);
}

static dimple_status split_context_open(const backend_operations *self, int32_t threads, context **out) {
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  c->of = (const split *)(const void *)self;
  for (int32_t i = 0; i < c->of->count; i++) {
    const backend_operations *ops = c->of->parts[i].ops;
    dimple_status status = ops->context_open(ops, threads, &c->inner[i]);
    if (status == DIMPLE_OK) continue;
    split_context_close(c);
    return status;
  }
  *out = c;
  return DIMPLE_OK;
}

static int64_t split_context_bytes(const context *c) {
  int64_t bytes = (int64_t)sizeof *c + c->carried_room * (int64_t)sizeof *c->carried;
  for (int32_t i = 0; i < c->of->count; i++) bytes += c->of->parts[i].ops->context_bytes(c->inner[i]);
  return bytes;
}

split_figures split_figures_of(const context *c) { return c->figures; }

static dimple_status split_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out) {
  const split *s = c->of;
  weight *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, source->name);
  w->of = s;
  int32_t part = part_of_stage(s, source->stage), last = source->also_last ? s->count - 1 : part;
  dimple_status status = s->parts[part].ops->weight_upload(c->inner[part], source, use, &w->inner[part]);
  if (status == DIMPLE_OK && last != part) status = s->parts[last].ops->weight_upload(c->inner[last], source, use, &w->inner[last]);
  if (status == DIMPLE_OK)
    *out = w;
  else
    split_weight_free(w);
  return status;
}

/* -------------------------------------------------------------------------------------------------------------- buffers */

/* Elements first .. end - 1 of a buffer are the same where `valid` says. */
typedef struct region {
  int64_t first, end;
  uint32_t valid;
} region;

struct buffer {
  const split *of;
  int64_t count;
  buffer *inner[SPLIT_MOST_PARTS]; /* null: not needed there so far */
  float *host;                     /* likewise */
  region *regions;                 /* all of the buffer, one after the other */
  int64_t region_count, region_room;
};

static void split_buffer_free(context *c, buffer *b) {
  if (!b) return;
  for (int32_t i = 0; i < b->of->count; i++)
    if (b->inner[i]) b->of->parts[i].ops->buffer_free(c->inner[i], b->inner[i]);
  free(b->host);
  free(b->regions);
  free(b);
}

/* Room for one more element. */
static dimple_status grow(void **array, int64_t count, int64_t *room, size_t size) {
  if (count < *room) return DIMPLE_OK;
  int64_t more = *room ? 2 * *room : 8;
  void *larger = realloc(*array, (size_t)more * size);
  if (!larger) return dimple_fail_memory((uint64_t)more * size, "a buffer's whereabouts");
  *array = larger;
  *room = more;
  return DIMPLE_OK;
}

/* Memory comes with the first use; what it holds before is nobody's. */
static dimple_status split_buffer_alloc(context *c, int64_t count, buffer **out) {
  if (count < 0 || (uint64_t)count > SIZE_MAX / sizeof(float) - 64) return dimple_fail_memory(SIZE_MAX, "activations");
  buffer *b = calloc(1, sizeof *b);
  if (!b) return dimple_fail_memory(sizeof *b, "activations");
  *b = (buffer){.of = c->of, .count = count};
  dimple_status status = grow((void **)&b->regions, 0, &b->region_room, sizeof *b->regions);
  if (status != DIMPLE_OK) {
    split_buffer_free(c, b);
    return status;
  }
  b->regions[b->region_count++] = (region){0, count, ~0u};
  *out = b;
  return DIMPLE_OK;
}

/* Makes a region begin at `at`, and gives its index; that behind the last one where `at` is the buffer's end. */
static dimple_status cut(buffer *b, int64_t at, int64_t *index) {
  int64_t i = 0;
  while (i < b->region_count && b->regions[i].end <= at) i++;
  *index = i;
  if (i == b->region_count || b->regions[i].first == at) return DIMPLE_OK;
  DIMPLE_TRY(grow((void **)&b->regions, b->region_count, &b->region_room, sizeof *b->regions));
  memmove(&b->regions[i + 1], &b->regions[i], (size_t)(b->region_count - i) * sizeof *b->regions);
  b->region_count++;
  b->regions[i].end = b->regions[i + 1].first = at;
  *index = i + 1;
  return DIMPLE_OK;
}

/* Cuts out first .. end - 1: regions *from .. *to - 1. */
static dimple_status cut_out(buffer *b, int64_t first, int64_t end, int64_t *from, int64_t *to) {
  DIMPLE_TRY(cut(b, first, from));
  DIMPLE_TRY(cut(b, end, to));
  return DIMPLE_OK;
}

static void join(buffer *b) {
  int64_t kept = 0;
  for (int64_t i = 1; i < b->region_count; i++) {
    if (b->regions[i].valid == b->regions[kept].valid)
      b->regions[kept].end = b->regions[i].end;
    else
      b->regions[++kept] = b->regions[i];
  }
  b->region_count = kept + 1;
}

/* The elements from a view's first to its last, those between its rows too. */
static int64_t end_of(view v) { return v.rows == 0 ? v.first : v.first + (v.rows - 1) * v.stride + v.columns; }

static bool has_gaps(view v) { return v.rows > 1 && v.columns < v.stride; }

static dimple_status mark(view v, uint32_t valid) {
  int64_t from, to;
  if (v.rows == 0) return DIMPLE_OK;
  DIMPLE_TRY(cut_out(v.memory, v.first, end_of(v), &from, &to));
  for (int64_t i = from; i < to; i++) v.memory->regions[i].valid = valid;
  join(v.memory);
  return DIMPLE_OK;
}

/* A stretch of a part's memory. */
static view stretch(buffer *memory, int64_t first, int64_t end) {
  return (view){.memory = memory, .first = first, .rows = 1, .columns = end - first, .stride = end - first};
}

/* --------------------------------------------------------------------------------------------------------------- passes */

static dimple_status split_pass_begin(context *c, atomic_bool *cancelled) {
  c->cancelled = cancelled;
  c->current = -1;
  c->misplaced = false;
  c->carried_count = 0;
  memset(c->open, 0, sizeof c->open);
  return DIMPLE_OK;
}

static dimple_status open_part(context *c, int32_t part) {
  if (c->open[part]) return DIMPLE_OK;
  DIMPLE_TRY(c->of->parts[part].ops->pass_begin(c->inner[part], c->cancelled));
  c->open[part] = true;
  return DIMPLE_OK;
}

static dimple_status close_part(context *c, int32_t part, dimple_status recorded) {
  c->open[part] = false;
  if (recorded == DIMPLE_OK) c->figures.runs[part]++;
  return c->of->parts[part].ops->pass_end(c->inner[part], recorded);
}

/* What parts were given in a pass that failed may not have arrived: the others still have it. */
static void take_back(context *c) {
  for (int64_t i = 0; i < c->carried_count; i++) {
    const carried *one = &c->carried[i];
    buffer *b = one->memory;
    for (int64_t k = 0; k < b->region_count; k++) {
      region *r = &b->regions[k];
      if (r->first < one->end && one->first < r->end && r->valid != bit_of(one->part)) r->valid &= ~bit_of(one->part);
    }
  }
}

static dimple_status split_pass_end(context *c, dimple_status recorded) {
  dimple_status status = recorded;
  for (int32_t i = 0; i < c->of->count; i++)
    if (c->open[i]) status = close_part(c, i, status);
  if (status != DIMPLE_OK) take_back(c);
  return status;
}

static dimple_status host_memory(buffer *b) {
  size_t bytes = (size_t)(b->count ? b->count : 1) * sizeof *b->host;
  if (!b->host) b->host = malloc(bytes);
  return b->host ? DIMPLE_OK : dimple_fail_memory(bytes, "activations on their way");
}

/* Region i of a buffer to the host: what was recorded for the part that has it runs first. */
static dimple_status to_host(context *c, buffer *b, int64_t i) {
  region *r = &b->regions[i];
  int32_t part = 0;
  if (r->valid & bit_of(HOST)) return DIMPLE_OK;
  while (!(r->valid & bit_of(part))) part++;
  DIMPLE_TRY(host_memory(b));
  DIMPLE_TRY(open_part(c, part));
  dimple_status status = c->of->parts[part].ops->copy_out(c->inner[part], b->host + r->first, stretch(b->inner[part], r->first, r->end));
  DIMPLE_TRY(close_part(c, part, status));
  r->valid |= bit_of(HOST);
  return DIMPLE_OK;
}

/* Region i of a buffer to a part, behind what is recorded for it. */
static dimple_status to_part(context *c, buffer *b, int64_t i, int32_t part) {
  DIMPLE_TRY(to_host(c, b, i));
  DIMPLE_TRY(open_part(c, part));
  region *r = &b->regions[i];
  DIMPLE_TRY(grow((void **)&c->carried, c->carried_count, &c->carried_room, sizeof *c->carried));
  DIMPLE_TRY(c->of->parts[part].ops->copy_in(c->inner[part], stretch(b->inner[part], r->first, r->end), b->host + r->first));
  c->carried[c->carried_count++] = (carried){b, r->first, r->end, part};
  c->figures.bytes += (r->end - r->first) * (int64_t)sizeof(float);
  r->valid |= bit_of(part);
  return DIMPLE_OK;
}

/* Sees to it that a part, or the host, has what a view shows. */
static dimple_status bring(context *c, view v, int32_t part) {
  buffer *b = v.memory;
  int64_t from, to;
  if (!b) return DIMPLE_OK;
  if (part == HOST) DIMPLE_TRY(host_memory(b));
  if (part != HOST && !b->inner[part]) DIMPLE_TRY(c->of->parts[part].ops->buffer_alloc(c->inner[part], b->count, &b->inner[part]));
  if (v.rows == 0) return DIMPLE_OK;
  DIMPLE_TRY(cut_out(b, v.first, end_of(v), &from, &to));
  for (int64_t i = from; i < to; i++) {
    if (b->regions[i].valid & bit_of(part)) continue;
    DIMPLE_TRY(part == HOST ? to_host(c, b, i) : to_part(c, b, i, part));
  }
  join(b);
  return DIMPLE_OK;
}

/* The same for a view that is about to be written as a whole. */
static dimple_status overwrite(context *c, view v, int32_t part) {
  if (!v.memory) return DIMPLE_OK;
  view needed = v;
  if (!has_gaps(v)) needed.rows = 0;
  DIMPLE_TRY(bring(c, needed, part));
  return mark(v, bit_of(part));
}

/* And for one that is changed. */
static dimple_status change(context *c, view v, int32_t part) {
  DIMPLE_TRY(bring(c, v, part));
  return v.memory ? mark(v, bit_of(part)) : DIMPLE_OK;
}

/* The first part that has the beginning of a view. */
static int32_t holder_of(const context *c, view v) {
  const buffer *b = v.memory;
  int64_t i = 0;
  while (i + 1 < b->region_count && b->regions[i].end <= v.first) i++;
  for (int32_t part = 0; part < c->of->count; part++)
    if (b->regions[i].valid & bit_of(part)) return part;
  return 0;
}

static dimple_status enter(context *c, int32_t part) {
  c->current = part;
  return open_part(c, part);
}

/* Where an operation without weights runs. */
static dimple_status enter_beside(context *c, view input) { return enter(c, c->current >= 0 ? c->current : holder_of(c, input)); }

static const backend_operations *here(const context *c) { return c->of->parts[c->current].ops; }

static context *inner(const context *c) { return c->inner[c->current]; }

/* A view in terms of the current part. */
static view seen(const context *c, view v) {
  if (v.memory) v.memory = v.memory->inner[c->current];
  return v;
}

static const weight *held(context *c, const weight *w) {
  if (!w) return NULL;
  c->misplaced |= !w->inner[c->current];
  return w->inner[c->current];
}

static dimple_status check_places(const context *c) {
  return c->misplaced ? dimple_fail(DIMPLE_ERROR_STATE, "split: an operation has weights on several devices") : DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- operations */

static dimple_status split_checkpoint(context *c) {
  return c->current >= 0 && c->open[c->current] ? here(c)->checkpoint(inner(c)) : check_cancelled(c->cancelled);
}

/* Goes to parts when they need it. */
static dimple_status split_copy_in(context *c, view target, const float *host) {
  DIMPLE_TRY(overwrite(c, target, HOST));
  for (int64_t i = 0; i < target.rows; i++)
    memcpy(target.memory->host + target.first + i * target.stride, host + i * target.columns, (size_t)target.columns * sizeof *host);
  return DIMPLE_OK;
}

static dimple_status split_copy_out(context *c, float *host, view source) {
  int32_t part = c->current >= 0 ? c->current : holder_of(c, source);
  DIMPLE_TRY(bring(c, source, part));
  DIMPLE_TRY(open_part(c, part));
  source.memory = source.memory->inner[part];
  return c->of->parts[part].ops->copy_out(c->inner[part], host, source);
}

static dimple_status split_embed_rows(context *c, view y, const weight *w, const int32_t *ids) {
  DIMPLE_TRY(enter(c, part_of(w)));
  DIMPLE_TRY(overwrite(c, y, c->current));
  return here(c)->embed_rows(inner(c), seen(c, y), held(c, w), ids);
}

static dimple_status split_gather_rows(context *c, view y, view x, const int32_t *index) {
  DIMPLE_TRY(enter_beside(c, x));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(overwrite(c, y, c->current));
  return here(c)->gather_rows(inner(c), seen(c, y), seen(c, x), index);
}

static dimple_status split_scatter_rows(context *c, view y, view x, const int32_t *index) {
  DIMPLE_TRY(enter_beside(c, y));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(change(c, y, c->current));
  return here(c)->scatter_rows(inner(c), seen(c, y), seen(c, x), index);
}

static dimple_status split_pack_kv(context *c, view packed, view x, int32_t kv_type) {
  DIMPLE_TRY(enter_beside(c, x));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(overwrite(c, packed, c->current));
  return here(c)->pack_kv(inner(c), seen(c, packed), seen(c, x), kv_type);
}

static dimple_status split_add_rows(context *c, view y, view x, float factor) {
  DIMPLE_TRY(enter_beside(c, y));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(change(c, y, c->current));
  return here(c)->add_rows(inner(c), seen(c, y), seen(c, x), factor);
}

static dimple_status split_rms_norm(context *c, view y, view x, const weight *w, float epsilon) {
  DIMPLE_TRY(w ? enter(c, part_of(w)) : enter_beside(c, x));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(overwrite(c, y, c->current));
  return here(c)->rms_norm(inner(c), seen(c, y), seen(c, x), held(c, w), epsilon);
}

static dimple_status split_layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon) {
  DIMPLE_TRY(w ? enter(c, part_of(w)) : b ? enter(c, part_of(b)) : enter_beside(c, x));
  DIMPLE_TRY(bring(c, x, c->current));
  DIMPLE_TRY(overwrite(c, y, c->current));
  const weight *scale = held(c, w), *shift = held(c, b);
  DIMPLE_TRY(check_places(c));
  return here(c)->layer_norm(inner(c), seen(c, y), seen(c, x), scale, shift, epsilon);
}

static dimple_status split_adjust(context *c, const adjust_call *call) {
  const weight *any = call->minus ? call->minus : call->times ? call->times : call->low ? call->low : call->high;
  DIMPLE_TRY(any ? enter(c, part_of(any)) : enter_beside(c, call->x));
  DIMPLE_TRY(bring(c, call->x, c->current));
  DIMPLE_TRY(bring(c, call->gate, c->current));
  DIMPLE_TRY(overwrite(c, call->y, c->current));
  adjust_call there = {.x = seen(c, call->x), .y = seen(c, call->y), .gate = seen(c, call->gate), .minus = held(c, call->minus),
                       .times = held(c, call->times), .low = held(c, call->low), .high = held(c, call->high)};
  DIMPLE_TRY(check_places(c));
  return here(c)->adjust(inner(c), &there);
}

static dimple_status split_linear(context *c, const linear_call *call) {
  DIMPLE_TRY(enter(c, part_of(call->outputs[0].w)));
  DIMPLE_TRY(bring(c, call->x, c->current));
  size_t bytes = (size_t)call->output_count * sizeof(linear_output);
  linear_output *outputs = malloc(bytes);
  if (!outputs) return dimple_fail_memory(bytes, "outputs");
  dimple_status status = DIMPLE_OK;
  for (int32_t i = 0; i < call->output_count && status == DIMPLE_OK; i++) {
    const linear_output *o = &call->outputs[i];
    status = o->mode == LINEAR_ADD ? change(c, o->y, c->current) : overwrite(c, o->y, c->current);
    outputs[i] = (linear_output){held(c, o->w), held(c, o->bias), held(c, o->up), held(c, o->up_bias), seen(c, o->y), o->mode};
  }
  if (status == DIMPLE_OK) status = check_places(c);
  if (status == DIMPLE_OK) status = here(c)->linear(inner(c), &(linear_call){seen(c, call->x), outputs, call->output_count});
  free(outputs);
  return status;
}

static dimple_status split_rotary(context *c, const rotary_call *call) {
  DIMPLE_TRY(enter_beside(c, call->x));
  DIMPLE_TRY(bring(c, call->cosine, c->current));
  DIMPLE_TRY(bring(c, call->sine, c->current));
  DIMPLE_TRY(change(c, call->x, c->current));
  rotary_call there = *call;
  there.x = seen(c, call->x);
  there.cosine = seen(c, call->cosine);
  there.sine = seen(c, call->sine);
  return here(c)->rotary(inner(c), &there);
}

static dimple_status split_attention(context *c, const attention_call *call) {
  DIMPLE_TRY(enter_beside(c, call->q));
  DIMPLE_TRY(bring(c, call->q, c->current));
  DIMPLE_TRY(bring(c, call->k, c->current));
  DIMPLE_TRY(bring(c, call->v, c->current));
  DIMPLE_TRY(overwrite(c, call->y, c->current));
  attention_call there = *call;
  there.q = seen(c, call->q);
  there.k = seen(c, call->k);
  there.v = seen(c, call->v);
  there.y = seen(c, call->y);
  return here(c)->attention(inner(c), &there);
}

static dimple_status split_route(context *c, const route_call *call) {
  const weight *any = call->scale ? call->scale : call->bias;
  DIMPLE_TRY(any ? enter(c, part_of(any)) : enter_beside(c, call->scores));
  DIMPLE_TRY(change(c, call->scores, c->current));
  DIMPLE_TRY(overwrite(c, call->chosen, c->current));
  DIMPLE_TRY(overwrite(c, call->share, c->current));
  route_call there = *call;
  there.scores = seen(c, call->scores);
  there.chosen = seen(c, call->chosen);
  there.share = seen(c, call->share);
  there.scale = held(c, call->scale);
  there.bias = held(c, call->bias);
  DIMPLE_TRY(check_places(c));
  return here(c)->route(inner(c), &there);
}

static dimple_status split_experts(context *c, const experts_call *call) {
  DIMPLE_TRY(enter(c, part_of(call->gate)));
  DIMPLE_TRY(bring(c, call->x, c->current));
  DIMPLE_TRY(bring(c, call->chosen, c->current));
  DIMPLE_TRY(bring(c, call->share, c->current));
  DIMPLE_TRY(change(c, call->y, c->current));
  experts_call there = {seen(c, call->x), seen(c, call->chosen), seen(c, call->share), held(c, call->gate), held(c, call->up), held(c, call->down),
                        call->mode, seen(c, call->y)};
  DIMPLE_TRY(check_places(c));
  return here(c)->experts(inner(c), &there);
}

static dimple_status split_head(context *c, const head_call *call) {
  DIMPLE_TRY(enter(c, part_of(call->w)));
  DIMPLE_TRY(bring(c, call->x, c->current));
  if (call->bare.memory) DIMPLE_TRY(bring(c, call->bare, c->current));
  if (call->comparison) DIMPLE_TRY(bring(c, call->former, c->current));
  if (call->comparison && call->former_bare.memory) DIMPLE_TRY(bring(c, call->former_bare, c->current));
  DIMPLE_TRY(overwrite(c, call->expected, c->current));
  head_call there = *call;
  there.x = seen(c, call->x);
  there.bare = seen(c, call->bare);
  if (call->comparison) there.former = seen(c, call->former);
  if (call->comparison) there.former_bare = seen(c, call->former_bare);
  there.w = held(c, call->w);
  there.expected = seen(c, call->expected);
  if (call->expected.memory) there.rows = held(c, call->rows);
  DIMPLE_TRY(check_places(c));
  return here(c)->head(inner(c), &there);
}

/* ------------------------------------------------------------------------------------------------------- opening, closing */

static bool split_available(void) { return true; }

static const backend_operations operations = {
    .available = split_available,
    .weight_upload = split_weight_upload,
    .weight_free = split_weight_free,
    .weight_bytes = split_weight_bytes,
    .context_open = split_context_open,
    .context_close = split_context_close,
    .context_bytes = split_context_bytes,
    .buffer_alloc = split_buffer_alloc,
    .buffer_free = split_buffer_free,
    .pass_begin = split_pass_begin,
    .pass_end = split_pass_end,
    .checkpoint = split_checkpoint,
    .copy_in = split_copy_in,
    .copy_out = split_copy_out,
    .embed_rows = split_embed_rows,
    .gather_rows = split_gather_rows,
    .scatter_rows = split_scatter_rows,
    .pack_kv = split_pack_kv,
    .add_rows = split_add_rows,
    .rms_norm = split_rms_norm,
    .layer_norm = split_layer_norm,
    .adjust = split_adjust,
    .linear = split_linear,
    .rotary = split_rotary,
    .attention = split_attention,
    .route = split_route,
    .experts = split_experts,
    .head = split_head,
};

dimple_status split_open(const split_part *parts, int32_t count, const backend_operations **out) {
  split *s = calloc(1, sizeof *s);
  if (!s) return dimple_fail_memory(sizeof *s, "a split model");
  size_t used = 0;
  for (int32_t i = 0; i < count; i++) {
    s->parts[i] = parts[i];
    int written = snprintf(s->name + used, sizeof s->name - used, "%s%s", i ? "," : "", parts[i].ops->name);
    used = written > 0 && (size_t)written < sizeof s->name - used ? used + (size_t)written : sizeof s->name - 1;
  }
  s->count = count;
  s->operations = operations;
  s->operations.name = s->name;
  s->operations.head_parts = ~0u;
  for (int32_t i = 0; i < count; i++) s->operations.head_parts &= parts[i].ops->head_parts;
  *out = &s->operations;
  return DIMPLE_OK;
}

void split_close(const backend_operations *ops) {
  if (ops && ops->pass_begin == split_pass_begin) free((void *)(uintptr_t)ops);
}
