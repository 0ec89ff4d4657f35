/* Routing: which experts a row goes to, and what each is worth to it. */
#include <math.h>
#include <stdlib.h>

#include "allocate.h"
#include "backend/cpu/operations.h"
#include "backend/route.h"
#include "error.h"

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
