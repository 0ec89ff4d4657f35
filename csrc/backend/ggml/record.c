/* Recording: what an operation names is kept, what it takes from the host is copied. */
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "room.h"

/* ---------------------------------------------------------------------------------------------------------------- arena */

void *arena_take(arena *a, size_t bytes) {
  void **blocks = realloc(a->blocks, ((size_t)a->count + 1) * sizeof *blocks);
  if (!blocks) return NULL;
  a->blocks = blocks;
  void *block = malloc(bytes ? bytes : 1);
  if (block) a->blocks[a->count++] = block;
  return block;
}

void arena_release(arena *a) {
  for (int64_t i = 0; i < a->count; i++) free(a->blocks[i]);
  free(a->blocks);
  *a = (arena){0};
}

dimple_status grow(void **array, int64_t count, int64_t *room, size_t size) {
  if (count < *room) return DIMPLE_OK;
  int64_t more = *room ? 2 * *room : 64;
  void *larger = realloc(*array, (size_t)more * size);
  if (!larger) return dimple_fail_memory((uint64_t)more * size, "a recorded pass");
  *array = larger;
  *room = more;
  return DIMPLE_OK;
}

/* Equal contents become one copy, which crosses the bus once; a graph's shape has which ones are the same. */
static dimple_status keep(context *c, const void *host, size_t bytes, const void **out) {
  *out = NULL;
  if (!host) return DIMPLE_OK;
  for (int64_t i = c->kept_count - 1; i >= 0; i--) {
    const kept_copy *known = &c->kept[i];
    if (known->bytes != bytes || memcmp(known->copy, host, bytes) != 0) continue;
    *out = known->copy;
    return DIMPLE_OK;
  }
  DIMPLE_TRY(grow((void **)&c->kept, c->kept_count, &c->kept_room, sizeof *c->kept));
  void *copy = arena_take(&c->copies, bytes);
  if (!copy) return dimple_fail_memory(bytes, "a recorded pass");
  memcpy(copy, host, bytes);
  c->kept[c->kept_count++] = (kept_copy){copy, bytes};
  *out = copy;
  return DIMPLE_OK;
}

static dimple_status keep_numbers(context *c, const int32_t **numbers, int64_t count) {
  const void *copy;
  DIMPLE_TRY(keep(c, *numbers, (size_t)count * sizeof **numbers, &copy));
  *numbers = copy;
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------- passes */

static dimple_status add(context *c, recorded operation) {
  DIMPLE_TRY(grow((void **)&c->operations, c->operation_count, &c->operation_room, sizeof *c->operations));
  c->operations[c->operation_count++] = operation;
  return DIMPLE_OK;
}

static dimple_status pass_begin(context *c, atomic_bool *cancelled) {
  c->recording = true;
  c->cancelled = cancelled;
  c->operation_count = c->kept_count = 0;
  forget_class_plans(c);
  return DIMPLE_OK;
}

static dimple_status pass_end(context *c, dimple_status recorded_status) {
  dimple_status status = recorded_status;
  if (status == DIMPLE_OK && c->operation_count > 0) status = run_recorded(c);
  c->recording = false;
  c->cancelled = NULL;
  c->operation_count = c->kept_count = 0;
  arena_release(&c->copies);
  return status;
}

/* A device stops between passes; GGML's CPU also within one (device.c). */
static dimple_status checkpoint(context *c) { return check_cancelled(c->cancelled); }

/* ----------------------------------------------------------------------------------------------------------- operations */

static dimple_status copy_in(context *c, view target, const float *host) {
  const void *copy;
  DIMPLE_TRY(keep(c, host, (size_t)(target.rows * target.columns) * sizeof *host, &copy));
  return add(c, (recorded){.kind = RECORDED_COPY_IN, .y = target, .values = copy});
}

static dimple_status copy_out(context *c, float *host, view source) {
  return add(c, (recorded){.kind = RECORDED_COPY_OUT, .x = source, .target = host});
}

static dimple_status embed_rows(context *c, view y, const weight *w, const int32_t *ids) {
  DIMPLE_TRY(keep_numbers(c, &ids, y.rows));
  return add(c, (recorded){.kind = RECORDED_EMBED_ROWS, .y = y, .w = w, .index = ids, .index_count = y.rows});
}

static dimple_status gather_rows(context *c, view y, view x, const int32_t *index) {
  DIMPLE_TRY(keep_numbers(c, &index, y.rows));
  return add(c, (recorded){.kind = RECORDED_GATHER_ROWS, .y = y, .x = x, .index = index, .index_count = y.rows});
}

/* GGML leaves open which of equal indices wins: only the last of each goes on. */
static dimple_status scatter_rows(context *c, view y, view x, const int32_t *index) {
  int64_t count = 0, rows = x.rows;
  int32_t *from = arena_take(&c->copies, (size_t)rows * sizeof *from);
  int64_t *to = arena_take(&c->copies, (size_t)rows * sizeof *to);
  if (!from || !to) return dimple_fail_memory((uint64_t)rows * sizeof *to, "row numbers");
  for (int64_t i = 0; i < rows; i++) {
    bool last = true;
    for (int64_t j = i + 1; last && j < rows; j++) last = index[j] != index[i];
    if (!last) continue;
    from[count] = (int32_t)i;
    to[count++] = index[i];
  }
  recorded o = {.kind = RECORDED_SCATTER_ROWS, .y = y, .x = x, .index_count = count};
  const void *targets;
  DIMPLE_TRY(keep(c, to, (size_t)count * sizeof *to, &targets));
  o.targets = targets;
  if (count < rows) {
    o.index = from;
    DIMPLE_TRY(keep_numbers(c, &o.index, count));
  }
  return add(c, o);
}

static dimple_status pack_kv(context *c, view packed, view x, int32_t kv_type) {
  return add(c, (recorded){.kind = RECORDED_PACK_KV, .y = packed, .x = x, .kv_type = kv_type});
}

static dimple_status add_rows(context *c, view y, view x, float factor) {
  return add(c, (recorded){.kind = RECORDED_ADD_ROWS, .y = y, .x = x, .factor = factor});
}

static dimple_status adjust(context *c, const adjust_call *call) { return add(c, (recorded){.kind = RECORDED_ADJUST, .adjust = *call}); }

static dimple_status rms_norm(context *c, view y, view x, const weight *w, float epsilon) {
  return add(c, (recorded){.kind = RECORDED_RMS_NORM, .y = y, .x = x, .w = w, .epsilon = epsilon});
}

static dimple_status layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon) {
  return add(c, (recorded){.kind = RECORDED_LAYER_NORM, .y = y, .x = x, .w = w, .b = b, .epsilon = epsilon});
}

