#include "model/layer.h"

#include "error.h"

static bool has_keys(const layer *l) { return l->part != LAYER_QUERIES; }

static bool has_queries(const layer *l) { return l->part != LAYER_KEYS; }

/* What is projected is one call: it shares the normalised rows. */
dimple_status layer_project(layer *l) {
  const block *b = &l->block;
  const block_weights *w = b->weights;
  view normed = view_of(b->scratch->normed, l->x.rows, l->x.columns);
  l->q = view_of(b->scratch->q, l->x.rows, (int64_t)l->parameters->heads * l->parameters->head_size);
  DIMPLE_TRY(b->ops->rms_norm(b->context, normed, l->x, w->norm1, b->norm_epsilon));
  linear_output outputs[3];
  int32_t count = 0;
  if (has_keys(l)) {
    outputs[count++] = (linear_output){.w = w->k.w, .bias = w->k.bias, .y = l->new_keys, .mode = LINEAR_STORE};
    if (w->v.w) outputs[count++] = (linear_output){.w = w->v.w, .bias = w->v.bias, .y = l->new_values, .mode = LINEAR_STORE};
  }
  if (has_queries(l)) outputs[count++] = (linear_output){.w = w->q.w, .bias = w->q.bias, .y = l->q, .mode = LINEAR_STORE};
  return b->ops->linear(b->context, &(linear_call){normed, outputs, count});
}

static dimple_status norm_heads(const layer *l, view rows, const weight *w) {
  view heads = view_reshape(rows, l->parameters->head_size);
  return l->block.ops->rms_norm(l->block.context, heads, heads, w, l->block.norm_epsilon);
}

dimple_status layer_norm_heads(const layer *l) {
  if (has_queries(l)) DIMPLE_TRY(norm_heads(l, l->q, l->block.weights->q_norm));
  return has_keys(l) ? norm_heads(l, l->new_keys, l->block.weights->k_norm) : DIMPLE_OK;
}

static dimple_status rotate(const layer *l, view rows, int32_t heads) {
  for (int32_t i = 0; i < l->sequence_count; i++) {
    const layer_sequence *q = &l->sequences[i];
    rotary_call call = {.x = view_rows(rows, q->first, q->count), .heads = heads, .size = (int32_t)(2 * q->cosine.columns), .cosine = q->cosine,
                        .sine = q->sine, .angle_rows = q->angle_rows, .stride = l->parameters->head_size};
    DIMPLE_TRY(l->block.ops->rotary(l->block.context, &call));
  }
  return DIMPLE_OK;
}

dimple_status layer_rotate(const layer *l) {
  if (has_queries(l)) DIMPLE_TRY(rotate(l, l->q, l->parameters->heads));
  return has_keys(l) ? rotate(l, l->new_keys, l->parameters->kv_heads) : DIMPLE_OK;
}

/* A sequence's own rows go to where they are kept, unless they are there. What attention sees comes from there: it is as rounded in this pass as in
 * later ones. */
static dimple_status keep_rows(const layer *l, const layer_sequence *q, view rows, view kept) {
  const backend_operations *ops = l->block.ops;
  rows = view_rows(rows, q->first, q->count);
  if (q->kv_type != DIMPLE_TENSOR_F32) return ops->pack_kv(l->block.context, kept, rows, q->kv_type);
  return rows.memory == kept.memory ? DIMPLE_OK : ops->gather_rows(l->block.context, kept, rows, q->numbers);
}

static dimple_status keep_keys(const layer *l, const layer_sequence *q) {
  if (!has_keys(l)) return DIMPLE_OK;
  DIMPLE_TRY(keep_rows(l, q, l->new_keys, q->own_keys));
  return keep_rows(l, q, l->new_values, q->own_values);
}

/* The rows of a sequence over its own keys and values. */
static dimple_status attend(const layer *l, const layer_sequence *q, view attended) {
  const layer_parameters *p = l->parameters;
  return l->block.ops->attention(l->block.context, &(attention_call){
      .q = view_rows(l->q, q->first, q->count), .k = q->keys, .v = q->values, .y = view_rows(attended, q->first, q->count),
      .heads = p->heads, .kv_heads = p->kv_heads, .size = p->head_size, .kv_type = q->kv_type,
      .scale = p->score_scale, .first_key = q->limited ? q->first_key : NULL, .last_key = q->limited || q->skip_key ? q->last_key : NULL, .skip_key = q->skip_key});
}

dimple_status layer_attention(const layer *l, view *attended) {
  *attended = has_queries(l) ? view_of(l->block.scratch->attended, l->q.rows, l->q.columns) : (view){0};
  for (int32_t i = 0; i < l->sequence_count; i++) {
    DIMPLE_TRY(keep_keys(l, &l->sequences[i]));
    if (has_queries(l)) DIMPLE_TRY(attend(l, &l->sequences[i], *attended));
  }
  return DIMPLE_OK;
}

dimple_status layer_attend(const layer *l) {
  view attended;
  DIMPLE_TRY(layer_attention(l, &attended));
  return has_queries(l) ? block_add_attention(&l->block, attended, l->x) : DIMPLE_OK;
}

dimple_status layer_feed_forward(const layer *l) {
  return has_queries(l) ? block_add_feed_forward(&l->block, l->parameters->feed_forward, l->x) : DIMPLE_OK;
}

dimple_status layer_experts(const layer *l) {
  const layer_parameters *p = l->parameters;
  const route_rule *r = &p->route;
  block_experts e = {p->experts, p->experts_used, p->shared_feed_forward,
                     {.kind = r->kind, .among_chosen = r->among_chosen, .groups = r->groups, .groups_used = r->groups_used, .block = r->block,
                      .admitted = r->admitted, .factor = r->factor}};
  if (!has_queries(l)) return DIMPLE_OK;
  if (r->block == 0) return block_add_experts(&l->block, &e, l->x);
  for (int32_t i = 0; i < l->sequence_count; i++) /* each begins with a block of its own */
    DIMPLE_TRY(block_add_experts(&l->block, &e, view_rows(l->x, l->sequences[i].first, l->sequences[i].count)));
  return DIMPLE_OK;
}
