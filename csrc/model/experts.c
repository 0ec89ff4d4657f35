#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "model/block.h"

/* Which rows go to which expert, grouped by expert: rows[begin[e]] .. rows[begin[e + 1]] - 1 go to expert e. */
typedef struct routing {
  float *logits;  /* [rows x experts] */
  int32_t *chosen;/* [rows x used] */
  float *share;   /* [rows x used] */
  int32_t *begin; /* [experts + 1] */
  int32_t *rows;  /* [rows x used] */
  float *scale;   /* [rows x used], in the order of rows */
} routing;

static dimple_status open_routing(int64_t rows, int32_t experts, int32_t used, routing *r) {
  size_t pairs = (size_t)rows * (size_t)used, all = (size_t)rows * (size_t)experts;
  *r = (routing){.logits = malloc(all * sizeof *r->logits), .chosen = malloc(pairs * sizeof *r->chosen), .share = malloc(pairs * sizeof *r->share),
                 .begin = calloc((size_t)experts + 1, sizeof *r->begin), .rows = malloc(pairs * sizeof *r->rows), .scale = malloc(pairs * sizeof *r->scale)};
  if (!r->logits || !r->chosen || !r->share || !r->begin || !r->rows || !r->scale) return dimple_fail_memory((all + 4 * pairs) * sizeof(float), "the routing of experts");
  return DIMPLE_OK;
}

static void close_routing(routing *r) {
  free(r->logits);
  free(r->chosen);
  free(r->share);
  free(r->begin);
  free(r->rows);
  free(r->scale);
}

/* The `used` highest of z[experts] into chosen and their softmax probabilities, over all experts, into share. Overwrites z. */
static void choose_experts(float *z, int32_t experts, int32_t used, int32_t *chosen, float *share) {
  float highest = z[0], sum = 0;
  for (int32_t e = 1; e < experts; e++) highest = z[e] > highest ? z[e] : highest;
  for (int32_t e = 0; e < experts; e++) sum += expf(z[e] - highest);
  for (int32_t i = 0; i < used; i++) {
    int32_t best = 0;
    for (int32_t e = 1; e < experts; e++)
      if (z[e] > z[best]) best = e;
    chosen[i] = best;
    share[i] = expf(z[best] - highest) / sum;
    z[best] = -INFINITY;
  }
}

static void route(routing *r, int64_t rows, int32_t experts, int32_t used) {
  for (int64_t i = 0; i < rows; i++) {
    choose_experts(r->logits + i * experts, experts, used, r->chosen + i * used, r->share + i * used);
    for (int32_t j = 0; j < used; j++) r->begin[r->chosen[i * used + j] + 1]++;
  }
  for (int32_t e = 0; e < experts; e++) r->begin[e + 1] += r->begin[e];
  /* Filling moves begin[e] to the end of group e; shifting by one restores it. */
  for (int64_t i = 0; i < rows * used; i++) {
    int32_t at = r->begin[r->chosen[i]]++;
    r->rows[at] = (int32_t)(i / used);
    r->scale[at] = r->share[i];
  }
  for (int32_t e = experts; e > 0; e--) r->begin[e] = r->begin[e - 1];
  r->begin[0] = 0;
}

static dimple_status run_routed(const backend_operations *ops, context *c, const block_shape *s, const block_weights *block,
                                block_scratch *scratch, float *x, int64_t rows, routing *r) {
  float *inputs = scratch->routed, *outputs = inputs + rows * s->width, *logits = inputs;
  linear_weights router = {.w = block->router};
  DIMPLE_TRY(open_routing(rows, s->experts, s->experts_used, r));
  DIMPLE_TRY(block_linear(ops, c, &router, LINEAR_STORE, scratch->normed, s->width, rows, s->width, logits, s->experts));
  DIMPLE_TRY(ops->copy_out(c, r->logits, logits, rows * s->experts));
  route(r, rows, s->experts, s->experts_used);
  for (int32_t e = 0; e < s->experts; e++) {
    int32_t begin = r->begin[e], count = r->begin[e + 1] - begin;
    if (count == 0) continue;
    const expert_weights *expert = &block->experts[e];
    linear_weights down = {.w = expert->down};
    linear_output middle = {.w = expert->gate, .up = expert->up, .y = scratch->middle, .y_stride = s->feed_forward, .mode = LINEAR_SWIGLU};
    DIMPLE_TRY(ops->gather_rows(c, inputs, scratch->normed, r->rows + begin, count, s->width));
    DIMPLE_TRY(ops->linear(c, &(linear_call){inputs, s->width, count, s->width, &middle, 1}));
    DIMPLE_TRY(block_linear(ops, c, &down, LINEAR_STORE, scratch->middle, s->feed_forward, count, s->feed_forward, outputs, s->width));
    DIMPLE_TRY(ops->scatter_add_rows(c, x, outputs, r->rows + begin, r->scale + begin, count, s->width));
  }
  return DIMPLE_OK;
}

dimple_status experts_run(const backend_operations *ops, context *c, const block_shape *shape, const block_weights *block,
                          block_scratch *scratch, float *x, int64_t rows) {
  routing r = {0};
  dimple_status status = run_routed(ops, c, shape, block, scratch, x, rows, &r);
  close_routing(&r);
  return status;
}
