/* A recorded pass as one graph of GGML: built or taken from the shelf, given its inputs, run once, its outputs read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "room.h"

/* -------------------------------------------------------------------------------------------------------------- buffers */

/* The whole of a buffer. */
static struct ggml_tensor *base_of(context *c, buffer *b) {
  struct ggml_tensor **base = &c->graph->bases[ordinal_of(c, b)];
  if (*base) return *base;
  *base = ggml_new_tensor_1d(c->graph->nodes, GGML_TYPE_F32, b->count);
  ggml_backend_tensor_alloc(b->memory, *base, ggml_backend_buffer_get_base(b->memory));
  return *base;
}

static struct ggml_tensor *view_4d(context *c, view v, const int64_t extent[4], const int64_t stride[4], enum ggml_type type) {
  struct ggml_tensor *base = base_of(c, v.memory);
  struct ggml_tensor *t = ggml_view_4d(c->graph->nodes, base, extent[0], extent[1], extent[2], extent[3], (size_t)stride[1] * sizeof(float),
                                       (size_t)stride[2] * sizeof(float), (size_t)stride[3] * sizeof(float), (size_t)v.first * sizeof(float));
  if (type == GGML_TYPE_F32) return t;
  t->type = type; /* the same bytes read as something else */
  return t;
}

static struct ggml_tensor *typed_matrix(context *c, view v, enum ggml_type type) {
  int64_t stride = v.rows > 1 ? v.stride : v.columns;
  int64_t all = stride * v.rows;
  return view_4d(c, v, (int64_t[4]){v.columns, v.rows, 1, 1}, (int64_t[4]){1, stride, all, all}, type);
}

struct ggml_tensor *matrix_of(context *c, view v) { return typed_matrix(c, v, GGML_TYPE_F32); }

struct ggml_tensor *numbers_of(context *c, view v) { return typed_matrix(c, v, GGML_TYPE_I32); }

/* The bytes of a matrix, row by row, as `columns` elements of another type. */
static struct ggml_tensor *read_as(context *c, struct ggml_tensor *matrix, enum ggml_type type, int64_t columns) {
  struct ggml_tensor *t = ggml_view_2d(c->graph->nodes, matrix, matrix->ne[0], matrix->ne[1], matrix->nb[1], 0);
  t->type = type;
  t->ne[0] = columns;
  t->nb[0] = ggml_type_size(type);
  return t;
}

static dimple_status check_blocks(const context *c, view v, int64_t width, enum ggml_type type) {
  if (!ggml_is_quantized(type) || ggml_row_size(type, width) == (size_t)v.columns * sizeof(float)) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s keeps no rows of %lld numbers as %s: their blocks fill no whole elements of four bytes", c->device->name,
                     (long long)width, ggml_type_name(type));
}

/*
 * Devices count in blocks where a row of blocks begins: from where their memory is aligned, and from one row to the next. Rows that lie otherwise are copied as
 * the floats that they are kept as, from where they lie or to there.
 */
dimple_status packed_rows(context *c, view v, int64_t width, int32_t kv_type, struct ggml_tensor **out) {
  enum ggml_type type = (enum ggml_type)kv_type; /* both go by GGUF's numbers */
  struct ggml_tensor *rows = matrix_of(c, v);
  size_t alignment = ggml_backend_buft_get_alignment(c->device->memory);
  DIMPLE_TRY(check_blocks(c, v, width, type));
  bool lie_well = rows->view_offs % alignment == 0 && (rows->ne[1] == 1 || rows->nb[1] == ggml_row_size(type, width));
  *out = read_as(c, ggml_is_quantized(type) && !lie_well ? ggml_cont(c->graph->nodes, rows) : rows, type, width);
  return DIMPLE_OK;
}

struct ggml_tensor *heads_of(context *c, view v, int64_t heads, int64_t size, int64_t windows) {
  int64_t rows = v.rows / windows;
  struct ggml_tensor *t = view_4d(c, v, (int64_t[4]){size, heads, rows, windows}, (int64_t[4]){1, size, v.stride, v.stride * rows}, GGML_TYPE_F32);
  return ggml_permute(c->graph->nodes, t, 0, 2, 1, 3);
}

