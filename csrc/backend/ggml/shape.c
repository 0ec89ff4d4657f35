/*
 * The shape of a recorded pass: all that its graph hangs on. Two passes of one shape differ in what host memory holds and in which buffers, of the
 * same sizes, they are about. Numbers are written one after the other and compared as they are, so that no two shapes are taken for each other.
 */
#include <string.h>

#include "head.h"

static dimple_status put(context *c, int64_t number) {
  DIMPLE_TRY(grow((void **)&c->shape.list, c->shape.count, &c->shape.room, sizeof *c->shape.list));
  c->shape.list[c->shape.count++] = number;
  return DIMPLE_OK;
}

static dimple_status put_all(context *c, const int64_t *list, int64_t count) {
  for (int64_t i = 0; i < count; i++) DIMPLE_TRY(put(c, list[i]));
  return DIMPLE_OK;
}

#define PUT(c, ...) \
  DIMPLE_TRY(put_all(c, (const int64_t[]){__VA_ARGS__}, (int64_t)(sizeof(const int64_t[]){__VA_ARGS__} / sizeof(int64_t))))

static dimple_status put_float(context *c, float number) {
  int32_t bits;
  memcpy(&bits, &number, sizeof bits);
  return put(c, bits);
}

int64_t ordinal_of(const context *c, const buffer *b) {
  for (int64_t i = 0; i < c->buffer_count; i++)
    if (c->buffers[i] == b) return i;
  return -1;
}

/* Buffers by the order in which they are named first. */
static dimple_status put_view(context *c, view v) {
  if (!v.memory) return put(c, -1);
  int64_t ordinal = ordinal_of(c, v.memory);
  if (ordinal < 0) {
    DIMPLE_TRY(grow((void **)&c->buffers, c->buffer_count, &c->buffer_room, sizeof *c->buffers));
    ordinal = c->buffer_count;
    c->buffers[c->buffer_count++] = v.memory;
  }
  PUT(c, ordinal, v.memory->count, v.first, v.rows, v.columns, v.stride);
  return DIMPLE_OK;
}

static dimple_status put_weight(context *c, const weight *w) {
  if (!w) return put(c, 0);
  if (w->number < c->first_weight) c->first_weight = w->number;
  if (w->number > c->last_weight) c->last_weight = w->number;
  return put(c, (int64_t)w->number);
}

/* Host memory by which copy it is: a graph has one tensor for each. */
static dimple_status put_host(context *c, const void *copy) {
  int64_t i = copy ? 0 : c->kept_count;
  while (i < c->kept_count && c->kept[i].copy != copy) i++;
  return put(c, copy ? i : -1);
}

static dimple_status put_linear(context *c, const recorded *o) {
  DIMPLE_TRY(put(c, o->output_count));
  for (int32_t i = 0; i < o->output_count; i++) {
    const linear_output *out = &o->outputs[i];
    DIMPLE_TRY(put(c, out->mode));
    DIMPLE_TRY(put_weight(c, out->w));
    DIMPLE_TRY(put_weight(c, out->bias));
    DIMPLE_TRY(put_weight(c, out->up));
    DIMPLE_TRY(put_weight(c, out->up_bias));
    DIMPLE_TRY(put_view(c, out->y));
  }
  return DIMPLE_OK;
}

static dimple_status put_rotary(context *c, const rotary_call *call) {
  DIMPLE_TRY(put_view(c, call->x));
  DIMPLE_TRY(put_view(c, call->cosine));
  DIMPLE_TRY(put_view(c, call->sine));
  PUT(c, call->heads, call->size, call->stride);
  return put_host(c, call->angle_rows);
}

static dimple_status put_adjust(context *c, const adjust_call *call) {
  DIMPLE_TRY(put_view(c, call->x));
  DIMPLE_TRY(put_view(c, call->y));
  DIMPLE_TRY(put_view(c, call->gate));
  DIMPLE_TRY(put_weight(c, call->minus));
  DIMPLE_TRY(put_weight(c, call->times));
  DIMPLE_TRY(put_weight(c, call->low));
  return put_weight(c, call->high);
}

/* What windows hold shows in the graph, what a mask holds does not. */
static dimple_status put_attention(context *c, const attention_call *call) {
  DIMPLE_TRY(put_view(c, call->q));
  DIMPLE_TRY(put_view(c, call->k));
  DIMPLE_TRY(put_view(c, call->v));
  DIMPLE_TRY(put_view(c, call->y));
  DIMPLE_TRY(put_float(c, call->scale));
  PUT(c, call->heads, call->kv_heads, call->size, call->kv_type);
  DIMPLE_TRY(put_host(c, call->first_key));
  DIMPLE_TRY(put_host(c, call->last_key));
  DIMPLE_TRY(put_host(c, call->skip_key));
  DIMPLE_TRY(put_host(c, call->spans));
  DIMPLE_TRY(put(c, call->span_count));
  for (int32_t i = 0; call->spans && i <= call->span_count; i++) DIMPLE_TRY(put(c, call->spans[i]));
  return DIMPLE_OK;
}

