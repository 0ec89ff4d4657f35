/* Mixtures of experts by GGML's own operations. */
#include <float.h>
#include <math.h>

#include "room.h"

/* The numbers of the `count` highest of worth [columns, rows], by falling worth, the lower number among equals. GGML leaves open how a device
 * sorts equals, so what it sorts last has none: how many different values go before, and the number. */
static struct ggml_tensor *highest(struct ggml_context *n, struct ggml_tensor *worth, int64_t count) {
  int64_t columns = worth->ne[0], rows = worth->ne[1];
  if (columns == 1) return ggml_argsort(n, worth, GGML_SORT_ORDER_DESC);
  struct ggml_tensor *order = ggml_argsort(n, worth, GGML_SORT_ORDER_DESC); /* [columns, rows] */
  struct ggml_tensor *sorted = ggml_reshape_2d(n, ggml_get_rows(n, ggml_reshape_3d(n, worth, 1, columns, rows), order), columns, rows);
  struct ggml_tensor *before = ggml_cont(n, ggml_view_2d(n, sorted, columns - 1, rows, sorted->nb[1], 0));
  struct ggml_tensor *after = ggml_cont(n, ggml_view_2d(n, sorted, columns - 1, rows, sorted->nb[1], sorted->nb[0]));
  struct ggml_tensor *falls = ggml_pad(n, ggml_step(n, ggml_sub(n, before, after)), 1, 0, 0, 0); /* 1 where the next one is lower */
  struct ggml_tensor *fallen = ggml_sub(n, ggml_cumsum(n, falls), falls);
  struct ggml_tensor *number = ggml_reshape_2d(n, ggml_get_rows(n, ggml_reshape_2d(n, ggml_arange(n, 0, (float)columns, 1), 1, columns),
                                                                ggml_reshape_1d(n, order, columns * rows)), columns, rows);
  struct ggml_tensor *key = ggml_add(n, ggml_scale(n, fallen, (float)columns), number); /* a whole number below 2^24 */
  struct ggml_tensor *place = ggml_argsort(n, key, GGML_SORT_ORDER_ASC);
  struct ggml_tensor *all = ggml_get_rows(n, ggml_reshape_3d(n, order, 1, columns, rows), place); /* [1, columns, rows] */
  return ggml_cont(n, ggml_view_2d(n, all, count, rows, all->nb[2], 0));
}

/* Of z [experts, rows] the groups whose best two add up to most; the others become minus infinity. */
static struct ggml_tensor *keep_groups(struct ggml_context *n, const route_call *call, struct ggml_tensor *z) {
  int64_t experts = z->ne[0], rows = z->ne[1], groups = call->groups, size = experts / groups;
  struct ggml_tensor *grouped = ggml_reshape_3d(n, z, size, groups, rows);
  struct ggml_tensor *best = ggml_cont(n, ggml_argsort_top_k(n, grouped, 2)); /* [2, groups, rows] */
  struct ggml_tensor *two = ggml_get_rows(n, ggml_reshape_4d(n, grouped, 1, size, groups, rows), best);
  struct ggml_tensor *worth = ggml_reshape_2d(n, ggml_sum_rows(n, ggml_reshape_3d(n, two, 2, groups, rows)), groups, rows);
  struct ggml_tensor *kept = highest(n, worth, call->groups_used);                     /* [groups_used, rows] */
  struct ggml_tensor *values = ggml_get_rows(n, grouped, kept);                            /* [size, groups_used, rows] */
  struct ggml_tensor *nothing = ggml_fill(n, grouped, -INFINITY);
  return ggml_reshape_2d(n, ggml_set_rows(n, nothing, values, kept), experts, rows);
}

/* worth as numbers, which sorting wants; GGML clamps in place. */
static struct ggml_tensor *as_numbers(struct ggml_context *n, struct ggml_tensor *worth) { return ggml_clamp(n, ggml_dup(n, worth), -FLT_MAX, FLT_MAX); }

/* [experts, blocks]: the highest of each expert among the rows of z [experts, size, blocks]. */
static struct ggml_tensor *highest_in_blocks(struct ggml_context *n, struct ggml_tensor *z) {
  int64_t experts = z->ne[0], size = z->ne[1], blocks = z->ne[2];
  struct ggml_tensor *columns = ggml_cont(n, ggml_permute(n, z, 1, 0, 2, 3)); /* [size, experts, blocks] */
  struct ggml_tensor *row = ggml_argmax(n, ggml_reshape_2d(n, columns, size, experts * blocks));
  struct ggml_tensor *best = ggml_get_rows(n, ggml_reshape_4d(n, columns, 1, size, experts, blocks), ggml_reshape_3d(n, row, 1, experts, blocks));
  return ggml_reshape_2d(n, best, experts, blocks);
}