/* ---------------------------------------------------------------------------------------------------------------- nodes */

bool runs_here(const context *c, const struct ggml_tensor *node) { return ggml_backend_dev_supports_op(c->device->judge, node); }

static dimple_status refuse(const context *c, const struct ggml_tensor *node) {
  const struct ggml_tensor *a = node->src[0], *b = node->src[1];
  return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s cannot run %s to %s from %s and %s", c->device->name, ggml_op_desc(node), ggml_type_name(node->type),
                     a ? ggml_type_name(a->type) : "nothing", b ? ggml_type_name(b->type) : "nothing");
}

dimple_status expand(context *c, struct ggml_tensor *node) {
  struct ggml_cgraph *order = c->graph->order;
  int first = ggml_graph_n_nodes(order);
  ggml_build_forward_expand(order, node);
  for (int i = first; i < ggml_graph_n_nodes(order); i++)
    if (!runs_here(c, ggml_graph_node(order, i))) return refuse(c, ggml_graph_node(order, i));
  return DIMPLE_OK;
}

dimple_status write_view(context *c, view v, struct ggml_tensor *value) { return expand(c, ggml_cpy(c->graph->nodes, value, matrix_of(c, v))); }

dimple_status input_of(context *c, enum ggml_type type, int64_t columns, int64_t rows, graph_input input, struct ggml_tensor **out) {
  graph *g = c->graph;
  input.bytes = ggml_row_size(type, columns) * (size_t)rows;
  for (int64_t i = g->input_count - 1; i >= 0; i--) {
    const graph_input *known = &g->inputs[i];
    if (known->bytes != input.bytes || known->tensor->type != type || known->tensor->ne[0] != columns || known->part != input.part ||
        known->at != input.at || memcmp(known->from, input.from, sizeof input.from) != 0)
      continue;
    *out = known->tensor;
    return DIMPLE_OK;
  }
  DIMPLE_TRY(grow((void **)&g->inputs, g->input_count, &g->input_room, sizeof *g->inputs));
  *out = ggml_new_tensor_2d(g->nodes, type, columns, rows);
  ggml_set_input(*out);
  input.tensor = *out;
  input.operation = c->building;
  g->inputs[g->input_count++] = input;
  return DIMPLE_OK;
}

dimple_status output_to(context *c, struct ggml_tensor *node, host_part part, int64_t at) {
  graph *g = c->graph;
  DIMPLE_TRY(grow((void **)&g->outputs, g->output_count, &g->output_room, sizeof *g->outputs));
  ggml_set_output(node);
  DIMPLE_TRY(expand(c, node));
  g->outputs[g->output_count++] = (graph_output){node, ggml_nbytes(node), c->building, part, at};
  return DIMPLE_OK;
}

/* ---------------------------------------------------------------------------------------------------------------- flaws */

/* [1, rows], the sums of values' rows, on top of what is there of others with as many rows. */
static dimple_status add_to_sums(context *c, struct ggml_tensor *values) {
  graph *g = c->graph;
  struct ggml_tensor *sums = ggml_sum_rows(g->nodes, ggml_is_contiguous(values) ? values : ggml_cont(g->nodes, values));
  int64_t rows = ggml_nelements(sums), i = 0;
  sums = ggml_reshape_1d(g->nodes, sums, rows);
  while (i < g->sum_count && g->sums[i]->ne[0] != rows) i++;
  if (i == g->sum_count) {
    DIMPLE_TRY(grow((void **)&g->sums, g->sum_count, &g->sum_room, sizeof *g->sums));
    g->sums[g->sum_count++] = sums;
  } else {
    g->sums[i] = ggml_add(g->nodes, g->sums[i], sums);
  }
  return expand(c, g->sums[i]); /* now, while the values are there */
}

dimple_status watch_numbers(context *c, struct ggml_tensor *values) { return add_to_sums(c, values); }

dimple_status watch_squares(context *c, struct ggml_tensor *values) {
  struct ggml_context *n = c->graph->nodes;
  return add_to_sums(c, ggml_sqr(n, ggml_is_contiguous(values) ? values : ggml_cont(n, values)));
}

static void *flaw_of(context *c, recorded *o, int64_t at) {
  (void)o, (void)at;
  return &c->flaw;
}

