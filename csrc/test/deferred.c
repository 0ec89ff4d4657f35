/*
 * The backend `deferred`: what a device does to its callers, without a device. Handles of buffers are numbers and no addresses; nothing
 * runs before the end of the pass, when `ref` runs what was recorded; what the host asked for is garbage until then. On top, it
 * checks what the seam promises (backend.h): views lie within living buffers, shapes fit, row numbers are rows, operations
 * come in passes. A promise that is broken fails with STATE and a message, and with it the test that ran the model code.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "error.h"
#include "platform/platform.h"
#include "quant/kv_rows.h"

extern const backend_operations backend_ref;

struct weight {
  weight *inner;
  int64_t rows, columns, matrices;
};

typedef struct recorded_buffer {
  buffer *inner; /* null: freed */
  int64_t count;
} recorded_buffer;

typedef struct operation operation;

/* An operation with everything it took from the host. Views are in terms of the handles. */
struct operation {
  dimple_status (*run)(const context *c, const operation *o);
  view x, y;
  const weight *w, *b;
  const int32_t *index; /* copied */
  float *host;          /* copied for copy_in, the caller's for copy_out */
  float epsilon, factor;
  const linear_output *outputs; /* copied */
  int32_t output_count;
  rotary_call rotary;
  adjust_call adjust;
  attention_call attention;
  int32_t kv_type;
  route_call route;
  experts_call experts;
  head_call head;
};

struct context {
  context *inner;
  bool recording;
  atomic_bool *cancelled;
  operation **operations;
  int64_t operation_count;
  void **copies; /* of host memory, freed with the pass */
  int64_t copy_count;
};

/* The buffers of all contexts: a pass may name any of them. */
static struct {
  atomic_flag busy;
  int64_t contexts;         /* that are open; with the last one all is forgotten */
  recorded_buffer *buffers; /* number n is handle n + 1; numbers are not used again */
  int64_t count;
} known = {.busy = ATOMIC_FLAG_INIT};

static void lock_buffers(void) {
  while (atomic_flag_test_and_set(&known.busy)) platform_yield();
}

static void unlock_buffers(void) { atomic_flag_clear(&known.busy); }

static bool deferred_available(void) { return true; }

/* -------------------------------------------------------------------------------------------------------------- weights */

static void deferred_weight_free(weight *w) {
  if (!w) return;
  backend_ref.weight_free(w->inner);
  free(w);
}

static dimple_status deferred_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out) {
  if (c->recording) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: tensor %s is uploaded inside a pass", source->name);
  weight *inner = NULL;
  DIMPLE_TRY(backend_ref.weight_upload(c->inner, source, use, &inner));
  weight *w = malloc(sizeof *w);
  if (!w) {
    backend_ref.weight_free(inner);
    return dimple_fail_memory(sizeof *w, source->name);
  }
  *w = (weight){inner, source->rows, source->columns, source->matrices};
  *out = w;
  return DIMPLE_OK;
}

static int64_t deferred_weight_bytes(const weight *w) { return backend_ref.weight_bytes(w->inner); }

static const weight *inner_weight(const weight *w) { return w ? w->inner : NULL; }

/* -------------------------------------------------------------------------------------------------- contexts and buffers */

static dimple_status deferred_context_open(const backend_operations *self, int32_t threads, context **out) {
  (void)self;
  context *c = calloc(1, sizeof *c);
  if (!c) return dimple_fail_memory(sizeof *c, "a context");
  dimple_status status = backend_ref.context_open(&backend_ref, threads, &c->inner);
  if (status != DIMPLE_OK) {
    free(c);
    return status;
  }
  lock_buffers();
  known.contexts++;
  unlock_buffers();
  *out = c;
  return DIMPLE_OK;
}

static void forget_pass(context *c) {
  for (int64_t i = 0; i < c->operation_count; i++) free(c->operations[i]);
  for (int64_t i = 0; i < c->copy_count; i++) free(c->copies[i]);
  free(c->operations);
  free(c->copies);
  c->operations = NULL;
  c->copies = NULL;
  c->operation_count = c->copy_count = 0;
  c->recording = false;
}

