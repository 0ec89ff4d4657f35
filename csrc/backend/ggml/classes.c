/*
 * Classes of tokens, reduced on the device. A class is cut into units: where tokens are drawn, the partition's segments, by which draws are defined;
 * otherwise as few as there can be. Units are laid out by their sizes, rounded up to powers of four, so that those of a size are rows of one matrix;
 * what they say of their tokens comes back, and the host puts units together. Where that is more than logits are, these come back instead.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backend/summary.h"
#include "draws.h"
#include "head.h"

enum { MOST_PLANS = 4, ALIGNED = 64 /* elements, so that matrices begin by any device's alignment */ };

/* Columns of a matrix of units, each a row's: GGML's kernels may count them by a dimension of a grid that has no more on CUDA and Vulkan. */
enum { MOST_COLUMNS = 65535 };

/* What comes back of a unit: of one token its logit alone, of others these. Places are given as the unit's padded size without the place. */
enum {
  UNIT_BEST, UNIT_BEST_LOGIT, UNIT_SECOND, UNIT_SUM, UNIT_MEAN, UNIT_NUMBERS,
  UNIT_HOT_SUM = UNIT_NUMBERS, UNIT_HOT_MEAN, UNIT_DRAWN, UNIT_DRAWN_LOGIT, UNIT_HOT_NUMBERS
};

/* Tokens of one class, ascending. */
typedef struct class_unit {
  int32_t class, segment; /* of the partition; -1: it is none */
  int64_t first;          /* in the plan's tokens */
  int32_t count;          /* at most HEAD_CHUNK */
} class_unit;

/* Units of about a size. */
typedef struct class_group {
  int64_t first, count; /* units */
  int64_t place;        /* of its first token among the padded ones */
} class_group;

struct class_plan {
  class_plan *next;
  bool named; /* by the pass that is recorded */
  bool drawn;
  bool pays;  /* it is less than logits */
  int32_t vocabulary;
  head_partition partition; /* a copy, but for its chunks */
  int32_t *tokens;          /* class by class, or the partition's */
  class_unit *units;        /* [unit_count] */
  int64_t unit_count;
  class_group groups[CLASS_GROUPS];
  int32_t *padded; /* [places] tokens; vocabulary: none */
  int64_t places;
  buffer *memory; /* the same on the device */
  buffer *classes_there; /* [vocabulary] the class of each token, behind the last: none; on the device, once a list is among classes */
};

static int64_t size_of(int64_t group) { return (int64_t)1 << (2 * group); }

static int64_t numbers_of_unit(const class_plan *p, int64_t group) { return group == 0 ? 1 : p->drawn ? UNIT_HOT_NUMBERS : UNIT_NUMBERS; }

/* ---------------------------------------------------------------------------------------------------------------- plans */

static void free_plan(context *c, class_plan *p) {
  if (!p) return;
  c->device->operations.buffer_free(c, p->memory);
  c->device->operations.buffer_free(c, p->classes_there);
  free(p->partition.segment_class);
  free(p->partition.segment_first);
  free(p->partition.tokens);
  free(p->tokens);
  free(p->units);
  free(p->padded);
  free(p);
}

void drop_class_plans(context *c) {
  while (c->plans) {
    class_plan *p = c->plans;
    c->plans = p->next;
    free_plan(c, p);
  }
}

void forget_class_plans(context *c) {
  for (class_plan *p = c->plans; p; p = p->next) p->named = false;
}

int64_t class_plan_bytes(const context *c) {
  int64_t bytes = 0;
  for (const class_plan *p = c->plans; p; p = p->next) {
    int64_t numbers = 2 * p->partition.segment_first[p->partition.segments] + 2 * p->partition.segments + 1 + p->places + (p->classes_there ? p->vocabulary : 0);
    bytes += (int64_t)sizeof *p + numbers * (int64_t)sizeof *p->tokens + p->unit_count * (int64_t)sizeof *p->units;
  }
  return bytes;
}

static void *copy_of(const void *list, int64_t count, size_t size) {
  void *copy = malloc(count > 0 ? (size_t)count * size : 1);
  if (copy && count > 0) memcpy(copy, list, (size_t)count * size);
  return copy;
}

static bool is_same(const void *a, const void *b, int64_t count) { return count == 0 || memcmp(a, b, (size_t)count * sizeof(int32_t)) == 0; }