/* All sums as one number, which comes back. */
static dimple_status fetch_flaw(context *c) {
  graph *g = c->graph;
  struct ggml_tensor *total = NULL;
  for (int64_t i = 0; i < g->sum_count; i++) {
    struct ggml_tensor *sum = ggml_sum_rows(g->nodes, g->sums[i]);
    total = total ? ggml_add(g->nodes, total, sum) : sum;
  }
  return total ? output_to(c, total, flaw_of, 0) : DIMPLE_OK;
}

/* ----------------------------------------------------------------------------------------------------- parts of operations */

static void *writable(const void *copy) { return (void *)(uintptr_t)copy; }

static void *values_of(context *c, recorded *o, int64_t at) {
  (void)c, (void)at;
  return writable(o->values);
}

static void *target_of(context *c, recorded *o, int64_t at) {
  (void)c, (void)at;
  return o->target;
}

static void *index_of(context *c, recorded *o, int64_t at) {
  (void)c, (void)at;
  return writable(o->kind == RECORDED_ROTARY ? o->rotary.angle_rows : o->index);
}

static void *targets_of(context *c, recorded *o, int64_t at) {
  (void)c, (void)at;
  return writable(o->targets);
}

/* Rows that the device cannot look up, decoded here. */
static void *decoded_rows(context *c, recorded *o, int64_t at) {
  (void)at;
  const weight *w = o->w;
  const struct ggml_type_traits *traits = ggml_get_type_traits((enum ggml_type)w->type);
  size_t row_bytes = ggml_row_size((enum ggml_type)w->type, w->columns);
  float *rows = arena_take(&c->copies, (size_t)(o->y.rows * w->columns) * sizeof *rows);
  for (int64_t i = 0; rows && i < o->y.rows; i++) traits->to_float(w->host + (size_t)o->index[i] * row_bytes, rows + i * w->columns, w->columns);
  return rows;
}

/* Row numbers as a tensor. */
static dimple_status rows_of(context *c, const int32_t *index, int64_t count, struct ggml_tensor **out) {
  return input_of(c, GGML_TYPE_I32, count, 1, (graph_input){.part = index_of, .from = {index}}, out);
}

/* ----------------------------------------------------------------------------------------------------------- operations */

static dimple_status build_copy_in(context *c, const recorded *o) {
  struct ggml_tensor *host;
  DIMPLE_TRY(input_of(c, GGML_TYPE_F32, o->y.columns, o->y.rows, (graph_input){.part = values_of, .from = {o->values}}, &host));
  return write_view(c, o->y, host);
}

static dimple_status build_copy_out(context *c, const recorded *o) {
  return output_to(c, ggml_cont(c->graph->nodes, matrix_of(c, o->x)), target_of, 0);
}

static dimple_status build_embed_rows(context *c, const recorded *o) {
  struct ggml_tensor *ids, *host;
  if (!o->w->tensor) {
    DIMPLE_TRY(input_of(c, GGML_TYPE_F32, o->w->columns, o->y.rows, (graph_input){.part = decoded_rows, .from = {o->index, o->w}}, &host));
    return write_view(c, o->y, host);
  }
  DIMPLE_TRY(rows_of(c, o->index, o->y.rows, &ids));
  struct ggml_tensor *table = ggml_reshape_2d(c->graph->nodes, o->w->tensor, o->w->columns, o->w->rows);
  return write_view(c, o->y, ggml_get_rows(c->graph->nodes, table, ids));
}

static dimple_status build_gather_rows(context *c, const recorded *o) {
  if (o->y.rows == 0) return DIMPLE_OK;
  struct ggml_tensor *index;
  DIMPLE_TRY(rows_of(c, o->index, o->index_count, &index));
  return write_view(c, o->y, ggml_get_rows(c->graph->nodes, matrix_of(c, o->x), index));
}

static dimple_status build_scatter_rows(context *c, const recorded *o) {
  struct ggml_tensor *source = matrix_of(c, o->x), *index, *target;
  if (o->index_count == 0) return DIMPLE_OK;
  if (o->index) {
    DIMPLE_TRY(rows_of(c, o->index, o->index_count, &index));
    source = ggml_get_rows(c->graph->nodes, source, index);
  }
  DIMPLE_TRY(input_of(c, GGML_TYPE_I64, o->index_count, 1, (graph_input){.part = targets_of, .from = {o->targets}}, &target));
  return expand(c, ggml_set_rows(c->graph->nodes, matrix_of(c, o->y), source, target));
}

