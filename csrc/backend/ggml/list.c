/*
 * The highest logits of rows. The vocabulary is dealt out to groups of 1,024, each is sorted, and of each the highest go on: as many as hold their
 * share of the list but for a chance of about one in a million; once more with what went on, and the rest comes back. No logit that was left behind
 * in a group is higher than the lowest that went on from it, so what is above the highest of these is sure to be the row's highest, and makes the
 * list, which is shorter than it should be if that chance comes.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "backend/summary.h"
#include "head.h"

enum { GROUP = 1024, MOST_LEVELS = 2 };

/* How a row's numbers are dealt out. */
typedef struct level {
  int64_t width, groups, kept; /* numbers of a row before, how many groups they make, how many go on of each */
} level;

static int64_t common_divisor(int64_t a, int64_t b) { return b == 0 ? a : common_divisor(b, a % b); }

static int64_t groups_of(int64_t width) { return (width + GROUP - 1) / GROUP; }

/* The levels that `wanted` of a row's `width` numbers go through; returns how many there are. */
static int32_t plan(int64_t width, int64_t wanted, level levels[MOST_LEVELS]) {
  int32_t count = 0;
  for (; count < MOST_LEVELS && width >= GROUP; count++) {
    int64_t groups = groups_of(width);
    double share = (double)wanted / (double)groups;
    int64_t kept = (int64_t)(share + 6 * sqrt(share)) + 8;
    /* The first of the groups must not come together in one of the next: they go on one group after the other. */
    while (common_divisor(kept, groups_of(kept * groups)) != 1) kept++;
    if (kept > GROUP || kept * groups > width / 2) break;
    levels[count] = (level){width, groups, kept};
    width = kept * groups;
  }
  return count;
}

int64_t list_width(const head_call *call) {
  level levels[MOST_LEVELS];
  int32_t count = plan(call->w->rows, call->list->count, levels);
  return count ? levels[count - 1].groups * levels[count - 1].kept : call->w->rows;
}

int64_t list_bounds(const head_call *call) {
  level levels[MOST_LEVELS];
  return plan(call->w->rows, call->list->count, levels);
}

/* A row's numbers on their way, [width, rows], and the tokens that they are of, as floats; null: each is of its place. */
typedef struct listed {
  struct ggml_tensor *values, *tokens;
} listed;

/* The numbers of each group at `order` [kept, groups, rows], of grouped [GROUP, groups, rows]. */
static struct ggml_tensor *take(struct ggml_context *n, struct ggml_tensor *grouped, struct ggml_tensor *order) {
  struct ggml_tensor *single = ggml_reshape_4d(n, grouped, 1, grouped->ne[0], grouped->ne[1], grouped->ne[2]);
  return ggml_get_rows(n, single, order); /* [1, kept, groups, rows] */
}

/* [width, rows] as [GROUP, groups, rows], number i in group i % groups, with `filler` behind the last. */
static struct ggml_tensor *deal(struct ggml_context *n, const level *l, struct ggml_tensor *values, float filler) {
  int64_t rows = values->ne[1], missing = l->groups * GROUP - l->width;
  if (missing > 0) {
    struct ggml_tensor *rest = ggml_scale_bias(n, ggml_cont(n, ggml_view_2d(n, values, missing, rows, values->nb[1], 0)), 0, filler);
    values = ggml_concat(n, values, rest, 0);
  }
  return ggml_cont(n, ggml_permute(n, ggml_reshape_3d(n, values, l->groups, GROUP, rows), 1, 0, 2, 3));
}

/* The tokens of what goes on: of the first level place * groups + group. */
static struct ggml_tensor *tokens_of(struct ggml_context *n, const level *l, struct ggml_tensor *tokens, struct ggml_tensor *order) {
  int64_t rows = order->ne[2], count = l->kept * l->groups;
  if (tokens) return ggml_reshape_2d(n, take(n, deal(n, l, tokens, 0), order), count, rows);
  struct ggml_tensor *places = ggml_reshape_2d(n, ggml_arange(n, 0, GROUP, 1), 1, GROUP);
  struct ggml_tensor *place = ggml_reshape_3d(n, ggml_get_rows(n, places, ggml_reshape_1d(n, order, count * rows)), l->kept, l->groups, rows);
  struct ggml_tensor *group = ggml_reshape_2d(n, ggml_arange(n, 0, (float)l->groups, 1), 1, l->groups);
  return ggml_reshape_2d(n, ggml_add(n, ggml_scale(n, place, (float)l->groups), group), count, rows);
}

