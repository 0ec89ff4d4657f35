/*
 * A mixture of experts, each over the rows that chose it. Experts are taken by batches, whose rows are gathered, multiplied with gates and ups, with downs, and
 * added to y, all threads at a time: they meet a few times for a batch, not for an expert, which often has fewer rows than a tile.
 */
#include <stdlib.h>
#include <string.h>

#include "allocate.h"
#include "backend/cpu/operations.h"
#include "error.h"
#include "platform/platform.h"

enum {
  BATCH_ROWS = 2 * SLAB_ROWS, /* of a batch of several experts, the rows that fill up tiles among them */
  SCATTER_ITEMS = 4           /* for each thread */
};

/* Rows by the expert they chose: rows[begin[e]] .. rows[begin[e + 1] - 1] go to expert e, in ascending order. */
typedef struct expert_groups {
  int32_t *begin; /* [experts + 1] */
  int32_t *rows;  /* [rows x used] */
  float *scale;   /* [rows x used] their shares */
} expert_groups;

static dimple_status open_groups(int64_t pairs, int64_t experts, expert_groups *g) {
  *g = (expert_groups){.begin = calloc((size_t)experts + 1, sizeof *g->begin), .rows = malloc((size_t)(pairs + 1) * sizeof *g->rows),
                       .scale = malloc((size_t)(pairs + 1) * sizeof *g->scale)};
  if (g->begin && g->rows && g->scale) return DIMPLE_OK;
  return dimple_fail_memory((uint64_t)(2 * pairs + experts) * sizeof(float), "the routing of experts");
}

static void close_groups(expert_groups *g) {
  free(g->begin);
  free(g->rows);
  free(g->scale);
}

static void group_rows(const experts_call *call, int64_t experts, expert_groups *g) {
  int64_t rows = call->x.rows, used = call->chosen.columns;
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < used; i++) g->begin[numbers_of(call->chosen, r)[i] + 1]++;
  for (int64_t e = 0; e < experts; e++) g->begin[e + 1] += g->begin[e];
  /* Filling moves begin[e] to the end of group e; shifting by one restores it. */
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < used; i++) {
      int32_t at = g->begin[numbers_of(call->chosen, r)[i]]++;
      g->rows[at] = (int32_t)r;
      g->scale[at] = row_of(call->share, r)[i];
    }
  for (int64_t e = experts; e > 0; e--) g->begin[e] = g->begin[e - 1];
  g->begin[0] = 0;
}

/* An expert of a batch. */
typedef struct batch_member {
  int32_t expert;
  int64_t first, count;   /* its rows among those of the batch */
  int64_t tile[PACKINGS]; /* its first tile, by what its weights are packed as */
} batch_member;

typedef struct expert_batch {
  context *c;
  const experts_call *call;
  const int32_t *index; /* [rows] of call->x and call->y */
  const float *scale;   /* [rows] */
  batch_member *members; /* [count] */
  int64_t count, rows;
  int64_t tiles[PACKINGS]; /* of all members */
  int64_t tile_rows;       /* of the longest tile that an operand has */
  prepared_forms x, middle;
  view gathered, gated; /* [rows x width], which are the outputs in the end, and [rows x feed_forward] */
  int64_t run;          /* panels of an item that multiplies */
  int64_t rows_per_item; /* of y */
} expert_batch;

static const weight *gate_of(const experts_call *call, int64_t e) { return &call->gate->members[call->up ? e : 2 * e]; }
static const weight *up_of(const experts_call *call, int64_t e) { return call->up ? &call->up->members[e] : gate_of(call, e) + 1; }
static const weight *down_of(const experts_call *call, int64_t e) { return &call->down->members[e]; }

static int64_t longest_tile(const prepared_forms *p) {
  int64_t longest = 1;
  for (int i = 0; i < PACKINGS; i++)
    if (p->of[i].form) longest = larger(longest, p->of[i].form->tile_rows);
  return longest;
}

/* What all experts want, for their matrices may differ in how they are kept. */
static void want_forms(expert_batch *b, int64_t experts) {
  const cpu_kernels *k = b->c->kernels;
  for (int64_t e = 0; e < experts; e++) {
    cpu_want(&b->x, k, gate_of(b->call, e));
    cpu_want(&b->x, k, up_of(b->call, e));
    cpu_want(&b->middle, k, down_of(b->call, e));
  }
  b->tile_rows = larger(longest_tile(&b->x), longest_tile(&b->middle));
}