/* Rounded by GGML; what is beyond a half's range becomes its largest. */
static dimple_status build_pack_kv(context *c, const recorded *o) {
  struct ggml_context *n = c->graph->nodes;
  enum ggml_type type = (enum ggml_type)o->kv_type;
  struct ggml_tensor *rows = ggml_cont(n, matrix_of(c, o->x)), *kept = matrix_of(c, o->y);
  DIMPLE_TRY(check_blocks(c, o->y, o->x.columns, type));
  if (ggml_is_quantized(type)) return expand(c, ggml_cpy(n, read_as(c, ggml_cast(n, rows, type), GGML_TYPE_F32, o->y.columns), kept));
  if (type == GGML_TYPE_F16) rows = ggml_clamp(n, rows, -65504.0f, 65504.0f);
  return expand(c, ggml_cpy(n, rows, read_as(c, kept, type, o->x.columns)));
}

static dimple_status build_add_rows(context *c, const recorded *o) {
  struct ggml_tensor *sum = matrix_of(c, o->y);
  if (o->factor == 0) return write_view(c, o->y, ggml_fill(c->graph->nodes, ggml_cont(c->graph->nodes, sum), 0)); /* not 0 times what is no number */
  if (o->x.memory) sum = ggml_add(c->graph->nodes, sum, matrix_of(c, o->x));
  return write_view(c, o->y, ggml_scale(c->graph->nodes, ggml_cont(c->graph->nodes, sum), o->factor));
}

static dimple_status build_rms_norm(context *c, const recorded *o) {
  DIMPLE_TRY(watch_squares(c, matrix_of(c, o->x)));
  struct ggml_tensor *normed = ggml_rms_norm(c->graph->nodes, matrix_of(c, o->x), o->epsilon);
  return write_view(c, o->y, o->w ? ggml_mul(c->graph->nodes, normed, o->w->tensor) : normed);
}

/*
 * GPUs' kernels take the variance as the mean of squares less the square of the mean: of a row that lies far from 0, the difference of two large numbers. So
 * the mean is taken off before, and what the kernel takes off is what rounding left of it.
 */
static dimple_status build_layer_norm(context *c, const recorded *o) {
  struct ggml_context *n = c->graph->nodes;
  struct ggml_tensor *x = matrix_of(c, o->x);
  DIMPLE_TRY(watch_squares(c, x));
  if (!ggml_is_contiguous(x)) x = ggml_cont(n, x);
  struct ggml_tensor *normed = ggml_norm(n, ggml_sub(n, x, ggml_mean(n, x)), o->epsilon);
  return write_view(c, o->y, ggml_add(n, ggml_mul(n, normed, o->w->tensor), o->b->tensor));
}

/* x W' + b in float32. */
static struct ggml_tensor *affine(context *c, struct ggml_tensor *x, const weight *w, const weight *bias) {
  struct ggml_tensor *matrix = ggml_reshape_2d(c->graph->nodes, w->tensor, w->columns, w->rows);
  struct ggml_tensor *product = ggml_mul_mat(c->graph->nodes, matrix, x);
  ggml_prec_set_acc(product, GGML_PREC_F32);
  return bias ? ggml_add(c->graph->nodes, product, bias->tensor) : product;
}

/* The tanh form of gelu; GGML's own on a CPU looks it up among 16-bit floats. */
static struct ggml_tensor *tanh_gelu(context *c, struct ggml_tensor *v) {
  struct ggml_context *n = c->graph->nodes;
  struct ggml_tensor *cubic = ggml_scale_bias(n, ggml_sqr(n, v), 0.044715f, 1);
  struct ggml_tensor *inner = ggml_tanh(n, ggml_scale(n, ggml_mul(n, v, cubic), 0.79788456080286535588f));
  return ggml_mul(n, v, ggml_scale_bias(n, inner, 0.5f, 0.5f));
}

