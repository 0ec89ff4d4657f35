/* A mixture of experts: routing, and the experts one after the other, each over the rows that chose it. */
#include <math.h>
#include <stdlib.h>

#include "allocate.h"
#include "backend/cpu/operations.h"
#include "backend/route.h"
#include "error.h"
#include "platform/platform.h"

/* The experts with the highest of z[experts] into chosen, their softmax probabilities over all experts into share. Overwrites z. A score
 * that is NaN or infinite makes every share NaN; NaN may be chosen like the lowest, and the experts are different ones all the same. */
static void choose_experts(float *z, int64_t experts, int64_t used, int32_t *chosen, float *share) {
  const float taken = NAN;
  float highest = z[0], sum = 0;
  for (int64_t e = 1; e < experts; e++) highest = z[e] > highest ? z[e] : highest;
  for (int64_t e = 0; e < experts; e++) sum += expf(z[e] - highest);
  if (!route_has_numbers(z, NULL, experts)) sum = NAN;
  for (int64_t e = 0; e < experts; e++)
    if (isnan(z[e])) z[e] = -INFINITY;
  for (int64_t i = 0; i < used; i++) {
    int32_t best = -1;
    for (int32_t e = 0; e < experts; e++)
      if (!isnan(z[e]) && (best < 0 || z[e] > z[best])) best = e;
    chosen[i] = best;
    share[i] = expf(z[best] - highest) / sum;
    z[best] = taken;
  }
}

/* The experts with the highest of z[experts], which is -inf where there is no number, into chosen, and of p[experts] into share. Overwrites z. */
static void take_highest(float *z, const float *p, int64_t experts, int64_t used, int32_t *chosen, float *share) {
  for (int64_t i = 0; i < used; i++) {
    int32_t best = -1;
    for (int32_t e = 0; e < experts; e++)
      if (!isnan(z[e]) && (best < 0 || z[e] > z[best])) best = e;
    chosen[i] = best;
    share[i] = p[best];
    z[best] = NAN;
  }
}

static void finish_shares(const route_call *call, int64_t r) {
  const int32_t *chosen = numbers_of(call->chosen, r);
  float *share = row_of(call->share, r), sum = call->kind == ROUTE_SIGMOID ? 1e-20f : 0; /* the authors' guard */
  for (int64_t i = 0; i < call->share.columns; i++) sum += share[i];
  for (int64_t i = 0; i < call->share.columns; i++) {
    if (call->among_chosen) share[i] /= sum;
    if (call->scale) share[i] *= call->scale->vector[chosen[i]];
    if (call->factor > 0) share[i] *= call->factor;
  }
}

/* Rows first .. end - 1, which are a block or of none; p [rows x experts] and highest [experts] are scratch. */
static void route_rows(const route_call *call, int64_t first, int64_t end, float *p, float *highest) {
  int64_t experts = call->scores.columns;
  for (int64_t e = 0; e < experts && call->block > 0; e++) highest[e] = -INFINITY;
  for (int64_t r = first; r < end; r++) {
    route_by_sigmoid(call, call->bias ? call->bias->vector : NULL, row_of(call->scores, r), p + (r - first) * experts);
    if (call->block > 0) route_note_highest(highest, row_of(call->scores, r), experts);
  }
  if (call->block > 0) route_keep_admitted(highest, experts, call->admitted);
  for (int64_t r = first; r < end; r++, p += experts) {
    if (call->block > 0) route_leave_admitted(row_of(call->scores, r), highest, experts);
    take_highest(row_of(call->scores, r), p, experts, call->chosen.columns, numbers_of(call->chosen, r), row_of(call->share, r));
    finish_shares(call, r);
  }
}

static dimple_status route_sigmoids(const route_call *call) {
  int64_t step = call->block > 0 ? call->block : 1, rows = call->scores.rows;
  float *p;
  ALLOCATE(p, (step + 1) * call->scores.columns, "the probabilities of experts");
  for (int64_t r = 0; r < rows; r += step) route_rows(call, r, r + step < rows ? r + step : rows, p, p + step * call->scores.columns);
  free(p);
  return DIMPLE_OK;
}

dimple_status cpu_route(context *c, const route_call *call) {
  (void)c;
  if (call->kind == ROUTE_SIGMOID) return route_sigmoids(call);
  for (int64_t r = 0; r < call->scores.rows; r++) {
    choose_experts(row_of(call->scores, r), call->scores.columns, call->chosen.columns, numbers_of(call->chosen, r), row_of(call->share, r));
    finish_shares(call, r);
  }
  return DIMPLE_OK;
}

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

/* Room for the inputs, intermediates and outputs of up to `rows` rows. */
static dimple_status reserve_routed(context *c, int64_t floats) {
  int64_t bytes = floats * (int64_t)sizeof(float);
  if (bytes <= c->routed_size) return DIMPLE_OK;
  platform_free(c->routed);
  c->routed = NULL;
  c->routed_size = 0;
  void *memory;
  DIMPLE_TRY(cpu_allocate(floats, sizeof(float), "the experts' intermediates", &memory));
  c->routed = memory;
  c->routed_size = bytes;
  return DIMPLE_OK;
}

static dimple_status run_expert(context *c, const experts_call *call, int64_t e, const int32_t *rows, const float *scale, int64_t count) {
  int64_t width = call->x.columns, feed_forward = call->gate->rows;
  view inputs = view_of((buffer *)(void *)c->routed, count, width);
  view outputs = view_of((buffer *)(void *)(c->routed + count * width), count, width);
  view middle = view_of((buffer *)(void *)(c->routed + 2 * count * width), count, feed_forward);
  const weight *gate = &call->gate->members[call->up ? e : 2 * e], *up = call->up ? &call->up->members[e] : gate + 1;
  linear_output gated = {.w = gate, .up = up, .y = middle, .mode = call->mode};
  linear_output down = {.w = &call->down->members[e], .y = outputs, .mode = LINEAR_STORE};
  DIMPLE_TRY(cpu_gather_rows(c, inputs, call->x, rows));
  DIMPLE_TRY(cpu_linear(c, &(linear_call){inputs, &gated, 1}));
  DIMPLE_TRY(cpu_linear(c, &(linear_call){middle, &down, 1}));
  cpu_scatter_add_rows(c, call->y, outputs, rows, scale);
  return DIMPLE_OK;
}

static dimple_status run_groups(context *c, const experts_call *call, const expert_groups *g, int64_t experts) {
  DIMPLE_TRY(reserve_routed(c, call->x.rows * (2 * call->x.columns + call->gate->rows)));
  for (int64_t e = 0; e < experts; e++) {
    int32_t begin = g->begin[e], count = g->begin[e + 1] - begin;
    if (count > 0) DIMPLE_TRY(run_expert(c, call, e, g->rows + begin, g->scale + begin, count));
  }
  return DIMPLE_OK;
}

dimple_status cpu_experts(context *c, const experts_call *call) {
  int64_t experts = call->down->matrices;
  expert_groups g;
  dimple_status status = open_groups(call->x.rows * call->chosen.columns, experts, &g);
  if (status == DIMPLE_OK) {
    group_rows(call, experts, &g);
    status = run_groups(c, call, &g, experts);
  }
  close_groups(&g);
  return status;
}