/* Of z [experts, rows] what the rows' block admits; the others become minus infinity. */
static struct ggml_tensor *keep_admitted(struct ggml_context *n, const route_call *call, struct ggml_tensor *z) {
  int64_t experts = z->ne[0], rows = z->ne[1], size = call->block < rows ? call->block : rows, blocks = (rows + size - 1) / size, missing = blocks * size - rows;
  z = as_numbers(n, z);
  if (missing > 0) z = ggml_concat(n, z, ggml_fill(n, ggml_cont(n, ggml_view_2d(n, z, experts, missing, z->nb[1], 0)), -FLT_MAX), 1);
  z = ggml_reshape_3d(n, z, experts, size, blocks);
  struct ggml_tensor *best = highest_in_blocks(n, z), *admitted = highest(n, best, call->admitted); /* [admitted, blocks] */
  struct ggml_tensor *nothing = ggml_fill(n, ggml_reshape_3d(n, best, 1, experts, blocks), -INFINITY);
  struct ggml_tensor *zeros = ggml_fill(n, ggml_cont(n, ggml_view_3d(n, nothing, 1, call->admitted, blocks, nothing->nb[1], nothing->nb[2], 0)), 0);
  struct ggml_tensor *bar = ggml_reshape_3d(n, ggml_set_rows(n, nothing, zeros, admitted), experts, 1, blocks);
  z = ggml_reshape_2d(n, ggml_add(n, z, bar), experts, size * blocks);
  return missing > 0 ? ggml_cont(n, ggml_view_2d(n, z, experts, rows, z->nb[1], 0)) : z;
}

/* [1, rows] of scores [experts, rows]: 0, or NaN where a score, or one of the biases, is no finite number. */
static struct ggml_tensor *spoilt_rows(struct ggml_context *n, struct ggml_tensor *scores, struct ggml_tensor *bias) {
  struct ggml_tensor *zeros = ggml_scale(n, scores, 0);
  if (bias) zeros = ggml_add(n, zeros, ggml_scale(n, bias, 0));
  return ggml_sum_rows(n, zeros);
}

dimple_status build_route(context *c, const route_call *call) {
  struct ggml_context *n = c->graph->nodes;
  int64_t rows = call->scores.rows, experts = call->scores.columns, used = call->chosen.columns;
  if (rows == 0) return DIMPLE_OK;
  struct ggml_tensor *scores = ggml_cont(n, matrix_of(c, call->scores));
  bool sigmoid = call->kind == ROUTE_SIGMOID;
  struct ggml_tensor *shares = sigmoid ? ggml_sigmoid(n, scores) : ggml_soft_max(n, scores);
  struct ggml_tensor *worth = sigmoid ? shares : scores; /* rounding may make equals of different scores' probabilities, and the reverse */
  if (sigmoid && call->bias) worth = ggml_add(n, worth, call->bias->tensor);
  if (sigmoid && call->groups > 1) worth = keep_groups(n, call, worth);
  if (sigmoid && call->block > 0) worth = keep_admitted(n, call, worth);
  struct ggml_tensor *order = highest(n, as_numbers(n, worth), used); /* [used, rows] of [experts, rows] */
  struct ggml_tensor *share = ggml_get_rows(n, ggml_reshape_3d(n, shares, 1, experts, rows), order);
  share = ggml_add(n, ggml_reshape_2d(n, share, used, rows), spoilt_rows(n, scores, sigmoid && call->bias ? call->bias->tensor : NULL));
  if (call->among_chosen) share = ggml_div(n, share, ggml_sum_rows(n, share));
  if (call->scale) {
    struct ggml_tensor *scales = ggml_get_rows(n, ggml_reshape_2d(n, call->scale->tensor, 1, experts), ggml_cont_1d(n, order, used * rows));
    share = ggml_mul(n, share, ggml_reshape_2d(n, scales, used, rows));
  }
  if (call->factor > 0) share = ggml_scale(n, share, call->factor);
  DIMPLE_TRY(expand(c, ggml_cpy(n, order, numbers_of(c, call->chosen))));
  return write_view(c, call->share, share);
}

dimple_status build_experts(context *c, const experts_call *call) {
  struct ggml_context *n = c->graph->nodes;
  int64_t rows = call->x.rows, width = call->x.columns, used = call->chosen.columns;
  if (rows == 0) return DIMPLE_OK;
  struct ggml_tensor *x = ggml_reshape_3d(n, ggml_cont(n, matrix_of(c, call->x)), width, 1, rows), *chosen = numbers_of(c, call->chosen);
  struct ggml_tensor *bank = call->gate->tensor, *up;
  if (!call->up) bank = ggml_reshape_3d(n, bank, width, 2 * call->gate->rows, call->gate->matrices / 2);
  struct ggml_tensor *gate = ggml_mul_mat_id(n, bank, x, chosen); /* [feed_forward, used, rows] */
  if (call->up) {
    up = ggml_mul_mat_id(n, call->up->tensor, x, chosen);
  } else { /* one bank of both: [2 feed_forward, used, rows] */
    struct ggml_tensor *both = gate;
    gate = ggml_cont(n, ggml_view_3d(n, both, both->ne[0] / 2, used, rows, both->nb[1], both->nb[2], 0));
    up = ggml_cont(n, ggml_view_3d(n, both, both->ne[0] / 2, used, rows, both->nb[1], both->nb[2], both->nb[1] / 2));
  }
  struct ggml_tensor *middle = gated(c, call->mode, gate, up);
  DIMPLE_TRY(watch_numbers(c, middle));
  struct ggml_tensor *made = ggml_mul_mat_id(n, call->down->tensor, middle, chosen);
  struct ggml_tensor *share = ggml_reshape_3d(n, ggml_cont(n, matrix_of(c, call->share)), 1, used, rows);
  made = ggml_mul(n, made, share); /* [width, used, rows] */
  struct ggml_tensor *sum = matrix_of(c, call->y);
  for (int64_t i = 0; i < used; i++)
    sum = ggml_add(n, sum, ggml_view_2d(n, made, width, rows, made->nb[2], (size_t)i * made->nb[1]));
  return write_view(c, call->y, sum);
}
