/* A recorded pass as one graph of GGML: built, given its inputs, run once, its outputs read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "room.h"

/* -------------------------------------------------------------------------------------------------------------- buffers */

/* The whole of a buffer; one tensor per graph, so that GGML sees which nodes touch the same memory. */
static struct ggml_tensor *base_of(context *c, buffer *b) {
  if (b->graph == c->serial) return b->base;
  b->graph = c->serial;
  b->base = ggml_new_tensor_1d(c->nodes, GGML_TYPE_F32, b->count);
  ggml_backend_tensor_alloc(b->memory, b->base, ggml_backend_buffer_get_base(b->memory));
  return b->base;
}

static struct ggml_tensor *view_4d(context *c, view v, const int64_t extent[4], const int64_t stride[4], enum ggml_type type) {
  struct ggml_tensor *base = base_of(c, v.memory);
  struct ggml_tensor *t = ggml_view_4d(c->nodes, base, extent[0], extent[1], extent[2], extent[3], (size_t)stride[1] * sizeof(float),
                                       (size_t)stride[2] * sizeof(float), (size_t)stride[3] * sizeof(float), (size_t)v.first * sizeof(float));
  if (type == GGML_TYPE_F32) return t;
  t->type = type; /* the same bytes read as something else; halves are two to an element */
  if (type == GGML_TYPE_F16) {
    t->ne[0] *= 2;
    t->nb[0] = sizeof(ggml_fp16_t);
  }
  return t;
}

static struct ggml_tensor *typed_matrix(context *c, view v, enum ggml_type type) {
  int64_t stride = v.rows > 1 ? v.stride : v.columns;
  int64_t all = stride * v.rows;
  return view_4d(c, v, (int64_t[4]){v.columns, v.rows, 1, 1}, (int64_t[4]){1, stride, all, all}, type);
}

struct ggml_tensor *matrix_of(context *c, view v) { return typed_matrix(c, v, GGML_TYPE_F32); }

struct ggml_tensor *numbers_of(context *c, view v) { return typed_matrix(c, v, GGML_TYPE_I32); }

struct ggml_tensor *heads_of(context *c, view v, int64_t heads, int64_t size, int64_t windows) {
  int64_t rows = v.rows / windows;
  struct ggml_tensor *t = view_4d(c, v, (int64_t[4]){size, heads, rows, windows}, (int64_t[4]){1, size, v.stride, v.stride * rows}, GGML_TYPE_F32);
  return ggml_permute(c->nodes, t, 0, 2, 1, 3);
}

/* ---------------------------------------------------------------------------------------------------------------- nodes */

bool runs_here(const context *c, const struct ggml_tensor *node) { return ggml_backend_dev_supports_op(c->device->handle, node); }

static dimple_status refuse(const context *c, const struct ggml_tensor *node) {
  const struct ggml_tensor *a = node->src[0], *b = node->src[1];
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s cannot run %s to %s from %s and %s", c->device->name, ggml_op_desc(node), ggml_type_name(node->type),
                     a ? ggml_type_name(a->type) : "nothing", b ? ggml_type_name(b->type) : "nothing");
}

dimple_status expand(context *c, struct ggml_tensor *node) {
  int first = ggml_graph_n_nodes(c->graph);
  ggml_build_forward_expand(c->graph, node);
  for (int i = first; i < ggml_graph_n_nodes(c->graph); i++)
    if (!runs_here(c, ggml_graph_node(c->graph, i))) return refuse(c, ggml_graph_node(c->graph, i));
  return DIMPLE_OK;
}

dimple_status write_view(context *c, view v, struct ggml_tensor *value) { return expand(c, ggml_cpy(c->nodes, value, matrix_of(c, v))); }

static dimple_status grow(void **array, int64_t count, int64_t *room, size_t size) {
  if (count < *room) return DIMPLE_OK;
  int64_t more = *room ? 2 * *room : 64;
  void *larger = realloc(*array, (size_t)more * size);
  if (!larger) return dimple_fail_memory((uint64_t)more * size, "a recorded pass");
  *array = larger;
  *room = more;
  return DIMPLE_OK;
}

