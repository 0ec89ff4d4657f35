/* Attention: GGML's fused operation where the device has it and has it right (fused.c), otherwise two products and a softmax. */
#include <math.h>
#include <string.h>

#include "room.h"

/* Rows and windows of one call to GGML: `windows` windows of `rows` query rows each, seeing the keys beside them. */
typedef struct attended {
  view q, k, v, y;
  int64_t windows;
  struct ggml_tensor *mask; /* [keys, rows] halves; null: all keys are seen */
} attended;

static float scale_of(const attention_call *call) { return call->scale > 0 ? call->scale : 1 / sqrtf((float)call->size); }

/* Devices read rows of a fused attention in pieces of 16 bytes, and some take a matrix by where their memory is aligned: others are copied. */
static struct ggml_tensor *aligned(context *c, struct ggml_tensor *t) {
  size_t most = ggml_backend_buft_get_alignment(c->device->memory);
  bool fits = t->view_offs % (most > 16 ? most : 16) == 0 && t->nb[1] % 16 == 0 && t->nb[2] % 16 == 0 && t->nb[3] % 16 == 0;
  return fits ? t : ggml_cont(c->graph->nodes, t);
}

static struct ggml_tensor *fused(context *c, const attention_call *call, struct ggml_tensor *q, struct ggml_tensor *k, struct ggml_tensor *v,
                                 struct ggml_tensor *mask) {
  struct ggml_tensor *node = ggml_flash_attn_ext(c->graph->nodes, aligned(c, q), aligned(c, k), aligned(c, v), mask, scale_of(call), 0, 0);
  ggml_prec_set_acc(node, GGML_PREC_F32);
  return node;
}

static struct ggml_tensor *spelled_out(context *c, const attention_call *call, const attended *a, struct ggml_tensor *q, struct ggml_tensor *k,
                                       struct ggml_tensor *v) {
  struct ggml_context *n = c->graph->nodes;
  struct ggml_tensor *scores = ggml_mul_mat(n, ggml_cont(n, k), ggml_cont(n, q)); /* [keys, rows, heads, windows] */
  ggml_prec_set_acc(scores, GGML_PREC_F32);
  struct ggml_tensor *shares = ggml_soft_max_ext(n, scores, a->mask, scale_of(call), 0);
  struct ggml_tensor *values = ggml_cont(n, ggml_permute(n, v, 1, 0, 2, 3)); /* [keys, size, kv_heads, windows] */
  struct ggml_tensor *sums = ggml_mul_mat(n, values, shares);               /* [size, rows, heads, windows] */
  ggml_prec_set_acc(sums, GGML_PREC_F32);
  return ggml_cont(n, ggml_permute(n, sums, 0, 2, 1, 3)); /* [size, heads, rows, windows] */
}

/* Heads of keys or values; packed ones as floats, so that what comes of them hangs on what was rounded alone. */
static dimple_status seen_heads(context *c, const attention_call *call, view rows, int64_t windows, struct ggml_tensor **out) {
  struct ggml_context *n = c->graph->nodes;
  struct ggml_tensor *packed;
  if (call->kv_type == DIMPLE_TENSOR_F32) {
    *out = heads_of(c, rows, call->kv_heads, call->size, windows);
    return DIMPLE_OK;
  }
  DIMPLE_TRY(packed_rows(c, rows, (int64_t)call->kv_heads * call->size, call->kv_type, &packed));
  struct ggml_tensor *wide = ggml_reshape_4d(n, ggml_cast(n, packed, GGML_TYPE_F32), call->size, call->kv_heads, rows.rows / windows, windows);
  *out = ggml_permute(n, wide, 0, 2, 1, 3);
  return DIMPLE_OK;
}

static dimple_status attend(context *c, const attention_call *call, const attended *a) {
  struct ggml_tensor *q = heads_of(c, a->q, call->heads, call->size, a->windows);
  struct ggml_tensor *k, *v;
  bool used;
  DIMPLE_TRY(seen_heads(c, call, a->k, a->windows, &k));
  DIMPLE_TRY(seen_heads(c, call, a->v, a->windows, &v));
  DIMPLE_TRY(use_fused(c, call, a->q.rows / a->windows, a->mask != NULL, &used));
  struct ggml_tensor *result = used ? fused(c, call, q, k, v, a->mask) : NULL;
  if (result && !runs_here(c, result)) result = NULL;
  atomic_fetch_add(result ? &c->device->counts->fused : &c->device->counts->spelled_out, 1);
  if (!result) result = spelled_out(c, call, a, q, k, v);
  return write_view(c, a->y, ggml_reshape_2d(c->graph->nodes, result, (int64_t)call->heads * call->size, a->y.rows));
}

/* What every row may see as [keys, rows] halves: 0 or minus infinity. */
static void *mask_of(context *c, recorded *o, int64_t at) {
  (void)at;
  const attention_call *call = &o->attention;
  int64_t keys = call->k.rows, rows = call->q.rows;
  ggml_fp16_t *mask = arena_take(&c->copies, (size_t)(keys * rows) * sizeof *mask), hidden = ggml_fp32_to_fp16(-INFINITY), seen = ggml_fp32_to_fp16(0);
  int32_t span = 0;
  for (int64_t r = 0; mask && r < rows; r++) {
    int64_t first = 0, end = keys;
    if (call->spans) {
      while (r >= call->spans[span + 1]) span++;
      first = call->spans[span];
      end = call->spans[span + 1];
    }
    if (call->first_key && call->first_key[r] > first) first = call->first_key[r];
    if (call->last_key && call->last_key[r] + 1 < end) end = call->last_key[r] + 1;
    for (int64_t j = 0; j < keys; j++) mask[r * keys + j] = j >= first && j < end && (!call->skip_key || j != call->skip_key[r]) ? seen : hidden;
  }
  return mask;
}

/* Windows of one length that follow each other go together. */
static dimple_status attend_windows(context *c, const attention_call *call) {
  for (int32_t s = 0; s < call->span_count;) {
    int64_t first = call->spans[s], length = call->spans[s + 1] - first;
    int32_t end = s + 1;
    while (end < call->span_count && call->spans[end + 1] - call->spans[end] == length) end++;
    int64_t rows = length * (end - s);
    attended a = {view_rows(call->q, first, rows), view_rows(call->k, first, rows), view_rows(call->v, first, rows),
                  view_rows(call->y, first, rows), end - s, NULL};
    if (rows > 0) DIMPLE_TRY(attend(c, call, &a));
    s = end;
  }
  return DIMPLE_OK;
}

dimple_status build_attention(context *c, const recorded *o) {
  const attention_call *call = &o->attention;
  bool limited = call->first_key || call->last_key || call->skip_key;
  if (call->q.rows == 0) return DIMPLE_OK;
  if (call->spans && !limited) return attend_windows(c, call);
  attended a = {call->q, call->k, call->v, call->y, 1, NULL};
  if (limited)
    DIMPLE_TRY(input_of(c, GGML_TYPE_F16, call->k.rows, call->q.rows,
                        (graph_input){.part = mask_of, .from = {call->first_key, call->last_key, call->skip_key, call->spans}}, &a.mask));
  return attend(c, call, &a);
}