static void deferred_context_close(context *c) {
  if (!c) return;
  forget_pass(c);
  lock_buffers();
  if (--known.contexts == 0) {
    free(known.buffers);
    known.buffers = NULL;
    known.count = 0;
  }
  unlock_buffers();
  backend_ref.context_close(c->inner);
  free(c);
}

static int64_t deferred_context_bytes(const context *c) { return (int64_t)sizeof *c; }

/* What is known of a handle; inner null: no living buffer. */
static recorded_buffer buffer_of(const buffer *handle) {
  uintptr_t number = (uintptr_t)handle;
  recorded_buffer b = {0};
  lock_buffers();
  if (number >= 1 && number <= (uintptr_t)known.count) b = known.buffers[number - 1];
  unlock_buffers();
  return b;
}

/* Room for one more element in a growing array of pointers or buffers. */
static dimple_status grow(void **array, int64_t count, size_t size) {
  void *larger = realloc(*array, ((size_t)count + 1) * size);
  if (!larger) return dimple_fail_memory(((uint64_t)count + 1) * size, "a recorded pass");
  *array = larger;
  return DIMPLE_OK;
}

static dimple_status deferred_buffer_alloc(context *c, int64_t count, buffer **out) {
  recorded_buffer b = {.count = count};
  DIMPLE_TRY(backend_ref.buffer_alloc(c->inner, count, &b.inner));
  lock_buffers();
  dimple_status status = grow((void **)&known.buffers, known.count, sizeof *known.buffers);
  if (status == DIMPLE_OK) {
    known.buffers[known.count++] = b;
    *out = (buffer *)(uintptr_t)known.count;
  }
  unlock_buffers();
  if (status != DIMPLE_OK) backend_ref.buffer_free(c->inner, b.inner);
  return status;
}

/* A pass that names the buffer finds it gone when it runs. */
static void deferred_buffer_free(context *c, buffer *handle) {
  recorded_buffer b = buffer_of(handle);
  if (!b.inner) return;
  backend_ref.buffer_free(c->inner, b.inner);
  lock_buffers();
  known.buffers[(uintptr_t)handle - 1].inner = NULL;
  unlock_buffers();
}

/* --------------------------------------------------------------------------------------------------------------- checks */

static dimple_status check_view(const context *c, view v, const char *what) {
  (void)c;
  const recorded_buffer b = buffer_of(v.memory);
  if (!b.inner) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: %s names no living buffer", what);
  int64_t end = v.rows == 0 ? v.first : v.first + (v.rows - 1) * v.stride + v.columns;
  if (v.first < 0 || v.rows < 0 || v.columns < 1 || (v.rows > 1 && v.stride < v.columns) || end > b.count)
    return dimple_fail(DIMPLE_ERROR_STATE, "deferred: %s is [%" PRId64 " x %" PRId64 "] from %" PRId64 ", %" PRId64 " apart, in a buffer of %" PRId64,
                       what, v.rows, v.columns, v.first, v.stride, b.count);
  return DIMPLE_OK;
}

static dimple_status check_shape(const context *c, view v, int64_t rows, int64_t columns, const char *what) {
  DIMPLE_TRY(check_view(c, v, what));
  if (v.rows != rows || v.columns != columns)
    return dimple_fail(DIMPLE_ERROR_STATE, "deferred: %s is [%" PRId64 " x %" PRId64 "], expected [%" PRId64 " x %" PRId64 "]", what, v.rows, v.columns, rows, columns);
  return DIMPLE_OK;
}

static dimple_status check_numbers(const int32_t *numbers, int64_t count, int64_t from, int64_t limit, const char *what) {
  for (int64_t i = 0; i < count; i++)
    if (numbers[i] < from || numbers[i] >= limit)
      return dimple_fail(DIMPLE_ERROR_STATE, "deferred: %s %" PRId64 " is %d, expected %" PRId64 " .. %" PRId64, what, i, numbers[i], from, limit - 1);
  return DIMPLE_OK;
}