static bool is_of(const class_plan *p, const head_call *call) {
  const head_partition *a = &p->partition, *b = call->classes->partition;
  return p->drawn == (call->temperature > 0) && p->vocabulary == call->w->rows && a->classes == b->classes && a->segments == b->segments &&
         is_same(a->segment_class, b->segment_class, a->segments) && is_same(a->segment_first, b->segment_first, a->segments + 1) &&
         is_same(a->tokens, b->tokens, a->segment_first[a->segments]);
}

/* Segments as they are. */
static dimple_status cut_segments(class_plan *p) {
  const head_partition *of = &p->partition;
  memcpy(p->tokens, of->tokens, (size_t)of->segment_first[of->segments] * sizeof *p->tokens);
  for (int32_t s = 0; s < of->segments; s++)
    p->units[p->unit_count++] = (class_unit){of->segment_class[s], s, of->segment_first[s], of->segment_first[s + 1] - of->segment_first[s]};
  return DIMPLE_OK;
}

/* Classes in as few units as there can be; their segments come one chunk after the other. */
static dimple_status cut_classes(class_plan *p) {
  const head_partition *of = &p->partition;
  int64_t *end = calloc((size_t)of->classes + 1, sizeof *end), first = 0; /* of what is written of each class */
  if (!end) return dimple_fail_memory(((uint64_t)of->classes + 1) * sizeof *end, "classes of tokens");
  for (int32_t s = 0; s < of->segments; s++) end[of->segment_class[s] + 1] += of->segment_first[s + 1] - of->segment_first[s];
  for (int32_t k = 0; k < of->classes; k++) end[k + 1] += end[k];
  for (int32_t s = 0; s < of->segments; s++) {
    int32_t count = of->segment_first[s + 1] - of->segment_first[s];
    memcpy(p->tokens + end[of->segment_class[s]], of->tokens + of->segment_first[s], (size_t)count * sizeof *p->tokens);
    end[of->segment_class[s]] += count;
  }
  for (int32_t k = 0; k < of->classes; first = end[k++])
    for (int64_t i = first; i < end[k]; i += HEAD_CHUNK)
      p->units[p->unit_count++] = (class_unit){k, -1, i, (int32_t)(end[k] - i < HEAD_CHUNK ? end[k] - i : HEAD_CHUNK)};
  free(end);
  return DIMPLE_OK;
}

static int64_t group_of(const class_unit *u) {
  int64_t group = 0;
  while (size_of(group) < u->count) group++;
  return group;
}

/* Units by their groups, each in the order in which they were. */
static dimple_status sort_units(class_plan *p) {
  class_unit *sorted = malloc((size_t)(p->unit_count ? p->unit_count : 1) * sizeof *sorted);
  if (!sorted) return dimple_fail_memory((uint64_t)p->unit_count * sizeof *sorted, "classes of tokens");
  int64_t count = 0, numbers = 0;
  for (int64_t g = 0; g < CLASS_GROUPS; g++) {
    p->groups[g] = (class_group){.first = count, .place = p->places};
    for (int64_t i = 0; i < p->unit_count; i++)
      if (group_of(&p->units[i]) == g) sorted[count++] = p->units[i];
    p->groups[g].count = count - p->groups[g].first;
    numbers += p->groups[g].count * numbers_of_unit(p, g);
    p->places += (p->groups[g].count * size_of(g) + ALIGNED - 1) / ALIGNED * ALIGNED;
  }
  free(p->units);
  p->units = sorted;
  p->pays = numbers < p->vocabulary;
  return DIMPLE_OK;
}

static dimple_status lay_out(class_plan *p) {
  p->padded = malloc((size_t)(p->places ? p->places : 1) * sizeof *p->padded);
  if (!p->padded) return dimple_fail_memory((uint64_t)p->places * sizeof *p->padded, "classes of tokens");
  for (int64_t i = 0; i < p->places; i++) p->padded[i] = p->vocabulary;
  for (int64_t g = 0; g < CLASS_GROUPS; g++)
    for (int64_t i = 0; i < p->groups[g].count; i++) {
      const class_unit *u = &p->units[p->groups[g].first + i];
      memcpy(p->padded + p->groups[g].place + i * size_of(g), p->tokens + u->first, (size_t)u->count * sizeof *p->padded);
    }
  return DIMPLE_OK;
}