dimple_status input_of(context *c, enum ggml_type type, int64_t columns, int64_t rows, const void *data, struct ggml_tensor **out) {
  size_t bytes = ggml_row_size(type, columns) * (size_t)rows;
  for (int64_t i = c->input_count - 1; i >= 0; i--) {
    const graph_input *known = &c->inputs[i];
    if (known->bytes != bytes || known->tensor->type != type || known->tensor->ne[0] != columns || memcmp(known->data, data, bytes) != 0) continue;
    *out = known->tensor;
    return DIMPLE_OK;
  }
  DIMPLE_TRY(grow((void **)&c->inputs, c->input_count, &c->input_room, sizeof *c->inputs));
  *out = ggml_new_tensor_2d(c->nodes, type, columns, rows);
  ggml_set_input(*out);
  c->inputs[c->input_count++] = (graph_input){*out, data, bytes};
  return DIMPLE_OK;
}

dimple_status output_to(context *c, struct ggml_tensor *node, void *data, size_t bytes) {
  DIMPLE_TRY(grow((void **)&c->outputs, c->output_count, &c->output_room, sizeof *c->outputs));
  ggml_set_output(node);
  DIMPLE_TRY(expand(c, node));
  c->outputs[c->output_count++] = (graph_output){node, data, bytes};
  return DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------------- operations */

static dimple_status build_copy_in(context *c, const recorded *o) {
  struct ggml_tensor *host;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, o->y.columns, o->y.rows, o->values, &host));
  return write_view(c, o->y, host);
}

static dimple_status build_copy_out(context *c, const recorded *o) {
  struct ggml_tensor *copy = ggml_cont(c->nodes, matrix_of(c, o->x));
  return output_to(c, copy, o->target, (size_t)(o->x.rows * o->x.columns) * sizeof(float));
}

/* Rows that the device cannot look up, decoded here. */
static dimple_status decode_rows(context *c, const recorded *o) {
  const weight *w = o->w;
  const struct ggml_type_traits *traits = ggml_get_type_traits((enum ggml_type)w->type);
  size_t row_bytes = ggml_row_size((enum ggml_type)w->type, w->columns), bytes = (size_t)(o->y.rows * w->columns) * sizeof(float);
  float *rows = arena_take(&c->copies, bytes);
  if (!rows) return dimple_fail_memory(bytes, "embedded rows");
  for (int64_t i = 0; i < o->y.rows; i++) traits->to_float(w->host + (size_t)o->index[i] * row_bytes, rows + i * w->columns, w->columns);
  struct ggml_tensor *host;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, w->columns, o->y.rows, rows, &host));
  return write_view(c, o->y, host);
}

static dimple_status build_embed_rows(context *c, const recorded *o) {
  if (!o->w->tensor) return decode_rows(c, o);
  struct ggml_tensor *ids;
  DIMPLE_TRY(input_of(c, GGML_TYPE_I32, o->y.rows, 1, o->index, &ids));
  struct ggml_tensor *table = ggml_reshape_2d(c->nodes, o->w->tensor, o->w->columns, o->w->rows);
  return write_view(c, o->y, ggml_get_rows(c->nodes, table, ids));
}

static dimple_status build_gather_rows(context *c, const recorded *o) {
  if (o->y.rows == 0) return DIMPLE_OK;
  struct ggml_tensor *index;
  DIMPLE_TRY(input_of(c, GGML_TYPE_I32, o->index_count, 1, o->index, &index));
  return write_view(c, o->y, ggml_get_rows(c->nodes, matrix_of(c, o->x), index));
}

/* GGML leaves open which of equal indices wins: only the last of each goes on. */
static dimple_status build_scatter_rows(context *c, const recorded *o) {
  int64_t count = 0, rows = o->index_count;
  if (rows == 0) return DIMPLE_OK;
  int32_t *from = arena_take(&c->copies, (size_t)rows * sizeof *from);
  int64_t *to = arena_take(&c->copies, (size_t)rows * sizeof *to);
  if (!from || !to) return dimple_fail_memory((uint64_t)rows * sizeof *to, "row numbers");
  for (int64_t i = 0; i < rows; i++) {
    bool last = true;
    for (int64_t j = i + 1; last && j < rows; j++) last = o->index[j] != o->index[i];
    if (!last) continue;
    from[count] = (int32_t)i;
    to[count++] = o->index[i];
  }
  struct ggml_tensor *source = matrix_of(c, o->x), *index, *target;
  if (count < rows) {
    DIMPLE_TRY(input_of(c, GGML_TYPE_I32, count, 1, from, &index));
    source = ggml_get_rows(c->nodes, source, index);
  }
  DIMPLE_TRY(input_of(c, GGML_TYPE_I64, count, 1, to, &target));
  return expand(c, ggml_set_rows(c->nodes, matrix_of(c, o->y), source, target));
}