static bool overlap(view a, view b) {
  return a.memory == b.memory && a.rows > 0 && b.rows > 0 && a.first < b.first + (b.rows - 1) * b.stride + b.columns &&
         b.first < a.first + (a.rows - 1) * a.stride + a.columns;
}

static dimple_status check_apart(view y, view x, const char *what) {
  return overlap(y, x) ? dimple_fail(DIMPLE_ERROR_STATE, "deferred: %s writes over what it reads", what) : DIMPLE_OK;
}

/* A matrix by ref's handle; checked anew, since a buffer may have been freed since. */
static view resolve(const context *c, view v) {
  (void)c;
  v.memory = buffer_of(v.memory).inner;
  return v;
}

/* ------------------------------------------------------------------------------------------------------------ recording */

static dimple_status deferred_pass_begin(context *c, atomic_bool *cancelled) {
  if (c->recording) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: a pass begins inside another");
  c->recording = true;
  c->cancelled = cancelled;
  return DIMPLE_OK;
}

static dimple_status keep_copy(context *c, const void *host, size_t bytes, const void **out) {
  *out = NULL;
  if (!host) return DIMPLE_OK;
  DIMPLE_TRY(grow((void **)&c->copies, c->copy_count, sizeof *c->copies));
  void *copy = malloc(bytes ? bytes : 1);
  if (!copy) return dimple_fail_memory(bytes, "a recorded pass");
  memcpy(copy, host, bytes);
  *out = c->copies[c->copy_count++] = copy;
  return DIMPLE_OK;
}

static dimple_status keep_numbers(context *c, const int32_t **numbers, int64_t count) {
  const void *copy;
  DIMPLE_TRY(keep_copy(c, *numbers, (size_t)count * sizeof **numbers, &copy));
  *numbers = copy;
  return DIMPLE_OK;
}

static dimple_status add(context *c, operation o) {
  if (!c->recording) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: an operation outside a pass");
  DIMPLE_TRY(grow((void **)&c->operations, c->operation_count, sizeof *c->operations));
  operation *kept = malloc(sizeof *kept);
  if (!kept) return dimple_fail_memory(sizeof *kept, "a recorded operation");
  *kept = o;
  c->operations[c->operation_count++] = kept;
  return DIMPLE_OK;
}

static dimple_status run_pass(context *c) {
  dimple_status status = backend_ref.pass_begin(c->inner, c->cancelled);
  for (int64_t i = 0; i < c->operation_count && status == DIMPLE_OK; i++) status = c->operations[i]->run(c, c->operations[i]);
  return backend_ref.pass_end(c->inner, status);
}

static dimple_status deferred_pass_end(context *c, dimple_status recorded) {
  if (!c->recording) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: a pass ends that did not begin");
  dimple_status status = recorded == DIMPLE_OK ? run_pass(c) : recorded;
  forget_pass(c);
  return status;
}

/* ----------------------------------------------------------------------------------------------------------- operations */

static dimple_status run_checkpoint(const context *c, const operation *o) {
  (void)o;
  return backend_ref.checkpoint(c->inner);
}

static dimple_status deferred_checkpoint(context *c) { return add(c, (operation){.run = run_checkpoint}); }

static dimple_status run_copy_in(const context *c, const operation *o) {
  DIMPLE_TRY(check_view(c, o->y, "copy_in's target"));
  return backend_ref.copy_in(c->inner, resolve(c, o->y), o->host);
}

static dimple_status deferred_copy_in(context *c, view target, const float *host) {
  const void *copy;
  DIMPLE_TRY(check_view(c, target, "copy_in's target"));
  DIMPLE_TRY(keep_copy(c, host, (size_t)(target.rows * target.columns) * sizeof *host, &copy));
  return add(c, (operation){.run = run_copy_in, .y = target, .host = (float *)(uintptr_t)copy});
}

static dimple_status run_copy_out(const context *c, const operation *o) {
  DIMPLE_TRY(check_view(c, o->x, "copy_out's source"));
  return backend_ref.copy_out(c->inner, o->host, resolve(c, o->x));
}

