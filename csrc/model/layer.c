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
    outputs[count++] = (linear_output){.w = w->k.w, .bias = w->k.bias, .y = l->own_keys, .mode = LINEAR_STORE};
    outputs[count++] = (linear_output){.w = w->v.w, .bias = w->v.bias, .y = l->own_values, .mode = LINEAR_STORE};
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
  return has_keys(l) ? norm_heads(l, l->own_keys, l->block.weights->k_norm) : DIMPLE_OK;
}

static dimple_status rotate(const layer *l, view rows, int32_t heads) {
  return l->block.ops->rotary(l->block.context,
                              &(rotary_call){rows, heads, l->parameters->head_size, l->cosine, l->sine, l->angle_rows});
}

dimple_status layer_rotate(const layer *l) {
  if (has_queries(l)) DIMPLE_TRY(rotate(l, l->q, l->parameters->heads));
  return has_keys(l) ? rotate(l, l->own_keys, l->parameters->kv_heads) : DIMPLE_OK;
}

/* Own rows go to the halves that are kept, and what attention sees comes from there: it is the same in this pass and in later ones. */
static dimple_status pass_through_halves(const layer *l) {
  const backend_operations *ops = l->block.ops;
  context *c = l->block.context;
  if (has_keys(l)) {
    DIMPLE_TRY(ops->pack_halves(c, l->halves.own_keys, l->own_keys));
    DIMPLE_TRY(ops->pack_halves(c, l->halves.own_values, l->own_values));
  }
  if (!has_queries(l)) return DIMPLE_OK;
  DIMPLE_TRY(ops->unpack_halves(c, l->keys, l->halves.keys));
  return ops->unpack_halves(c, l->values, l->halves.values);
}

dimple_status layer_attend(const layer *l) {
  if (l->halves.keys.memory) DIMPLE_TRY(pass_through_halves(l));
  if (!has_queries(l)) return DIMPLE_OK;
  const block *b = &l->block;
  const layer_parameters *p = l->parameters;
  view attended = view_of(b->scratch->attended, l->q.rows, l->q.columns);
  DIMPLE_TRY(b->ops->attention(b->context, &(attention_call){
      .q = l->q, .k = l->keys, .v = l->values, .y = attended, .heads = p->heads, .kv_heads = p->kv_heads, .size = p->head_size,
      .last_key = l->limited || l->skip_key ? l->last_key : NULL, .skip_key = l->skip_key}));
  return block_add_attention(b, attended, l->x);
}

dimple_status layer_feed_forward(const layer *l) {
  return has_queries(l) ? block_add_feed_forward(&l->block, l->parameters->feed_forward, l->x) : DIMPLE_OK;
}

dimple_status layer_experts(const layer *l) {
  return has_queries(l) ? block_add_experts(&l->block, l->parameters->experts, l->parameters->experts_used, l->x) : DIMPLE_OK;
}