static dimple_status reduce(const piece_at *at, const level *l, listed *row, struct ggml_tensor **bound) {
  struct ggml_context *n = at->context->graph->nodes;
  int64_t rows = row->values->ne[1];
  struct ggml_tensor *grouped = deal(n, l, row->values, -FLT_MAX), *sorted = ggml_argsort(n, grouped, GGML_SORT_ORDER_DESC);
  struct ggml_tensor *order = ggml_cont(n, ggml_view_3d(n, sorted, l->kept, l->groups, rows, sorted->nb[1], sorted->nb[2], 0));
  row->tokens = tokens_of(n, l, row->tokens, order);
  struct ggml_tensor *values = ggml_reshape_3d(n, take(n, grouped, order), l->kept, l->groups, rows);
  struct ggml_tensor *lowest = ggml_view_3d(n, values, 1, l->groups, rows, values->nb[1], values->nb[2], (size_t)(l->kept - 1) * values->nb[0]);
  lowest = ggml_reshape_2d(n, ggml_cont(n, lowest), l->groups, rows);
  struct ggml_tensor *highest = pick(n, lowest, ggml_argmax(n, lowest)); /* [1, rows] */
  *bound = *bound ? ggml_concat(n, *bound, highest, 0) : highest;
  row->values = ggml_reshape_2d(n, values, l->kept * l->groups, rows);
  return DIMPLE_OK;
}

/* Of classes that come back as whole rows the host makes the list. */
static bool lists_here(const recorded *o) { return !o->head.list->among_classes || classes_of_plan(o->plan).memory; }

dimple_status fetch_list(const piece_at *at, struct ggml_tensor *z) {
  struct ggml_context *n = at->context->graph->nodes;
  if (!lists_here(at->operation)) return DIMPLE_OK;
  if (at->operation->head.list->among_classes) DIMPLE_TRY(bar_unwanted(at, &z));
  level levels[MOST_LEVELS];
  int32_t count = plan(z->ne[0], at->operation->head.list->count, levels);
  struct ggml_tensor *bounds = NULL;
  listed row = {.values = ggml_clamp(n, ggml_dup(n, z), -FLT_MAX, FLT_MAX)}; /* sorting wants numbers; it clamps in place */
  for (int32_t i = 0; i < count; i++) DIMPLE_TRY(reduce(at, &levels[i], &row, &bounds));
  DIMPLE_TRY(fetch(at, row.values, LISTED));
  if (bounds) DIMPLE_TRY(fetch(at, bounds, LIST_BOUNDS));
  return row.tokens ? fetch(at, row.tokens, LISTED_TOKENS) : DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- the host */

typedef struct item {
  float logit;
  int32_t token;
} item;

static int by_rank(const void *a, const void *b) {
  const item *x = a, *y = b;
  return x->logit != y->logit ? (x->logit < y->logit) - (x->logit > y->logit) : (x->token > y->token) - (x->token < y->token);
}

static int by_token(const void *a, const void *b) {
  const item *x = a, *y = b;
  return (x->token > y->token) - (x->token < y->token);
}

/* Row r of a piece: what is not below its bounds, the highest of it. `items` [width] is scratch. */
static void list_row(const head_call *call, const head_piece *p, int64_t r, item *items) {
  int64_t width = list_width(call), bounds = list_bounds(call), found = 0, most = call->list->count;
  const float *logits = floats_of(p, LISTED) + r * width, *tokens = bounds ? floats_of(p, LISTED_TOKENS) + r * width : NULL;
  float bound = -FLT_MAX, least = call->list->among_classes ? HEAD_FORBIDDEN / 2 : -INFINITY;
  for (int64_t i = 0; i < bounds; i++) bound = fmaxf(bound, floats_of(p, LIST_BOUNDS)[r * bounds + i]);
  for (int64_t i = 0; i < width; i++) {
    int32_t token = tokens ? (int32_t)tokens[i] : (int32_t)i;
    if (logits[i] >= bound && logits[i] > least && token < call->w->rows) items[found++] = (item){logits[i], token};
  }
  if (found > most) {
    qsort(items, (size_t)found, sizeof *items, by_rank);
    found = most;
  }
  qsort(items, (size_t)found, sizeof *items, by_token);
  int32_t *to = call->list->tokens + (p->first + r) * most;
  float *values = call->list->logits + (p->first + r) * most;
  for (int64_t i = 0; i < most; i++) {
    to[i] = i < found ? items[i].token : -1;
    values[i] = i < found ? items[i].logit : -INFINITY;
  }
}

/* Of whole rows; of none, where no class has a token. */
static dimple_status finish_rows(const head_call *call, const head_piece *p) {
  const float *logits = floats_of(p, ALL_LOGITS);
  int32_t *tokens = malloc((size_t)call->w->rows * sizeof *tokens);
  if (!tokens) return dimple_fail_memory((uint64_t)call->w->rows * sizeof *tokens, "a list of logits");
  for (int64_t r = 0; r < p->rows; r++) summarize_list(call, logits ? logits + r * call->w->rows : NULL, call->w->rows, p->first + r, tokens);
  free(tokens);
  return DIMPLE_OK;
}

dimple_status finish_list(const recorded *o, const head_piece *p) {
  const head_call *call = &o->head;
  if (!lists_here(o)) return finish_rows(call, p);
  int64_t width = list_width(call);
  item *items = malloc((size_t)width * sizeof *items);
  if (!items) return dimple_fail_memory((uint64_t)width * sizeof *items, "a list of logits");
  for (int64_t r = 0; r < p->rows; r++) list_row(call, p, r, items);
  free(items);
  return DIMPLE_OK;
}
