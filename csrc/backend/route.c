#include "backend/route.h"

#include <math.h>

/* The sum of the best two of z[count]. */
static float best_two(const float *z, int64_t count) {
  float first = -INFINITY, second = -INFINITY;
  for (int64_t i = 0; i < count; i++) {
    if (z[i] > first) {
      second = first;
      first = z[i];
    } else if (z[i] > second) {
      second = z[i];
    }
  }
  return first + second;
}

/* How many groups go before group g: those that are worth more, or as much with a lower number. */
static int32_t rank_of(const float *z, int64_t size, int32_t groups, int32_t g) {
  float own = best_two(z + g * size, size);
  int32_t rank = 0;
  for (int32_t i = 0; i < groups; i++) {
    float other = best_two(z + i * size, size);
    rank += other > own || (other == own && i < g);
  }
  return rank;
}

enum { MOST_EXPERTS = 1024, MOST_GROUPS = MOST_EXPERTS };

static void keep_groups(const route_call *call, float *z) {
  bool kept[MOST_GROUPS];
  int64_t size = call->scores.columns / call->groups;
  for (int32_t g = 0; g < call->groups; g++) kept[g] = rank_of(z, size, call->groups, g) < call->groups_used;
  for (int32_t g = 0; g < call->groups; g++)
    for (int64_t i = 0; i < size && !kept[g]; i++) z[g * size + i] = -INFINITY;
}

bool route_has_numbers(const float *z, const float *bias, int64_t count) {
  bool numbers = true;
  for (int64_t e = 0; e < count; e++) numbers &= isfinite(z[e]) && (!bias || isfinite(bias[e]));
  return numbers;
}

void route_by_sigmoid(const route_call *call, const float *bias, float *z, float *p) {
  int64_t experts = call->scores.columns;
  bool numbers = route_has_numbers(z, bias, experts);
  for (int64_t e = 0; e < experts; e++) {
    p[e] = 1 / (1 + expf(-z[e]));
    z[e] = bias ? p[e] + bias[e] : p[e];
    if (isnan(z[e])) z[e] = -INFINITY;
  }
  for (int64_t e = 0; e < experts && !numbers; e++) p[e] = NAN; /* a sigmoid makes numbers of infinities, and the choice passes over NaN */
  if (call->groups > 1) keep_groups(call, z);
}

void route_note_highest(float *highest, const float *z, int64_t experts) {
  for (int64_t e = 0; e < experts; e++)
    if (z[e] > highest[e]) highest[e] = z[e];
}

/* How many experts go before expert e: those that are worth more, or as much with a lower number. */
static int64_t experts_before(const float *highest, int64_t experts, int64_t e) {
  int64_t rank = 0;
  for (int64_t i = 0; i < experts; i++) rank += highest[i] > highest[e] || (highest[i] == highest[e] && i < e);
  return rank;
}

void route_keep_admitted(float *highest, int64_t experts, int32_t admitted) {
  bool kept[MOST_EXPERTS];
  for (int64_t e = 0; e < experts; e++) kept[e] = experts_before(highest, experts, e) < admitted;
  for (int64_t e = 0; e < experts; e++)
    if (!kept[e]) highest[e] = -INFINITY;
}

void route_leave_admitted(float *z, const float *highest, int64_t experts) {
  for (int64_t e = 0; e < experts; e++)
    if (highest[e] == -INFINITY) z[e] = -INFINITY;
}