/* Rounded to nearest by GGML; what is beyond a half's range becomes its largest. */
static dimple_status build_pack_halves(context *c, const recorded *o) {
  struct ggml_tensor *clamped = ggml_clamp(c->nodes, ggml_cont(c->nodes, matrix_of(c, o->x)), -65504.0f, 65504.0f);
  return expand(c, ggml_cpy(c->nodes, clamped, typed_matrix(c, o->y, GGML_TYPE_F16)));
}

static dimple_status build_unpack_halves(context *c, const recorded *o) {
  return write_view(c, o->y, typed_matrix(c, o->x, GGML_TYPE_F16));
}

static dimple_status build_add_rows(context *c, const recorded *o) {
  struct ggml_tensor *sum = matrix_of(c, o->y);
  if (o->factor == 0) return write_view(c, o->y, ggml_fill(c->nodes, ggml_cont(c->nodes, sum), 0)); /* not 0 times what is no number */
  if (o->x.memory) sum = ggml_add(c->nodes, sum, matrix_of(c, o->x));
  return write_view(c, o->y, ggml_scale(c->nodes, ggml_cont(c->nodes, sum), o->factor));
}

static dimple_status build_rms_norm(context *c, const recorded *o) {
  struct ggml_tensor *normed = ggml_rms_norm(c->nodes, matrix_of(c, o->x), o->epsilon);
  return write_view(c, o->y, o->w ? ggml_mul(c->nodes, normed, o->w->tensor) : normed);
}

static dimple_status build_layer_norm(context *c, const recorded *o) {
  struct ggml_tensor *normed = ggml_norm(c->nodes, matrix_of(c, o->x), o->epsilon);
  return write_view(c, o->y, ggml_add(c->nodes, ggml_mul(c->nodes, normed, o->w->tensor), o->b->tensor));
}

/* x W' + b in float32. */
static struct ggml_tensor *affine(context *c, struct ggml_tensor *x, const weight *w, const weight *bias) {
  struct ggml_tensor *matrix = ggml_reshape_2d(c->nodes, w->tensor, w->columns, w->rows);
  struct ggml_tensor *product = ggml_mul_mat(c->nodes, matrix, x);
  ggml_prec_set_acc(product, GGML_PREC_F32);
  return bias ? ggml_add(c->nodes, product, bias->tensor) : product;
}

/* The tanh form of gelu; GGML's own on a CPU looks it up among 16-bit floats. */
static struct ggml_tensor *tanh_gelu(context *c, struct ggml_tensor *v) {
  struct ggml_context *n = c->nodes;
  struct ggml_tensor *cubic = ggml_scale_bias(n, ggml_sqr(n, v), 0.044715f, 1);
  struct ggml_tensor *inner = ggml_tanh(n, ggml_scale(n, ggml_mul(n, v, cubic), 0.79788456080286535588f));
  return ggml_mul(n, v, ggml_scale_bias(n, inner, 0.5f, 0.5f));
}

struct ggml_tensor *gated(context *c, linear_mode mode, struct ggml_tensor *gate, struct ggml_tensor *up) {
  return mode == LINEAR_GEGLU ? ggml_mul(c->nodes, tanh_gelu(c, gate), up) : ggml_swiglu_split(c->nodes, gate, up);
}