/* Numbers that go to the beginning of a buffer. */
typedef struct sent_numbers {
  buffer *to;
  const int32_t *numbers;
  int64_t count;
} sent_numbers;

static dimple_status upload(void *of) {
  const sent_numbers *s = of;
  struct ggml_init_params room = {.mem_size = 2 * ggml_tensor_overhead(), .no_alloc = true};
  struct ggml_context *nodes = ggml_init(room);
  if (!nodes) return dimple_fail_memory(room.mem_size, "classes of tokens");
  struct ggml_tensor *t = ggml_new_tensor_1d(nodes, GGML_TYPE_I32, s->count);
  ggml_backend_tensor_alloc(s->to->memory, t, ggml_backend_buffer_get_base(s->to->memory));
  ggml_backend_tensor_set(t, s->numbers, 0, ggml_nbytes(t));
  atomic_fetch_add(&s->to->device->counts->bytes_in, (int64_t)ggml_nbytes(t));
  ggml_free(nodes);
  return DIMPLE_OK;
}

static dimple_status fill_plan(context *c, const head_call *call, class_plan *p) {
  const head_partition *of = call->classes->partition;
  int64_t count = of->segment_first[of->segments], most_units = of->segments + 1;
  p->drawn = call->temperature > 0;
  p->vocabulary = (int32_t)call->w->rows;
  p->partition = (head_partition){.classes = of->classes, .segments = of->segments};
  p->partition.segment_class = copy_of(of->segment_class, of->segments, sizeof *of->segment_class);
  p->partition.segment_first = copy_of(of->segment_first, of->segments + 1, sizeof *of->segment_first);
  p->partition.tokens = copy_of(of->tokens, count, sizeof *of->tokens);
  p->tokens = malloc((size_t)(count ? count : 1) * sizeof *p->tokens);
  p->units = malloc((size_t)most_units * sizeof *p->units);
  if (!p->partition.segment_class || !p->partition.segment_first || !p->partition.tokens || !p->tokens || !p->units)
    return dimple_fail_memory((uint64_t)count * 2 * sizeof *p->tokens, "classes of tokens");
  DIMPLE_TRY(p->drawn ? cut_segments(p) : cut_classes(p));
  DIMPLE_TRY(sort_units(p));
  if (!p->pays || p->unit_count == 0) return DIMPLE_OK;
  DIMPLE_TRY(lay_out(p));
  DIMPLE_TRY(c->device->operations.buffer_alloc(c, p->places, &p->memory));
  return on_device(c->device, upload, &(sent_numbers){p->memory, p->padded, p->places});
}

/* Sends which class each token has. */
static dimple_status send_classes(context *c, class_plan *p) {
  const head_partition *of = &p->partition;
  int32_t *classes = malloc((size_t)p->vocabulary * sizeof *classes);
  if (!classes) return dimple_fail_memory((uint64_t)p->vocabulary * sizeof *classes, "classes of tokens");
  for (int32_t t = 0; t < p->vocabulary; t++) classes[t] = of->classes;
  for (int32_t s = 0; s < of->segments; s++)
    for (int32_t i = of->segment_first[s]; i < of->segment_first[s + 1]; i++) classes[of->tokens[i]] = of->segment_class[s];
  buffer *memory = NULL;
  dimple_status status = c->device->operations.buffer_alloc(c, p->vocabulary, &memory);
  if (status == DIMPLE_OK) status = on_device(c->device, upload, &(sent_numbers){memory, classes, p->vocabulary});
  free(classes);
  if (status == DIMPLE_OK) p->classes_there = memory;
  else c->device->operations.buffer_free(c, memory);
  return status;
}

/* Lets go of plans that this pass does not name, the first made first, until there is room for one more. */
static void make_room(context *c) {
  int32_t count = 0;
  for (class_plan *p = c->plans; p; p = p->next) count++;
  for (class_plan **at = &c->plans; *at && count >= MOST_PLANS;) {
    class_plan *p = *at;
    if (p->named) {
      at = &p->next;
      continue;
    }
    *at = p->next;
    free_plan(c, p);
    count--;
  }
}