static dimple_status linear(context *c, const linear_call *call) {
  const void *outputs;
  DIMPLE_TRY(keep(c, call->outputs, (size_t)call->output_count * sizeof *call->outputs, &outputs));
  return add(c, (recorded){.kind = RECORDED_LINEAR, .x = call->x, .outputs = outputs, .output_count = call->output_count});
}

static dimple_status rotary(context *c, const rotary_call *call) {
  rotary_call kept = *call;
  DIMPLE_TRY(keep_numbers(c, &kept.angle_rows, call->x.rows));
  return add(c, (recorded){.kind = RECORDED_ROTARY, .rotary = kept});
}

static dimple_status attention(context *c, const attention_call *call) {
  attention_call kept = *call;
  DIMPLE_TRY(keep_numbers(c, &kept.spans, call->span_count + 1));
  DIMPLE_TRY(keep_numbers(c, &kept.first_key, call->q.rows));
  DIMPLE_TRY(keep_numbers(c, &kept.last_key, call->q.rows));
  DIMPLE_TRY(keep_numbers(c, &kept.skip_key, call->q.rows));
  return add(c, (recorded){.kind = RECORDED_ATTENTION, .attention = kept});
}

static dimple_status route(context *c, const route_call *call) { return add(c, (recorded){.kind = RECORDED_ROUTE, .route = *call}); }

static dimple_status experts(context *c, const experts_call *call) { return add(c, (recorded){.kind = RECORDED_EXPERTS, .experts = *call}); }

static dimple_status head(context *c, const head_call *call) {
  recorded o = {.kind = RECORDED_HEAD, .head = *call};
  DIMPLE_TRY(keep_numbers(c, &o.head.positions, call->x.rows));
  if (call->classes) DIMPLE_TRY(plan_classes(c, call, &o.plan));
  return add(c, o);
}

void record_operations(backend_operations *table) {
  table->pass_begin = pass_begin;
  table->pass_end = pass_end;
  table->checkpoint = checkpoint;
  table->copy_in = copy_in;
  table->copy_out = copy_out;
  table->embed_rows = embed_rows;
  table->gather_rows = gather_rows;
  table->scatter_rows = scatter_rows;
  table->pack_kv = pack_kv;
  table->add_rows = add_rows;
  table->adjust = adjust;
  table->rms_norm = rms_norm;
  table->layer_norm = layer_norm;
  table->linear = linear;
  table->rotary = rotary;
  table->attention = attention;
  table->route = route;
  table->experts = experts;
  table->head = head;
}
