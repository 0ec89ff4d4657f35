/* How far rows are from what they were: former logits are multiplied beside, and one number comes back of a row. */
#include "head.h"

static void *former_sums(context *c, recorded *o, int64_t at) {
  (void)c;
  return (void *)(uintptr_t)(o->head.comparison->log_sums + piece_of(o, at)->first);
}

dimple_status fetch_divergence(const piece_at *at, struct ggml_tensor *z) {
  context *c = at->context;
  struct ggml_context *n = c->graph->nodes;
  const head_call *call = &at->operation->head;
  struct ggml_tensor *former = logits_of(at, call->former, call->former_bare), *sums;
  if (call->comparison->bias) DIMPLE_TRY(apply_bias(at, true, &former));
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, 1, z->ne[1], (graph_input){.part = former_sums, .at = at->piece * PARTS + FORMER_SUMS, .from = {at->operation}}, &sums));
  struct ggml_tensor *q = ggml_exp(n, ggml_sub(n, former, sums)), *before = ggml_log(n, ggml_scale_bias(n, q, 1, HEAD_LEAST));
  struct ggml_tensor *below = ggml_sub(n, z, pick(n, z, ggml_argmax(n, z)));
  struct ggml_tensor *now = ggml_sub(n, below, ggml_log(n, ggml_sum_rows(n, ggml_exp(n, below))));
  return fetch(at, ggml_sum_rows(n, ggml_mul(n, ggml_exp(n, now), ggml_sub(n, now, before))), DIVERGENCE);
}