dimple_status plan_classes(context *c, const head_call *call, const class_plan **out) {
  class_plan **at = &c->plans;
  while (*at && !is_of(*at, call)) at = &(*at)->next;
  if (!*at) {
    make_room(c);
    class_plan *fresh = calloc(1, sizeof *fresh);
    if (!fresh) return dimple_fail_memory(sizeof *fresh, "classes of tokens");
    dimple_status status = fill_plan(c, call, fresh);
    if (status != DIMPLE_OK) {
      free_plan(c, fresh);
      return status;
    }
    for (at = &c->plans; *at; at = &(*at)->next) continue;
    *at = fresh;
  }
  (*at)->named = true;
  *out = *at;
  bool sent = !call->list || !call->list->among_classes || !(*at)->memory || (*at)->classes_there;
  return sent ? DIMPLE_OK : send_classes(c, *at);
}

view tokens_of_plan(const class_plan *p) { return p && p->memory ? view_of(p->memory, 1, p->places) : (view){0}; }

view classes_of_plan(const class_plan *p) { return p && p->classes_there ? view_of(p->classes_there, 1, p->vocabulary) : (view){0}; }

int64_t count_classes(const class_plan *p) { return p ? p->partition.classes : 0; }

int64_t units_of_plan(const class_plan *p, int64_t group) { return p->groups[group].count; }

int64_t class_width(const class_plan *p, int64_t group) { return p->groups[group].count * numbers_of_unit(p, group); }

int64_t class_places(const class_plan *p) { return p->memory ? p->places : 0; }

int64_t class_rows(const class_plan *p) {
  int64_t most = MOST_COLUMNS;
  for (int64_t g = 1; p->memory && g < CLASS_GROUPS; g++)
    if (p->groups[g].count > MOST_COLUMNS / most) most = MOST_COLUMNS / p->groups[g].count;
  return most > 1 ? most : 1;
}

/* --------------------------------------------------------------------------------------------------------------- device */

static double uniform(const head_call *call, int64_t row, draw_purpose purpose, int32_t segment) {
  return draw_uniform(call->seed, (uint32_t)call->iteration, (uint32_t)call->positions[row], purpose, (uint32_t)segment);
}

/* What tokens of a group's units are drawn by, [units, rows]. */
static void *shares_of_units(context *c, recorded *o, int64_t at) {
  const head_piece *p = piece_of(o, at);
  const class_group *group = &o->plan->groups[at % PARTS - SHARES];
  const class_unit *units = o->plan->units + group->first;
  float *shares = arena_take(&c->copies, (size_t)(p->rows * group->count) * sizeof *shares);
  for (int64_t r = 0; shares && r < p->rows; r++)
    for (int64_t i = 0; i < group->count; i++) {
      const uint8_t *wanted = o->head.classes->wanted + (p->first + r) * o->plan->partition.classes;
      float u = wanted[units[i].class] ? (float)uniform(&o->head, p->first + r, DRAW_SEGMENT_TOKEN, units[i].segment) : 0.5f;
      shares[r * group->count + i] = fminf(u, 1 - 0x1p-23f); /* times a sum it is below the sum */
    }
  return shares;
}

/* A group's logits on the device, [size, units * rows], and what is made of them. */
typedef struct gathered {
  const piece_at *at;
  int64_t group;
  struct ggml_tensor *z, *falling; /* [size]: size, size - 1, .. 1 */
  struct ggml_tensor *numbers;     /* what goes back, [numbers so far, units * rows] */
} gathered;

static void give(gathered *of, struct ggml_tensor *number) {
  of->numbers = of->numbers ? ggml_concat(of->at->context->graph->nodes, of->numbers, number, 0) : number;
}

/* The first place where `flags` are 1, and there as [1, units * rows] its number among `falling`; 0 if they are nowhere. */
static struct ggml_tensor *first_of(const gathered *of, struct ggml_tensor *flags, struct ggml_tensor **falling, struct ggml_tensor **places) {
  struct ggml_context *n = of->at->context->graph->nodes;
  struct ggml_tensor *all = ggml_mul(n, flags, of->falling), *place = ggml_argmax(n, all);
  *falling = pick(n, all, place);
  if (places) *places = all;
  return place;
}