static dimple_status put_route(context *c, const route_call *call) {
  DIMPLE_TRY(put_view(c, call->scores));
  DIMPLE_TRY(put_view(c, call->chosen));
  DIMPLE_TRY(put_view(c, call->share));
  DIMPLE_TRY(put_weight(c, call->scale));
  DIMPLE_TRY(put_weight(c, call->bias));
  DIMPLE_TRY(put_float(c, call->factor));
  PUT(c, call->among_chosen, call->kind, call->groups, call->groups_used, call->block, call->admitted);
  return DIMPLE_OK;
}

static dimple_status put_experts(context *c, const experts_call *call) {
  DIMPLE_TRY(put_view(c, call->x));
  DIMPLE_TRY(put_view(c, call->chosen));
  DIMPLE_TRY(put_view(c, call->share));
  DIMPLE_TRY(put_view(c, call->y));
  DIMPLE_TRY(put_weight(c, call->gate));
  DIMPLE_TRY(put_weight(c, call->up));
  DIMPLE_TRY(put_weight(c, call->down));
  return put(c, call->mode);
}

/* How many units of classes there are shows in the graph, which tokens they have does not. */
static dimple_status put_plan(context *c, const class_plan *p) {
  DIMPLE_TRY(put_view(c, tokens_of_plan(p)));
  for (int64_t g = 0; p && g < CLASS_GROUPS; g++) DIMPLE_TRY(put(c, units_of_plan(p, g)));
  return DIMPLE_OK;
}

static dimple_status put_bias(context *c, const head_bias *b, int64_t rows) {
  if (b) PUT(c, b->forbidden_count, b->shift != 0, b->count, b->log_sums != NULL, own_width(b, rows));
  return put(c, b != NULL);
}

static dimple_status put_comparison(context *c, const head_call *call) {
  if (!call->comparison) return put(c, 0);
  DIMPLE_TRY(put_view(c, call->former));
  DIMPLE_TRY(put_view(c, call->former_bare));
  DIMPLE_TRY(put_bias(c, call->comparison->bias, call->x.rows));
  return put(c, 1);
}

/* Seed, iteration and positions go in as noise. */
static dimple_status put_head(context *c, const recorded *o) {
  const head_call *call = &o->head;
  bool among = call->list && call->list->among_classes;
  DIMPLE_TRY(put_plan(c, o->plan));
  DIMPLE_TRY(put_view(c, among ? classes_of_plan(o->plan) : (view){0}));
  DIMPLE_TRY(put_view(c, call->x));
  DIMPLE_TRY(put_view(c, call->bare));
  DIMPLE_TRY(put_float(c, call->guidance));
  DIMPLE_TRY(put_view(c, call->expected));
  DIMPLE_TRY(put_weight(c, call->w));
  DIMPLE_TRY(put_weight(c, call->rows));
  DIMPLE_TRY(put_float(c, call->temperature));
  DIMPLE_TRY(put_float(c, call->softcap));
  PUT(c, call->results != NULL, call->classes != NULL, call->logits != NULL, call->list ? call->list->count : 0,
      among ? count_classes(o->plan) : -1);
  DIMPLE_TRY(put_comparison(c, call));
  return put_bias(c, call->bias, call->x.rows);
}

static dimple_status put_operation(context *c, const recorded *o) {
  PUT(c, o->kind, o->index_count, o->kv_type);
  DIMPLE_TRY(put_float(c, o->epsilon));
  DIMPLE_TRY(put_float(c, o->factor));
  DIMPLE_TRY(put_view(c, o->x));
  DIMPLE_TRY(put_view(c, o->y));
  DIMPLE_TRY(put_weight(c, o->w));
  DIMPLE_TRY(put_weight(c, o->b));
  DIMPLE_TRY(put_host(c, o->index));
  DIMPLE_TRY(put_host(c, o->targets));
  DIMPLE_TRY(put_host(c, o->values));
  switch (o->kind) {
    case RECORDED_LINEAR: return put_linear(c, o);
    case RECORDED_ROTARY: return put_rotary(c, &o->rotary);
    case RECORDED_ADJUST: return put_adjust(c, &o->adjust);
    case RECORDED_ATTENTION: return put_attention(c, &o->attention);
    case RECORDED_ROUTE: return put_route(c, &o->route);
    case RECORDED_EXPERTS: return put_experts(c, &o->experts);
    case RECORDED_HEAD: return put_head(c, o);
    default: return DIMPLE_OK;
  }
}

dimple_status work_out_shape(context *c) {
  c->shape.count = c->buffer_count = 0;
  c->first_weight = UINT64_MAX;
  c->last_weight = 0;
  for (int64_t i = 0; i < c->operation_count; i++) DIMPLE_TRY(put_operation(c, &c->operations[i]));
  return DIMPLE_OK;
}