struct ggml_tensor *gated(context *c, linear_mode mode, struct ggml_tensor *gate, struct ggml_tensor *up) {
  return mode == LINEAR_GEGLU ? ggml_mul(c->graph->nodes, tanh_gelu(c, gate), up) : ggml_swiglu_split(c->graph->nodes, gate, up);
}

static dimple_status build_linear(context *c, const recorded *o) {
  if (o->x.rows == 0) return DIMPLE_OK;
  struct ggml_tensor *x = matrix_of(c, o->x);
  for (int32_t k = 0; k < o->output_count; k++) {
    const linear_output *out = &o->outputs[k];
    struct ggml_tensor *y = affine(c, x, out->w, out->bias);
    switch (out->mode) {
      case LINEAR_STORE: break;
      case LINEAR_ADD: y = ggml_add(c->graph->nodes, matrix_of(c, out->y), y); break;
      case LINEAR_SILU: y = ggml_silu(c->graph->nodes, y); break;
      case LINEAR_GELU: y = ggml_gelu_erf(c->graph->nodes, y); break;
      case LINEAR_QUICK_GELU: y = ggml_mul(c->graph->nodes, y, ggml_sigmoid(c->graph->nodes, ggml_scale(c->graph->nodes, y, 1.702f))); break;
      case LINEAR_TANH_GELU: y = tanh_gelu(c, y); break;
      case LINEAR_SWIGLU:
      case LINEAR_GEGLU: y = gated(c, out->mode, y, affine(c, x, out->up, out->up_bias)); break;
      default: return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: this kind of linear is not built yet", c->device->name);
    }
    /* Queries and keys whose squares do not overflow have scores that do not. A sum is normed, or scored, next. */
    if (out->mode != LINEAR_ADD) DIMPLE_TRY(out->mode == LINEAR_STORE ? watch_squares(c, y) : watch_numbers(c, y));
    DIMPLE_TRY(write_view(c, out->y, y));
  }
  return DIMPLE_OK;
}

/* Rows of a table of angles as [half, 1, rows], to be repeated over the heads. */
static dimple_status angles_of(context *c, const rotary_call *call, view table, struct ggml_tensor **out) {
  struct ggml_tensor *rows;
  if (call->angle_rows) {
    struct ggml_tensor *index;
    DIMPLE_TRY(rows_of(c, call->angle_rows, call->x.rows, &index));
    rows = ggml_get_rows(c->graph->nodes, matrix_of(c, table), index);
  } else {
    rows = ggml_cont(c->graph->nodes, matrix_of(c, view_rows(table, 0, call->x.rows)));
  }
  *out = ggml_reshape_3d(c->graph->nodes, rows, table.columns, 1, call->x.rows);
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
  struct ggml_context *n = c->graph->nodes;
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
  struct ggml_context *n = c->graph->nodes;
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
    case RECORDED_PACK_KV: return build_pack_kv(c, o);
    case RECORDED_ADD_ROWS: return build_add_rows(c, o);
    case RECORDED_ADJUST: return build_adjust(c, &o->adjust);
    case RECORDED_RMS_NORM: return build_rms_norm(c, o);
    case RECORDED_LAYER_NORM: return build_layer_norm(c, o);
    case RECORDED_LINEAR: return build_linear(c, o);
    case RECORDED_ROTARY: return build_rotary(c, o);
    case RECORDED_ATTENTION: return build_attention(c, o);
    case RECORDED_ROUTE: return build_route(c, &o->route);
    case RECORDED_EXPERTS: return build_experts(c, &o->experts);
    case RECORDED_HEAD: return build_head(c, o);
  }
  return dimple_fail(DIMPLE_ERROR_STATE, "ggml: an operation of no kind");
}

/* ------------------------------------------------------------------------------------------------------------- a pass */

/* More tensors than an operation can make: a linear output and a group of windows make at most 24. */
static size_t tensors_of(const recorded *o) {
  switch (o->kind) {
    case RECORDED_LINEAR: return 8 + 24 * (size_t)o->output_count;
    case RECORDED_ATTENTION: return 32 + 24 * (size_t)o->attention.span_count;
    case RECORDED_ROUTE: return 144;
    case RECORDED_EXPERTS: return 48 + 4 * (size_t)o->experts.chosen.columns;
    case RECORDED_HEAD: return 64 + (o->plan ? 1088 : 256) * (size_t)o->piece_count;
    default: return 48;
  }
}