/* The token where the sum of `hot` passes the drawn share, which is below 1 by more than rounding. */
static dimple_status give_draw(gathered *of, struct ggml_tensor *hot) {
  context *c = of->at->context;
  struct ggml_context *n = c->graph->nodes;
  const class_group *group = &of->at->operation->plan->groups[of->group];
  int64_t size = hot->ne[0], columns = hot->ne[1], rows = columns / group->count;
  struct ggml_tensor *shares, *falling, *place;
  graph_input input = {.part = shares_of_units, .at = of->at->piece * PARTS + SHARES + of->group, .from = {of->at->operation}};
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, group->count, rows, input, &shares));
  struct ggml_tensor *passed = ggml_cumsum(n, hot);
  struct ggml_tensor *all = ggml_cont(n, ggml_view_2d(n, passed, 1, columns, passed->nb[1], (size_t)(size - 1) * passed->nb[0]));
  struct ggml_tensor *share = ggml_mul(n, all, ggml_reshape_2d(n, shares, 1, columns));
  place = first_of(of, ggml_step(n, ggml_sub(n, passed, share)), &falling, NULL);
  give(of, falling);
  give(of, pick(n, of->z, place));
  return DIMPLE_OK;
}

static dimple_status give_unit(gathered *of) {
  struct ggml_context *n = of->at->context->graph->nodes;
  float temperature = of->at->operation->head.temperature;
  struct ggml_tensor *z = of->z, *highest = pick(n, z, ggml_argmax(n, z)), *falling, *places;
  struct ggml_tensor *lower = ggml_step(n, ggml_neg(n, ggml_sub(n, z, highest))); /* 1 where z is below the highest, 0 elsewhere */
  first_of(of, ggml_scale_bias(n, lower, -1, 1), &falling, &places);
  give(of, falling);
  give(of, highest);
  struct ggml_tensor *best = ggml_step(n, ggml_scale_bias(n, ggml_sub(n, places, falling), 1, 0.5f)); /* 1 at its place alone */
  struct ggml_tensor *others = ggml_add(n, z, ggml_scale(n, best, HEAD_FORBIDDEN));
  give(of, pick(n, others, ggml_argmax(n, others)));
  struct ggml_tensor *below = ggml_clamp(n, ggml_sub(n, z, highest), HEAD_FORBIDDEN, 0), *e = ggml_exp(n, below);
  give(of, ggml_sum_rows(n, ggml_add(n, e, ggml_scale(n, z, 0)))); /* no number if one of z is none */
  give(of, ggml_sum_rows(n, ggml_mul(n, e, below)));
  if (!(temperature > 0)) return DIMPLE_OK;
  struct ggml_tensor *hot_below = ggml_clamp(n, ggml_scale(n, below, 1 / temperature), HEAD_FORBIDDEN, 0), *hot = ggml_exp(n, hot_below);
  give(of, ggml_sum_rows(n, hot));
  give(of, ggml_sum_rows(n, ggml_mul(n, hot, hot_below)));
  return give_draw(of, hot);
}

/* A group's tokens of by_token [rows, vocabulary + 1]. */
static dimple_status fetch_group(const piece_at *at, struct ggml_tensor *by_token, int64_t g) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const class_plan *p = at->operation->plan;
  int64_t units = p->groups[g].count, size = size_of(g), rows = by_token->ne[0];
  struct ggml_tensor *index = numbers_of(c, view_columns(tokens_of_plan(p), p->groups[g].place, units * size));
  struct ggml_tensor *tokens = ggml_get_rows(n, by_token, ggml_reshape_1d(n, index, units * size)); /* [rows, units * size] */
  struct ggml_tensor *z = ggml_cont(n, ggml_transpose(n, tokens));
  if (g == 0) return fetch(at, z, CLASSES + (int)g);
  gathered of = {.at = at, .group = g, .z = ggml_reshape_2d(n, z, size, units * rows)};
  of.falling = ggml_scale_bias(n, ggml_arange(n, 0, (float)size, 1), -1, (float)size);
  DIMPLE_TRY(give_unit(&of));
  return fetch(at, of.numbers, CLASSES + (int)g);
}