static dimple_status deferred_copy_out(context *c, float *host, view source) {
  DIMPLE_TRY(check_view(c, source, "copy_out's source"));
  memset(host, 0xff, (size_t)(source.rows * source.columns) * sizeof *host);
  return add(c, (operation){.run = run_copy_out, .x = source, .host = host});
}

static dimple_status check_rows(const context *c, const operation *o) {
  DIMPLE_TRY(check_view(c, o->y, "y"));
  return o->x.memory ? check_view(c, o->x, "x") : DIMPLE_OK;
}

static dimple_status run_embed_rows(const context *c, const operation *o) {
  DIMPLE_TRY(check_rows(c, o));
  return backend_ref.embed_rows(c->inner, resolve(c, o->y), o->w->inner, o->index);
}

static dimple_status deferred_embed_rows(context *c, view y, const weight *w, const int32_t *ids) {
  DIMPLE_TRY(check_shape(c, y, y.rows, w->columns, "embed_rows' y"));
  DIMPLE_TRY(check_numbers(ids, y.rows, 0, w->rows, "token id"));
  DIMPLE_TRY(keep_numbers(c, &ids, y.rows));
  return add(c, (operation){.run = run_embed_rows, .y = y, .w = w, .index = ids});
}

static dimple_status run_gather_rows(const context *c, const operation *o) {
  DIMPLE_TRY(check_rows(c, o));
  return backend_ref.gather_rows(c->inner, resolve(c, o->y), resolve(c, o->x), o->index);
}

static dimple_status deferred_gather_rows(context *c, view y, view x, const int32_t *index) {
  DIMPLE_TRY(check_view(c, x, "gather_rows' x"));
  DIMPLE_TRY(check_shape(c, y, y.rows, x.columns, "gather_rows' y"));
  DIMPLE_TRY(check_numbers(index, y.rows, 0, x.rows, "row"));
  DIMPLE_TRY(check_apart(y, x, "gather_rows"));
  DIMPLE_TRY(keep_numbers(c, &index, y.rows));
  return add(c, (operation){.run = run_gather_rows, .y = y, .x = x, .index = index});
}

static dimple_status run_scatter_rows(const context *c, const operation *o) {
  DIMPLE_TRY(check_rows(c, o));
  return backend_ref.scatter_rows(c->inner, resolve(c, o->y), resolve(c, o->x), o->index);
}

static dimple_status deferred_scatter_rows(context *c, view y, view x, const int32_t *index) {
  DIMPLE_TRY(check_view(c, x, "scatter_rows' x"));
  DIMPLE_TRY(check_shape(c, y, y.rows, x.columns, "scatter_rows' y"));
  DIMPLE_TRY(check_numbers(index, x.rows, 0, y.rows, "row"));
  DIMPLE_TRY(check_apart(y, x, "scatter_rows"));
  DIMPLE_TRY(keep_numbers(c, &index, x.rows));
  return add(c, (operation){.run = run_scatter_rows, .y = y, .x = x, .index = index});
}

static dimple_status run_add_rows(const context *c, const operation *o) {
  return backend_ref.add_rows(c->inner, resolve(c, o->y), o->x.memory ? resolve(c, o->x) : o->x, o->factor);
}

static dimple_status deferred_add_rows(context *c, view y, view x, float factor) {
  DIMPLE_TRY(check_view(c, y, "add_rows' y"));
  if (x.memory) {
    DIMPLE_TRY(check_shape(c, x, y.rows, y.columns, "add_rows' x"));
    DIMPLE_TRY(check_apart(y, x, "add_rows"));
  }
  return add(c, (operation){.run = run_add_rows, .y = y, .x = x, .factor = factor});
}

static dimple_status run_rms_norm(const context *c, const operation *o) {
  DIMPLE_TRY(check_rows(c, o));
  return backend_ref.rms_norm(c->inner, resolve(c, o->y), resolve(c, o->x), inner_weight(o->w), o->epsilon);
}

static dimple_status run_layer_norm(const context *c, const operation *o) {
  DIMPLE_TRY(check_rows(c, o));
  return backend_ref.layer_norm(c->inner, resolve(c, o->y), resolve(c, o->x), inner_weight(o->w), inner_weight(o->b), o->epsilon);
}

