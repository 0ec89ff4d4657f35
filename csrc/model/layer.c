#include "model/layer.h"

#include "error.h"

/* The rows that go on, and their norms in *normed. */
static dimple_status select(layer *l, view *normed) {
  const block *b = &l->block;
  DIMPLE_TRY(b->ops->gather_rows(b->context, l->states, l->x, l->wanted));
  DIMPLE_TRY(b->ops->gather_rows(b->context, l->selected, *normed, l->wanted));
  l->x = l->states;
  *normed = l->selected;
  return DIMPLE_OK;
}

/* Where all rows go on, Q, K and V are one call: they share the normalised rows. */
dimple_status layer_project(layer *l) {
  const block *b = &l->block;
  const block_weights *w = b->weights;
  view normed = view_of(b->scratch->normed, l->x.rows, l->x.columns);
  l->q = view_of(b->scratch->q, l->wanted ? l->states.rows : l->x.rows, (int64_t)l->parameters->heads * l->parameters->head_size);
  DIMPLE_TRY(b->ops->rms_norm(b->context, normed, l->x, w->norm1, b->norm_epsilon));
  linear_output outputs[3] = {{.w = w->k.w, .bias = w->k.bias, .y = l->cache.own_keys, .mode = LINEAR_STORE},
                              {.w = w->v.w, .bias = w->v.bias, .y = l->cache.own_values, .mode = LINEAR_STORE},
                              {.w = w->q.w, .bias = w->q.bias, .y = l->q, .mode = LINEAR_STORE}};
  DIMPLE_TRY(b->ops->linear(b->context, &(linear_call){normed, outputs, l->wanted ? 2 : 3}));
  if (!l->wanted) return DIMPLE_OK;
  DIMPLE_TRY(select(l, &normed));
  return block_linear(b, &w->q, LINEAR_STORE, normed, l->q);
}

dimple_status layer_norm_heads(const layer *l) {
  const block *b = &l->block;
  int32_t size = l->parameters->head_size;
  view q = view_reshape(l->q, size), k = view_reshape(l->cache.own_keys, size);
  DIMPLE_TRY(b->ops->rms_norm(b->context, q, q, b->weights->q_norm, b->norm_epsilon));
  return b->ops->rms_norm(b->context, k, k, b->weights->k_norm, b->norm_epsilon);
}

dimple_status layer_rotate(const layer *l) {
  const block *b = &l->block;
  const layer_parameters *p = l->parameters;
  DIMPLE_TRY(b->ops->rotary(b->context, &(rotary_call){l->q, p->heads, p->head_size, l->cosine, l->sine, l->wanted}));
  return b->ops->rotary(b->context, &(rotary_call){l->cache.own_keys, p->kv_heads, p->head_size, l->cosine, l->sine, NULL});
}

dimple_status layer_attend(const layer *l) {
  const block *b = &l->block;
  const layer_parameters *p = l->parameters;
  view attended = view_of(b->scratch->attended, l->q.rows, l->q.columns);
  DIMPLE_TRY(b->ops->attention(b->context, &(attention_call){
      .q = l->q, .k = l->cache.keys, .v = l->cache.values, .y = attended, .heads = p->heads, .kv_heads = p->kv_heads, .size = p->head_size,
      .last_key = l->causal ? l->last_key : NULL}));
  return block_add_attention(b, attended, l->x);
}

dimple_status layer_feed_forward(const layer *l) { return block_add_feed_forward(&l->block, l->parameters->feed_forward, l->x); }

dimple_status layer_experts(const layer *l) {
  return block_add_experts(&l->block, l->parameters->experts, l->parameters->experts_used, l->x);
}