/* What is added to the logits of each class's tokens, [rows, classes + 1], the last of those that have none. */
static void *bars(context *c, recorded *o, int64_t at) {
  const head_piece *p = piece_of(o, at);
  int64_t classes = o->plan->partition.classes;
  float *numbers = arena_take(&c->copies, (size_t)((classes + 1) * p->rows) * sizeof *numbers);
  for (int64_t k = 0; numbers && k <= classes; k++)
    for (int64_t r = 0; r < p->rows; r++)
      numbers[k * p->rows + r] = k < classes && o->head.classes->wanted[(p->first + r) * classes + k] ? 0 : HEAD_FORBIDDEN;
  return numbers;
}

dimple_status bar_unwanted(const piece_at *at, struct ggml_tensor **z) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const class_plan *p = at->operation->plan;
  struct ggml_tensor *numbers;
  graph_input input = {.part = bars, .at = at->piece * PARTS + BARS, .from = {at->operation}};
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, (*z)->ne[1], p->partition.classes + 1, input, &numbers));
  struct ggml_tensor *of = ggml_reshape_1d(n, numbers_of(c, classes_of_plan(p)), p->vocabulary);
  *z = ggml_add(n, *z, ggml_cont(n, ggml_transpose(n, ggml_get_rows(n, numbers, of))));
  return DIMPLE_OK;
}

/* Whether the device sums up, without which it cannot draw. */
static bool draws_here(const piece_at *at, struct ggml_tensor *z) {
  return !at->operation->plan->drawn || runs_here(at->context, ggml_cumsum(at->context->graph->nodes, z));
}