static dimple_status run_pack_kv(const context *c, const operation *o) {
  return backend_ref.pack_kv(c->inner, resolve(c, o->y), resolve(c, o->x), o->kv_type);
}

static dimple_status deferred_pack_kv(context *c, view packed, view x, int32_t kv_type) {
  DIMPLE_TRY(check_shape(c, packed, x.rows, kv_row_elements(kv_type, x.columns), "pack_kv's packed rows"));
  DIMPLE_TRY(check_apart(packed, x, "pack_kv"));
  return add(c, (operation){.run = run_pack_kv, .y = packed, .x = x, .kv_type = kv_type});
}

static dimple_status deferred_layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon) {
  DIMPLE_TRY(check_shape(c, x, x.rows, w->columns, "layer_norm's x"));
  DIMPLE_TRY(check_shape(c, y, x.rows, b->columns, "layer_norm's y"));
  if (y.memory != x.memory || y.first != x.first || y.stride != x.stride) DIMPLE_TRY(check_apart(y, x, "layer_norm"));
  return add(c, (operation){.run = run_layer_norm, .y = y, .x = x, .w = w, .b = b, .epsilon = epsilon});
}

static dimple_status deferred_rms_norm(context *c, view y, view x, const weight *w, float epsilon) {
  DIMPLE_TRY(check_shape(c, x, x.rows, w ? w->columns : x.columns, "rms_norm's x"));
  DIMPLE_TRY(check_shape(c, y, x.rows, x.columns, "rms_norm's y"));
  if (y.memory != x.memory || y.first != x.first || y.stride != x.stride) DIMPLE_TRY(check_apart(y, x, "rms_norm"));
  return add(c, (operation){.run = run_rms_norm, .y = y, .x = x, .w = w, .epsilon = epsilon});
}

static dimple_status run_adjust(const context *c, const operation *o) {
  adjust_call call = o->adjust;
  DIMPLE_TRY(check_view(c, call.x, "adjust's x"));
  DIMPLE_TRY(check_view(c, call.y, "adjust's y"));
  if (call.gate.memory) DIMPLE_TRY(check_view(c, call.gate, "adjust's gate"));
  call = (adjust_call){resolve(c, call.x), resolve(c, call.y), call.gate.memory ? resolve(c, call.gate) : call.gate, inner_weight(call.minus),
                       inner_weight(call.times), inner_weight(call.low), inner_weight(call.high)};
  return backend_ref.adjust(c->inner, &call);
}

static dimple_status check_same_or_apart(view y, view x, const char *what) {
  return y.memory == x.memory && y.first == x.first && y.stride == x.stride ? DIMPLE_OK : check_apart(y, x, what);
}

static dimple_status deferred_adjust(context *c, const adjust_call *call) {
  DIMPLE_TRY(check_shape(c, call->x, call->x.rows, call->minus ? call->minus->columns : call->x.columns, "adjust's x"));
  DIMPLE_TRY(check_shape(c, call->x, call->x.rows, call->times ? call->times->columns : call->x.columns, "adjust's x"));
  DIMPLE_TRY(check_shape(c, call->y, call->x.rows, call->x.columns, "adjust's y"));
  DIMPLE_TRY(check_same_or_apart(call->y, call->x, "adjust"));
  if (call->gate.memory) {
    DIMPLE_TRY(check_shape(c, call->gate, call->x.rows, call->x.columns, "adjust's gate"));
    DIMPLE_TRY(check_same_or_apart(call->y, call->gate, "adjust"));
  }
  return add(c, (operation){.run = run_adjust, .adjust = *call});
}

static dimple_status run_linear(const context *c, const operation *o) {
  linear_output *outputs = malloc((size_t)o->output_count * sizeof *outputs);
  if (!outputs) return dimple_fail_memory((uint64_t)o->output_count * sizeof *outputs, "outputs");
  dimple_status status = check_view(c, o->x, "linear's x");
  for (int32_t i = 0; i < o->output_count && status == DIMPLE_OK; i++) {
    const linear_output *out = &o->outputs[i];
    status = check_view(c, out->y, "linear's y");
    outputs[i] = (linear_output){inner_weight(out->w), inner_weight(out->bias), inner_weight(out->up), inner_weight(out->up_bias), resolve(c, out->y), out->mode};
  }
  if (status == DIMPLE_OK) status = backend_ref.linear(c->inner, &(linear_call){resolve(c, o->x), outputs, o->output_count});
  free(outputs);
  return status;
}