/* The experts from *next on that have rows, as many as fit a batch, one at least; *next: the first one after them. */
static void fill_batch(expert_batch *b, const expert_groups *g, int64_t experts, int64_t *next) {
  int64_t filled = 0;
  b->index = g->rows + g->begin[*next];
  b->scale = g->scale + g->begin[*next];
  b->count = b->rows = 0;
  memset(b->tiles, 0, sizeof b->tiles);
  for (; *next < experts; ++*next) {
    batch_member m = {.expert = (int32_t)*next, .first = b->rows, .count = g->begin[*next + 1] - g->begin[*next]};
    if (m.count == 0) continue;
    filled += parts(m.count, b->tile_rows) * b->tile_rows;
    if (b->count > 0 && filled > BATCH_ROWS) return;
    for (int i = 0; i < PACKINGS; i++) {
      const activation_form *form = b->x.of[i].form ? b->x.of[i].form : b->middle.of[i].form;
      m.tile[i] = b->tiles[i];
      if (form) b->tiles[i] += parts(m.count, form->tile_rows);
    }
    b->members[b->count++] = m;
    b->rows += m.count;
  }
}

/* Room for the gathered rows and what gates make of them. */
static dimple_status reserve_routed(expert_batch *b) {
  context *c = b->c;
  int64_t width = b->call->x.columns, feed_forward = b->call->gate->rows, floats = b->rows * (width + feed_forward), bytes = floats * (int64_t)sizeof(float);
  if (bytes > c->routed_size) {
    platform_free(c->routed);
    c->routed = NULL;
    c->routed_size = 0;
    void *memory;
    DIMPLE_TRY(cpu_allocate(floats, sizeof(float), "the experts' intermediates", &memory));
    c->routed = memory;
    c->routed_size = bytes;
  }
  b->gathered = view_of((buffer *)(void *)c->routed, b->rows, width);
  b->gated = view_of((buffer *)(void *)(c->routed + b->rows * width), b->rows, feed_forward);
  return DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- preparing rows */

typedef struct batch_prepare_task {
  const expert_batch *b;
  const prepared *target;
  int packing;
  view x;
  bool gathers; /* x, from the call's */
} batch_prepare_task;

/* The last one whose tiles begin at `tile` or before. */
static const batch_member *member_of_tile(const expert_batch *b, int packing, int64_t tile) {
  int64_t low = 0, high = b->count;
  while (high - low > 1) {
    int64_t middle = (low + high) / 2;
    if (b->members[middle].tile[packing] <= tile)
      low = middle;
    else
      high = middle;
  }
  return &b->members[low];
}

/* A tile of one member's rows. */
static void batch_prepare_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const batch_prepare_task *t = work;
  const expert_batch *b = t->b;
  const activation_form *form = t->target->form;
  const batch_member *m = member_of_tile(b, t->packing, item);
  int64_t row = m->first + (item - m->tile[t->packing]) * form->tile_rows, rows = smaller(form->tile_rows, m->first + m->count - row);
  for (int64_t r = row; t->gathers && r < row + rows; r++)
    memcpy(row_of(t->x, r), row_of(b->call->x, b->index[r]), (size_t)t->x.columns * sizeof(float));
  form->prepare(row_of(t->x, row), t->x.stride, rows, t->x.columns, t->target->tiles + item * t->target->tile_size);
}

static dimple_status prepare_batch(expert_batch *b, prepared_forms *p, view x, bool gathers) {
  context *c = b->c;
  /* Every member fills up its last tile. */
  DIMPLE_TRY(cpu_reserve(c, p, b->rows + b->count * (b->tile_rows - 1), x.columns));
  for (int i = 0; i < PACKINGS; i++) {
    if (!cpu_prepares(p, i)) continue;
    batch_prepare_task task = {.b = b, .target = &p->of[i], .packing = i, .x = x, .gathers = gathers};
    cpu_pool_run(c->pool, b->tiles[i], batch_prepare_item, &task, c->scratch);
    gathers = false;
  }
  return DIMPLE_OK;
}

/* -------------------------------------------------------------------------------------------------------------- multiplying */

/* The prepared rows of one member. */
static prepared_forms forms_of(const prepared_forms *p, const batch_member *m) {
  prepared_forms own = *p;
  for (int i = 0; i < PACKINGS; i++)
    if (own.of[i].form) own.of[i].tiles += m->tile[i] * own.of[i].tile_size;
  return own;
}

/* Of the item'th run of panels of all members: the member, and the run's panels. */
static const batch_member *run_of(const expert_batch *b, int64_t item, int64_t all, int64_t *panel, int64_t *panels) {
  int64_t runs = parts(all, b->run);
  *panel = item % runs * b->run;
  *panels = smaller(b->run, all - *panel);
  return &b->members[item / runs];
}