static dimple_status build_linear(context *c, const recorded *o) {
  if (o->x.rows == 0) return DIMPLE_OK;
  struct ggml_tensor *x = matrix_of(c, o->x);
  for (int32_t k = 0; k < o->output_count; k++) {
    const linear_output *out = &o->outputs[k];
    struct ggml_tensor *y = affine(c, x, out->w, out->bias);
    switch (out->mode) {
      case LINEAR_STORE: break;
      case LINEAR_ADD: y = ggml_add(c->nodes, matrix_of(c, out->y), y); break;
      case LINEAR_SILU: y = ggml_silu(c->nodes, y); break;
      case LINEAR_GELU: y = ggml_gelu_erf(c->nodes, y); break;
      case LINEAR_QUICK_GELU: y = ggml_mul(c->nodes, y, ggml_sigmoid(c->nodes, ggml_scale(c->nodes, y, 1.702f))); break;
      case LINEAR_SWIGLU:
      case LINEAR_GEGLU: y = gated(c, out->mode, y, affine(c, x, out->up, out->up_bias)); break;
      default: return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: this kind of linear is not built yet", c->device->name);
    }
    DIMPLE_TRY(write_view(c, out->y, y));
  }
  return DIMPLE_OK;
}

/* Rows of a table of angles as [half, 1, rows], to be repeated over the heads. */
static dimple_status angles_of(context *c, const rotary_call *call, view table, struct ggml_tensor **out) {
  struct ggml_tensor *rows;
  if (call->angle_rows) {
    struct ggml_tensor *index;
    DIMPLE_TRY(input_of(c, GGML_TYPE_I32, call->x.rows, 1, call->angle_rows, &index));
    rows = ggml_get_rows(c->nodes, matrix_of(c, table), index);
  } else {
    rows = ggml_cont(c->nodes, matrix_of(c, view_rows(table, 0, call->x.rows)));
  }
  *out = ggml_reshape_3d(c->nodes, rows, table.columns, 1, call->x.rows);
  return DIMPLE_OK;
}

/* One half of every head, [half, heads, rows]. */
static struct ggml_tensor *half_of(context *c, const rotary_call *call, int64_t second) {
  view v = call->x;
  int64_t half = call->size / 2;
  v.first += second * half;
  return view_4d(c, v, (int64_t[4]){half, call->heads, v.rows, 1}, (int64_t[4]){1, rotary_stride(call), v.stride, v.stride * v.rows}, GGML_TYPE_F32);
}

static dimple_status build_rotary(context *c, const recorded *o) {
  const rotary_call *call = &o->rotary;
  struct ggml_context *n = c->nodes;
  struct ggml_tensor *cosine, *sine;
  if (call->x.rows == 0) return DIMPLE_OK;
  DIMPLE_TRY(angles_of(c, call, call->cosine, &cosine));
  DIMPLE_TRY(angles_of(c, call, call->sine, &sine));
  struct ggml_tensor *a = half_of(c, call, 0), *b = half_of(c, call, 1);
  struct ggml_tensor *first = ggml_sub(n, ggml_mul(n, a, cosine), ggml_mul(n, b, sine));
  struct ggml_tensor *second = ggml_add(n, ggml_mul(n, b, cosine), ggml_mul(n, a, sine));
  DIMPLE_TRY(expand(c, first));
  DIMPLE_TRY(expand(c, second));
  DIMPLE_TRY(expand(c, ggml_cpy(n, first, half_of(c, call, 0))));
  return expand(c, ggml_cpy(n, second, half_of(c, call, 1)));
}

static dimple_status build_adjust(context *c, const adjust_call *call) {
  struct ggml_context *n = c->nodes;
  if (call->x.rows == 0) return DIMPLE_OK;
  struct ggml_tensor *v = ggml_cont(n, matrix_of(c, call->x));
  if (call->minus) v = ggml_sub(n, v, call->minus->tensor);
  if (call->times) v = ggml_mul(n, v, call->times->tensor);
  if (call->low || call->high) v = ggml_clamp(n, v, call->low ? call->low->first : -INFINITY, call->high ? call->high->first : INFINITY);
  return write_view(c, call->y, call->gate.memory ? ggml_mul(n, tanh_gelu(c, ggml_cont(n, matrix_of(c, call->gate))), v) : v);
}