static dimple_status deferred_linear(context *c, const linear_call *call) {
  const void *outputs;
  for (int32_t i = 0; i < call->output_count; i++) {
    const linear_output *out = &call->outputs[i];
    DIMPLE_TRY(check_shape(c, call->x, call->x.rows, out->w->columns, "linear's x"));
    DIMPLE_TRY(check_shape(c, out->y, call->x.rows, out->w->rows, "linear's y"));
    DIMPLE_TRY(check_apart(out->y, call->x, "linear"));
  }
  DIMPLE_TRY(keep_copy(c, call->outputs, (size_t)call->output_count * sizeof *call->outputs, &outputs));
  return add(c, (operation){.run = run_linear, .x = call->x, .outputs = outputs, .output_count = call->output_count});
}

static dimple_status run_rotary(const context *c, const operation *o) {
  rotary_call call = o->rotary;
  DIMPLE_TRY(check_view(c, call.x, "rotary's x"));
  DIMPLE_TRY(check_view(c, call.cosine, "rotary's cosines"));
  DIMPLE_TRY(check_view(c, call.sine, "rotary's sines"));
  call.x = resolve(c, call.x);
  call.cosine = resolve(c, call.cosine);
  call.sine = resolve(c, call.sine);
  return backend_ref.rotary(c->inner, &call);
}

static dimple_status deferred_rotary(context *c, const rotary_call *call) {
  operation o = {.run = run_rotary, .rotary = *call};
  int64_t angles = call->cosine.rows;
  DIMPLE_TRY(check_shape(c, call->x, call->x.rows, (int64_t)call->heads * rotary_stride(call), "rotary's x"));
  DIMPLE_TRY(check_shape(c, call->cosine, angles, call->size / 2, "rotary's cosines"));
  DIMPLE_TRY(check_shape(c, call->sine, angles, call->size / 2, "rotary's sines"));
  if (call->angle_rows)
    DIMPLE_TRY(check_numbers(call->angle_rows, call->x.rows, 0, angles, "row of angles"));
  else if (angles < call->x.rows)
    return dimple_fail(DIMPLE_ERROR_STATE, "deferred: rotary turns %" PRId64 " rows by %" PRId64 " rows of angles", call->x.rows, angles);
  DIMPLE_TRY(keep_numbers(c, &o.rotary.angle_rows, call->x.rows));
  return add(c, o);
}

static dimple_status run_attention(const context *c, const operation *o) {
  attention_call call = o->attention;
  view *views[] = {&call.q, &call.k, &call.v, &call.y};
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    DIMPLE_TRY(check_view(c, *views[i], "attention's operand"));
    *views[i] = resolve(c, *views[i]);
  }
  return backend_ref.attention(c->inner, &call);
}

static dimple_status check_spans(const attention_call *call) {
  if (!call->spans) return DIMPLE_OK;
  bool good = call->spans[0] == 0 && call->spans[call->span_count] == call->q.rows && call->q.rows == call->k.rows;
  for (int32_t i = 0; i < call->span_count; i++) good &= call->spans[i] <= call->spans[i + 1];
  return good ? DIMPLE_OK : dimple_fail(DIMPLE_ERROR_STATE, "deferred: attention's %d spans do not cut its rows", call->span_count);
}