static void gate_item(void *work, int64_t item, void *scratch) {
  const expert_batch *b = work;
  linear_scratch *memory = scratch;
  int64_t panel, panels;
  const batch_member *m = run_of(b, item, weight_panels(gate_of(b->call, 0)), &panel, &panels);
  const weight *gate = gate_of(b->call, m->expert), *up = up_of(b->call, m->expert);
  prepared_forms x = forms_of(&b->x, m);
  product_target target = {.y = row_of(b->gated, m->first), .y_stride = b->gated.stride, .mode = b->call->mode};
  for (int64_t row = 0; row < m->count; row += GROUP_ROWS) {
    int64_t rows = smaller(GROUP_ROWS, m->count - row), first = panel * PANEL;
    cpu_multiply(b->c, &x, gate, panel, panels, row, rows, memory->a, memory->scratch);
    cpu_multiply(b->c, &x, up, panel, panels, row, rows, memory->b, memory->scratch);
    b->c->kernels->finish(&target, first, smaller(panels * PANEL, gate->rows - first), row, rows, memory->a, memory->b);
  }
}

static void down_item(void *work, int64_t item, void *scratch) {
  const expert_batch *b = work;
  linear_scratch *memory = scratch;
  int64_t panel, panels;
  const batch_member *m = run_of(b, item, weight_panels(down_of(b->call, 0)), &panel, &panels);
  const weight *down = down_of(b->call, m->expert);
  prepared_forms x = forms_of(&b->middle, m);
  product_target target = {.y = row_of(b->gathered, m->first), .y_stride = b->gathered.stride, .mode = LINEAR_STORE};
  for (int64_t row = 0; row < m->count; row += GROUP_ROWS) {
    int64_t rows = smaller(GROUP_ROWS, m->count - row), first = panel * PANEL;
    cpu_multiply(b->c, &x, down, panel, panels, row, rows, memory->a, memory->scratch);
    b->c->kernels->finish(&target, first, smaller(panels * PANEL, down->rows - first), row, rows, memory->a, NULL);
  }
}

/* Some rows of y: what the batch's experts add to each, in their order. */
static void scatter_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const expert_batch *b = work;
  view y = b->call->y;
  int64_t begin = item * b->rows_per_item, end = begin + b->rows_per_item;
  for (int64_t r = 0; r < b->rows; r++)
    if (b->index[r] >= begin && b->index[r] < end) b->c->kernels->add_scaled(row_of(y, b->index[r]), row_of(b->gathered, r), b->scale[r], y.columns);
}

/* Long runs, but several items for every thread. */
static void multiply_batch(expert_batch *b, const weight *w, cpu_task *task) {
  context *c = b->c;
  int64_t panels = weight_panels(w);
  b->run = larger(1, smaller(RUN_PANELS, panels * b->count / (4 * cpu_pool_threads(c->pool))));
  cpu_pool_run(c->pool, parts(panels, b->run) * b->count, task, b, c->scratch);
}

static dimple_status run_batch(expert_batch *b) {
  context *c = b->c;
  DIMPLE_TRY(reserve_routed(b));
  DIMPLE_TRY(prepare_batch(b, &b->x, b->gathered, true));
  multiply_batch(b, gate_of(b->call, 0), gate_item);
  DIMPLE_TRY(prepare_batch(b, &b->middle, b->gated, false));
  multiply_batch(b, down_of(b->call, 0), down_item);
  b->rows_per_item = parts(b->call->y.rows, SCATTER_ITEMS * cpu_pool_threads(c->pool));
  cpu_pool_run(c->pool, parts(b->call->y.rows, b->rows_per_item), scatter_item, b, c->scratch);
  return DIMPLE_OK;
}

static dimple_status run_batches(context *c, const experts_call *call, const expert_groups *g, int64_t experts) {
  expert_batch b = {.c = c, .call = call};
  ALLOCATE(b.members, experts, "the routing of experts");
  want_forms(&b, experts);
  dimple_status status = DIMPLE_OK;
  for (int64_t next = 0; next < experts && status == DIMPLE_OK;) {
    fill_batch(&b, g, experts, &next);
    if (b.count > 0) status = run_batch(&b);
  }
  free(b.members);
  return status;
}

dimple_status cpu_experts(context *c, const experts_call *call) {
  int64_t experts = call->down->matrices;
  expert_groups g;
  dimple_status status = open_groups(call->x.rows * call->chosen.columns, experts, &g);
  if (status == DIMPLE_OK) {
    group_rows(call, experts, &g);
    status = run_batches(c, call, &g, experts);
  }
  close_groups(&g);
  return status;
}