dimple_status fetch_classes(const piece_at *at, struct ggml_tensor *z) {
  struct ggml_context *n = at->context->graph->nodes;
  const class_plan *p = at->operation->plan;
  if (!p->pays || !draws_here(at, z)) return fetch(at, z, ALL_LOGITS);
  if (p->unit_count == 0) return DIMPLE_OK;
  int64_t rows = z->ne[1];
  struct ggml_tensor *nothing = ggml_fill(n, ggml_cont(n, ggml_view_2d(n, z, 1, rows, z->nb[1], 0)), HEAD_FORBIDDEN);
  struct ggml_tensor *by_token = ggml_cont(n, ggml_transpose(n, ggml_concat(n, z, nothing, 0))); /* [rows, vocabulary + 1] */
  for (int64_t g = 0; g < CLASS_GROUPS; g++)
    if (p->groups[g].count > 0) DIMPLE_TRY(fetch_group(at, by_token, g));
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- the host */

/* What is known of a class's tokens; sums are relative to its best. */
typedef struct class_row {
  int32_t best, drawn; /* tokens, -1: none yet */
  float best_logit, second_logit, drawn_logit;
  double score; /* of the unit that was drawn */
  double sum, mean, hot_sum, hot_mean;
} class_row;

/* The numbers of a unit of a row, as they come back. */
static class_row unit_row(const class_plan *p, const head_piece *piece, int64_t g, int64_t r, int64_t i) {
  const class_group *group = &p->groups[g];
  const class_unit *u = &p->units[group->first + i];
  const int32_t *tokens = p->tokens + u->first;
  int64_t count = numbers_of_unit(p, g);
  const float *v = floats_of(piece, CLASSES + (int)g) + (r * group->count + i) * count;
  if (g == 0)
    return (class_row){.best = *tokens, .drawn = *tokens, .best_logit = *v, .second_logit = -INFINITY, .drawn_logit = *v,
                       .sum = 1 + 0 * (double)*v, .hot_sum = 1};
  int64_t best = size_of(g) - (int64_t)v[UNIT_BEST];
  class_row row = {.best = tokens[best >= 0 && best < u->count ? best : 0], .best_logit = v[UNIT_BEST_LOGIT], .second_logit = v[UNIT_SECOND],
                   .sum = v[UNIT_SUM], .mean = v[UNIT_MEAN]};
  row.drawn = row.best;
  row.drawn_logit = row.best_logit;
  if (!p->drawn) return row;
  int64_t drawn = size_of(g) - (int64_t)v[UNIT_DRAWN];
  row.hot_sum = v[UNIT_HOT_SUM];
  row.hot_mean = v[UNIT_HOT_MEAN];
  if (drawn < 0 || drawn >= u->count) return row; /* numbers that are none */
  row.drawn = tokens[drawn];
  row.drawn_logit = v[UNIT_DRAWN_LOGIT];
  return row;
}

static void rescale(class_row *row, double below, double temperature) {
  double weight = exp(below), hotter = exp(below / temperature);
  row->mean = weight * (row->mean + below * row->sum);
  row->sum *= weight;
  row->hot_mean = hotter * (row->hot_mean + below / temperature * row->hot_sum);
  row->hot_sum *= hotter;
}

static void add_unit(class_row *to, class_row unit, double score, double temperature) {
  if (to->best < 0) {
    *to = unit;
    to->score = score;
    return;
  }
  bool better = unit.best_logit > to->best_logit || (unit.best_logit == to->best_logit && unit.best < to->best);
  double apart = fabs((double)unit.best_logit - to->best_logit);
  if (score > to->score) {
    to->score = score;
    to->drawn = unit.drawn;
    to->drawn_logit = unit.drawn_logit;
  }
  if (better)
    rescale(to, -apart, temperature);
  else
    rescale(&unit, -apart, temperature);
  float lower = better ? to->best_logit : unit.best_logit;
  to->second_logit = fmaxf(lower, better ? unit.second_logit : to->second_logit);
  if (better) to->best = unit.best;
  if (better) to->best_logit = unit.best_logit;
  to->sum += unit.sum;
  to->mean += unit.mean;
  to->hot_sum += unit.hot_sum;
  to->hot_mean += unit.hot_mean;
}

static head_row head_row_of(const class_row *of, double temperature, bool hot) {
  head_row row = {.best = of->best, .best_logit = of->best_logit, .second_logit = of->second_logit, .drawn = hot ? of->drawn : of->best,
                  .drawn_logit = hot ? of->drawn_logit : of->best_logit};
  row.log_sum = (float)(of->best_logit + log(of->sum));
  row.mean_logit = (float)(of->best_logit + of->mean / of->sum);
  row.hot_log_sum = hot ? (float)(of->best_logit / temperature + log(of->hot_sum)) : row.log_sum;
  row.hot_mean = hot ? (float)(of->best_logit / temperature + of->hot_mean / of->hot_sum) : row.mean_logit;
  return row;
}

/* `rows` [classes] is scratch. */
static void finish_row(const head_call *call, const class_plan *p, const head_piece *piece, int64_t r, class_row *rows) {
  int64_t classes = p->partition.classes, row = piece->first + r;
  const uint8_t *wanted = call->classes->wanted + row * classes;
  bool hot = p->drawn;
  double temperature = hot ? call->temperature : 1;
  for (int64_t k = 0; k < classes; k++) rows[k] = (class_row){.best = -1, .best_logit = -INFINITY, .second_logit = -INFINITY};
  for (int64_t g = 0; g < CLASS_GROUPS; g++)
    for (int64_t i = 0; i < p->groups[g].count; i++) {
      const class_unit *u = &p->units[p->groups[g].first + i];
      if (!wanted[u->class]) continue;
      class_row unit = unit_row(p, piece, g, r, i);
      double score = hot ? unit.best_logit / temperature + log(unit.hot_sum) - log(-log(uniform(call, row, DRAW_SEGMENT, u->segment))) : 0;
      add_unit(&rows[u->class], unit, score, temperature);
    }
  for (int64_t k = 0; k < classes; k++)
    if (wanted[k]) call->classes->results[row * classes + k] = head_row_of(&rows[k], temperature, hot);
}

/* Of whole rows. */
static dimple_status finish_logits(const head_call *call, const head_piece *p) {
  int32_t *tokens = malloc((size_t)call->w->rows * sizeof *tokens);
  if (!tokens) return dimple_fail_memory((uint64_t)call->w->rows * sizeof *tokens, "classes of tokens");
  for (int64_t r = 0; r < p->rows; r++) summarize_classes(call, floats_of(p, ALL_LOGITS) + r * call->w->rows, p->first + r, tokens);
  free(tokens);
  return DIMPLE_OK;
}

dimple_status finish_classes(const recorded *o, const head_piece *p) {
  if (p->fields[ALL_LOGITS]) return finish_logits(&o->head, p);
  class_row *rows = malloc((size_t)(o->plan->partition.classes + 1) * sizeof *rows);
  if (!rows) return dimple_fail_memory((uint64_t)o->plan->partition.classes * sizeof *rows, "classes of tokens");
  for (int64_t r = 0; r < p->rows; r++) finish_row(&o->head, o->plan, p, r, rows);
  free(rows);
  return DIMPLE_OK;
}