static dimple_status deferred_attention(context *c, const attention_call *call) {
  operation o = {.run = run_attention, .attention = *call};
  int64_t queries = call->q.rows, keys = call->k.rows, kv_elements = kv_row_elements(call->kv_type, (int64_t)call->kv_heads * call->size);
  DIMPLE_TRY(check_shape(c, call->q, queries, (int64_t)call->heads * call->size, "attention's q"));
  DIMPLE_TRY(check_shape(c, call->y, queries, call->q.columns, "attention's y"));
  DIMPLE_TRY(check_shape(c, call->k, keys, kv_elements, "attention's k"));
  DIMPLE_TRY(check_shape(c, call->v, keys, call->k.columns, "attention's v"));
  DIMPLE_TRY(check_spans(call));
  if (call->first_key) DIMPLE_TRY(check_numbers(call->first_key, queries, 0, keys, "first key"));
  if (call->last_key) DIMPLE_TRY(check_numbers(call->last_key, queries, 0, keys, "last key"));
  if (call->skip_key) DIMPLE_TRY(check_numbers(call->skip_key, queries, -1, keys, "skipped key"));
  DIMPLE_TRY(keep_numbers(c, &o.attention.spans, call->span_count + 1));
  DIMPLE_TRY(keep_numbers(c, &o.attention.first_key, queries));
  DIMPLE_TRY(keep_numbers(c, &o.attention.last_key, queries));
  DIMPLE_TRY(keep_numbers(c, &o.attention.skip_key, queries));
  return add(c, o);
}

static dimple_status run_route(const context *c, const operation *o) {
  DIMPLE_TRY(check_view(c, o->route.scores, "route's scores"));
  DIMPLE_TRY(check_view(c, o->route.chosen, "route's choice"));
  DIMPLE_TRY(check_view(c, o->route.share, "route's shares"));
  route_call call = o->route;
  call.scores = resolve(c, call.scores);
  call.chosen = resolve(c, call.chosen);
  call.share = resolve(c, call.share);
  call.scale = inner_weight(call.scale);
  call.bias = inner_weight(call.bias);
  return backend_ref.route(c->inner, &call);
}

static dimple_status deferred_route(context *c, const route_call *call) {
  DIMPLE_TRY(check_view(c, call->scores, "route's scores"));
  DIMPLE_TRY(check_shape(c, call->chosen, call->scores.rows, call->share.columns, "route's choice"));
  DIMPLE_TRY(check_shape(c, call->share, call->scores.rows, call->chosen.columns, "route's shares"));
  return add(c, (operation){.run = run_route, .route = *call});
}

static dimple_status run_experts(const context *c, const operation *o) {
  experts_call call = o->experts;
  view *views[] = {&call.x, &call.chosen, &call.share, &call.y};
  for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
    DIMPLE_TRY(check_view(c, *views[i], "an operand of experts"));
    *views[i] = resolve(c, *views[i]);
  }
  call.gate = inner_weight(call.gate);
  call.up = inner_weight(call.up);
  call.down = inner_weight(call.down);
  return backend_ref.experts(c->inner, &call);
}

static dimple_status deferred_experts(context *c, const experts_call *call) {
  int64_t rows = call->x.rows, used = call->chosen.columns;
  DIMPLE_TRY(check_shape(c, call->x, rows, call->gate->columns, "experts' x"));
  DIMPLE_TRY(check_shape(c, call->chosen, rows, used, "experts' choice"));
  DIMPLE_TRY(check_shape(c, call->share, rows, used, "experts' shares"));
  DIMPLE_TRY(check_shape(c, call->y, rows, call->down->rows, "experts' y"));
  DIMPLE_TRY(check_apart(call->y, call->x, "experts"));
  int64_t gates = call->up ? call->down->matrices : 2 * call->down->matrices;
  if (call->down->matrices < 1 || call->gate->matrices != gates || (call->up && call->up->matrices != gates))
    return dimple_fail(DIMPLE_ERROR_STATE, "deferred: the experts' weights are no banks of the same size");
  return add(c, (operation){.run = run_experts, .experts = *call});
}