static dimple_status build(context *c, const recorded *o) {
  switch (o->kind) {
    case RECORDED_COPY_IN: return build_copy_in(c, o);
    case RECORDED_COPY_OUT: return build_copy_out(c, o);
    case RECORDED_EMBED_ROWS: return build_embed_rows(c, o);
    case RECORDED_GATHER_ROWS: return build_gather_rows(c, o);
    case RECORDED_SCATTER_ROWS: return build_scatter_rows(c, o);
    case RECORDED_PACK_HALVES: return build_pack_halves(c, o);
    case RECORDED_UNPACK_HALVES: return build_unpack_halves(c, o);
    case RECORDED_ADD_ROWS: return build_add_rows(c, o);
    case RECORDED_ADJUST: return build_adjust(c, &o->adjust);
    case RECORDED_RMS_NORM: return build_rms_norm(c, o);
    case RECORDED_LAYER_NORM: return build_layer_norm(c, o);
    case RECORDED_LINEAR: return build_linear(c, o);
    case RECORDED_ROTARY: return build_rotary(c, o);
    case RECORDED_ATTENTION: return build_attention(c, &o->attention);
    case RECORDED_ROUTE: return build_route(c, &o->route);
    case RECORDED_EXPERTS: return build_experts(c, &o->experts);
    case RECORDED_HEAD: return build_head(c, &o->head);
  }
  return dimple_fail(DIMPLE_ERROR_STATE, "ggml: an operation of no kind");
}

/* ------------------------------------------------------------------------------------------------------------- a pass */

/* More tensors than an operation can make: a linear output, a head's piece and a group of windows make at most 24. */
static size_t tensors_of(const recorded *o) {
  switch (o->kind) {
    case RECORDED_LINEAR: return 8 + 24 * (size_t)o->output_count;
    case RECORDED_ATTENTION: return 32 + 24 * (size_t)o->attention.span_count;
    case RECORDED_HEAD: return 64 + 48 * (size_t)o->head.x.rows;
    default: return 48;
  }
}

static dimple_status start_graph(context *c) {
  size_t tensors = 64;
  for (int64_t i = 0; i < c->operation_count; i++) tensors += tensors_of(&c->operations[i]);
  struct ggml_init_params room = {.mem_size = tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(tensors, false), .no_alloc = true};
  c->nodes = ggml_init(room);
  if (!c->nodes) return dimple_fail_memory(room.mem_size, "a graph");
  c->graph = ggml_new_graph_custom(c->nodes, tensors, false);
  static atomic_uint_fast64_t graphs;
  c->serial = atomic_fetch_add(&graphs, 1) + 1;
  c->input_count = c->output_count = 0;
  c->heads = NULL;
  return DIMPLE_OK;
}

static dimple_status compute(context *c) {
  forget_complaint();
  if (!ggml_gallocr_alloc_graph(c->allocator, c->graph))
    return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: no memory for a pass's intermediates%s%s", c->device->name, *last_complaint() ? ": " : "", last_complaint());
  for (int64_t i = 0; i < c->input_count; i++) {
    if (!c->inputs[i].tensor->buffer) continue; /* no node needs it */
    ggml_backend_tensor_set(c->inputs[i].tensor, c->inputs[i].data, 0, c->inputs[i].bytes);
    c->bytes_in += (int64_t)c->inputs[i].bytes;
  }
  c->computes++;
  enum ggml_status status = ggml_backend_graph_compute(c->stream, c->graph);
  if (status == GGML_STATUS_ABORTED) return dimple_fail(DIMPLE_ERROR_CANCELLED, "the call was cancelled");
  if (status != GGML_STATUS_SUCCESS)
    return dimple_fail(status == GGML_STATUS_ALLOC_FAILED ? DIMPLE_ERROR_MEMORY : DIMPLE_ERROR_IO, "%s: the pass failed: %s", c->device->name,
                       *last_complaint() ? last_complaint() : ggml_status_to_string(status));
  for (int64_t i = 0; i < c->output_count; i++) {
    ggml_backend_tensor_get(c->outputs[i].tensor, c->outputs[i].data, 0, c->outputs[i].bytes);
    c->bytes_out += (int64_t)c->outputs[i].bytes;
  }
  return finish_heads(c);
}

static dimple_status build_and_compute(void *of) {
  context *c = of;
  for (int64_t i = 0; i < c->operation_count; i++) DIMPLE_TRY(build(c, &c->operations[i]));
  return compute(c);
}

dimple_status run_recorded(context *c) {
  DIMPLE_TRY(check_cancelled(c->cancelled));
  DIMPLE_TRY(start_graph(c));
  dimple_status status = on_device(c->device, build_and_compute, c);
  ggml_free(c->nodes);
  c->nodes = NULL;
  c->graph = NULL;
  return status;
}