static dimple_status build_all(context *c) {
  for (c->building = 0; c->building < c->operation_count; c->building++) DIMPLE_TRY(build(c, &c->operations[c->building]));
  c->building = 0;
  return fetch_flaw(c);
}

/* What a graph's tensors are views of, as long as nothing but the buffers has a place. */
static dimple_status note_places(graph *g) {
  for (struct ggml_tensor *t = ggml_get_first_tensor(g->nodes); t; t = ggml_get_next_tensor(g->nodes, t)) {
    const struct ggml_tensor *root = t->view_src ? t->view_src : t, *base = NULL;
    for (int64_t i = 0; i < g->buffer_count && !base; i++)
      if (g->bases[i] == root) base = root;
    if (t == base || (!base && root->buffer)) continue; /* a view of a weight stays where it is */
    DIMPLE_TRY(grow((void **)&g->places, g->place_count, &g->place_room, sizeof *g->places));
    g->places[g->place_count++] = (graph_place){t, base};
  }
  return DIMPLE_OK;
}

/* A new graph, without nodes. */
static dimple_status open_graph(context *c) {
  static atomic_uint_fast64_t graphs;
  graph *g = calloc(1, sizeof *g);
  if (!g) return dimple_fail_memory(sizeof *g, "a graph");
  c->graph = g;
  size_t tensors = 64, slots = (size_t)(c->buffer_count ? c->buffer_count : 1);
  for (int64_t i = 0; i < c->operation_count; i++) tensors += tensors_of(&c->operations[i]);
  struct ggml_init_params room = {.mem_size = tensors * ggml_tensor_overhead() + ggml_graph_overhead_custom(tensors, false), .no_alloc = true};
  g->serial = atomic_fetch_add(&graphs, 1) + 1;
  g->nodes = ggml_init(room);
  g->bases = calloc(slots, sizeof *g->bases);
  g->bound = calloc(slots, sizeof *g->bound);
  g->shape.list = malloc((size_t)c->shape.count * sizeof *g->shape.list);
  if (!g->nodes || !g->bases || !g->bound || !g->shape.list) return dimple_fail_memory(room.mem_size, "a graph");
  memcpy(g->shape.list, c->shape.list, (size_t)c->shape.count * sizeof *g->shape.list);
  g->shape.count = c->shape.count;
  g->first_weight = c->first_weight;
  g->last_weight = c->last_weight;
  g->buffer_count = c->buffer_count;
  g->order = ggml_new_graph_custom(g->nodes, tensors, false);
  return DIMPLE_OK;
}

/* Whether the graph's tensors lie where this pass has its buffers, and its intermediates where the allocator put them last. */
static bool is_in_place(const context *c) {
  if (c->allocated != c->graph->serial || c->graph->holder != c->number) return false;
  for (int64_t i = 0; i < c->buffer_count; i++)
    if (c->graph->bound[i] != c->buffers[i]->number) return false;
  return true;
}

/* Puts a graph to the buffers of this pass; its intermediates have no place then. */
static void bind(context *c) {
  graph *g = c->graph;
  for (int64_t i = 0; i < g->buffer_count; i++) {
    buffer *b = c->buffers[i];
    g->bound[i] = b->number;
    if (!g->bases[i]) continue;
    g->bases[i]->buffer = b->memory;
    g->bases[i]->data = ggml_backend_buffer_get_base(b->memory);
  }
  for (int64_t i = 0; i < g->place_count; i++) {
    const graph_place *place = &g->places[i];
    place->tensor->buffer = NULL;
    place->tensor->data = place->base ? (char *)place->base->data + place->tensor->view_offs : NULL;
  }
}

static dimple_status allocate(context *c) {
  if (is_in_place(c)) return DIMPLE_OK;
  bind(c);
  c->allocated = 0;
  forget_complaint();
  /* Asked to allocate alone, the allocator takes a graph of as many nodes for the one it knows, although they may be needed for longer. */
  if (!ggml_gallocr_reserve(c->allocator, c->graph->order) || !ggml_gallocr_alloc_graph(c->allocator, c->graph->order))
    return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: no memory for a pass's intermediates%s%s", c->device->name, *last_complaint() ? ": " : "", last_complaint());
  c->allocated = c->graph->serial;
  c->graph->holder = c->number;
  return DIMPLE_OK;
}