static dimple_status run_head(const context *c, const operation *o) {
  head_call call = o->head;
  DIMPLE_TRY(check_view(c, call.x, "head's x"));
  call.x = resolve(c, call.x);
  call.w = inner_weight(call.w);
  call.rows = inner_weight(call.rows);
  if (call.bare.memory) {
    DIMPLE_TRY(check_view(c, call.bare, "head's bare x"));
    call.bare = resolve(c, call.bare);
  }
  if (call.comparison) {
    DIMPLE_TRY(check_view(c, call.former, "head's former x"));
    call.former = resolve(c, call.former);
  }
  if (call.comparison && call.former_bare.memory) {
    DIMPLE_TRY(check_view(c, call.former_bare, "head's former bare x"));
    call.former_bare = resolve(c, call.former_bare);
  }
  if (call.expected.memory) {
    DIMPLE_TRY(check_view(c, call.expected, "head's mean"));
    call.expected = resolve(c, call.expected);
  }
  return backend_ref.head(c->inner, &call);
}

static dimple_status deferred_head(context *c, const head_call *call) {
  operation o = {.run = run_head, .head = *call};
  DIMPLE_TRY(check_shape(c, call->x, call->x.rows, call->w->columns, "head's x"));
  if (call->bare.memory) DIMPLE_TRY(check_shape(c, call->bare, call->x.rows, call->w->columns, "head's bare x"));
  if (call->comparison) DIMPLE_TRY(check_shape(c, call->former, call->x.rows, call->w->columns, "head's former x"));
  if (call->comparison && call->bare.memory) DIMPLE_TRY(check_shape(c, call->former_bare, call->x.rows, call->w->columns, "head's former bare x"));
  if (call->comparison && !call->results) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: a comparison without results");
  if (call->expected.memory) {
    DIMPLE_TRY(check_shape(c, call->expected, call->x.rows, call->rows->columns, "head's mean"));
    DIMPLE_TRY(check_apart(call->expected, call->x, "head"));
  }
  if (call->temperature > 0 && !call->positions) return dimple_fail(DIMPLE_ERROR_STATE, "deferred: a draw without positions");
  DIMPLE_TRY(keep_numbers(c, &o.head.positions, call->x.rows));
  if (call->results) memset(call->results, 0xff, (size_t)call->x.rows * sizeof *call->results);
  if (call->logits) memset(call->logits, 0xff, (size_t)(call->x.rows * call->w->rows) * sizeof *call->logits);
  if (call->classes) memset(call->classes->results, 0xff, (size_t)(call->x.rows * call->classes->partition->classes) * sizeof(head_row));
  if (call->list) memset(call->list->tokens, 0xff, (size_t)(call->x.rows * call->list->count) * sizeof *call->list->tokens);
  if (call->bias && call->bias->log_sums) memset(call->bias->log_sums, 0xff, (size_t)call->x.rows * sizeof *call->bias->log_sums);
  if (call->comparison) memset(call->comparison->divergences, 0xff, (size_t)call->x.rows * sizeof *call->comparison->divergences);
  return add(c, o);
}

extern const backend_operations backend_deferred;

const backend_operations backend_deferred = {
    .name = "deferred",
    .head_parts = HEAD_LISTS | HEAD_BIASES | HEAD_GUIDANCE | HEAD_COMPARISONS,
    .available = deferred_available,
    .weight_upload = deferred_weight_upload,
    .weight_free = deferred_weight_free,
    .weight_bytes = deferred_weight_bytes,
    .context_open = deferred_context_open,
    .context_close = deferred_context_close,
    .context_bytes = deferred_context_bytes,
    .buffer_alloc = deferred_buffer_alloc,
    .buffer_free = deferred_buffer_free,
    .pass_begin = deferred_pass_begin,
    .pass_end = deferred_pass_end,
    .checkpoint = deferred_checkpoint,
    .copy_in = deferred_copy_in,
    .copy_out = deferred_copy_out,
    .embed_rows = deferred_embed_rows,
    .gather_rows = deferred_gather_rows,
    .scatter_rows = deferred_scatter_rows,
    .pack_kv = deferred_pack_kv,
    .add_rows = deferred_add_rows,
    .adjust = deferred_adjust,
    .rms_norm = deferred_rms_norm,
    .layer_norm = deferred_layer_norm,
    .linear = deferred_linear,
    .rotary = deferred_rotary,
    .attention = deferred_attention,
    .route = deferred_route,
    .experts = deferred_experts,
    .head = deferred_head,
};