static dimple_status send_inputs(context *c) {
  for (int64_t i = 0; i < c->graph->input_count; i++) {
    const graph_input *input = &c->graph->inputs[i];
    if (!input->tensor->buffer) continue; /* no node needs it */
    const void *data = input->part(c, &c->operations[input->operation], input->at);
    if (!data) return dimple_fail_memory(input->bytes, "what a pass sends to a device");
    ggml_backend_tensor_set(input->tensor, data, 0, input->bytes);
    atomic_fetch_add(&c->device->counts->bytes_in, (int64_t)input->bytes);
  }
  return DIMPLE_OK;
}

static dimple_status fetch_outputs(context *c) {
  for (int64_t i = 0; i < c->graph->output_count; i++) {
    const graph_output *output = &c->graph->outputs[i];
    void *data = output->part(c, &c->operations[output->operation], output->at);
    if (!data) return dimple_fail_memory(output->bytes, "what a pass fetches from a device");
    ggml_backend_tensor_get(output->tensor, data, 0, output->bytes);
    atomic_fetch_add(&c->device->counts->bytes_out, (int64_t)output->bytes);
  }
  return DIMPLE_OK;
}

static dimple_status compute(context *c) {
  if (ggml_graph_n_nodes(c->graph->order) == 0) return DIMPLE_OK; /* GGML's RPC aborts at a graph of nothing */
  DIMPLE_TRY(allocate(c));
  DIMPLE_TRY(send_inputs(c));
  forget_complaint();
  atomic_fetch_add(&c->device->counts->computes, 1);
  c->flaw = 0;
  enum ggml_status status = ggml_backend_graph_compute(c->stream, c->graph->order);
  if (status == GGML_STATUS_ABORTED) DIMPLE_TRY(check_cancelled(c->cancelled)); /* takes the request back */
  if (status != GGML_STATUS_SUCCESS)
    return dimple_fail(status == GGML_STATUS_ALLOC_FAILED ? DIMPLE_ERROR_MEMORY : DIMPLE_ERROR_IO, "%s: the pass failed: %s", c->device->name,
                       *last_complaint() ? last_complaint() : ggml_status_to_string(status));
  DIMPLE_TRY(fetch_outputs(c));
  return isfinite(c->flaw) ? DIMPLE_OK : dimple_fail(DIMPLE_ERROR_MODEL, "%s: a pass's numbers are NaN or infinite", c->device->name);
}

static dimple_status build_and_compute(void *of) {
  context *c = of;
  if (!c->graph) {
    DIMPLE_TRY(open_graph(c));
    DIMPLE_TRY(build_all(c));
    DIMPLE_TRY(note_places(c->graph));
    atomic_fetch_add(&c->device->counts->graphs_built, 1);
  }
  return compute(c);
}

static dimple_status open_heads(context *c) {
  for (int64_t i = 0; i < c->operation_count; i++)
    if (c->operations[i].kind == RECORDED_HEAD) DIMPLE_TRY(open_head(c, &c->operations[i]));
  return DIMPLE_OK;
}

static dimple_status finish_heads(const context *c) {
  for (int64_t i = 0; i < c->operation_count; i++)
    if (c->operations[i].kind == RECORDED_HEAD) DIMPLE_TRY(finish_head(&c->operations[i]));
  return DIMPLE_OK;
}

dimple_status run_recorded(context *c) {
  DIMPLE_TRY(check_cancelled(c->cancelled));
  DIMPLE_TRY(work_out_shape(c));
  DIMPLE_TRY(open_heads(c));
  c->graph = take_graph(c->device, &c->shape);
  dimple_status status = on_device(c->device, build_and_compute, c);
  if (status == DIMPLE_OK)
    keep_graph(c->device, c->graph);
  else
    free_graph(c->graph);
  c->graph = NULL;
  return status == DIMPLE_OK ? finish_heads(c) : status;
}
