/* Operations on rows: moving them, the norm, the rotation. */
#include <math.h>
#include <string.h>

#include "backend/cpu/operations.h"
#include "quant/kv_rows.h"

/* Rows of most operations are cheap: one item takes several, some 16 Ki elements. */
static int64_t rows_per_item(int64_t columns) { return larger(1, (1 << 14) / larger(columns, 1)); }

typedef struct rows_task {
  const cpu_kernels *kernels;
  view y, x;
  const weight *w, *b;
  const int32_t *index;
  int64_t rows, columns, per_item;
  float epsilon, factor;
  const rotary_call *rotary;
  const adjust_call *adjust;
  int32_t kv_type;
} rows_task;

static void run_rows(context *c, rows_task *t, cpu_task *task) {
  t->kernels = c->kernels;
  t->per_item = rows_per_item(t->columns);
  cpu_pool_run(c->pool, parts(t->rows, t->per_item), task, t, c->scratch);
}

dimple_status cpu_copy_in(context *c, view target, const float *host) {
  (void)c;
  for (int64_t r = 0; r < target.rows; r++)
    memcpy(row_of(target, r), host + r * target.columns, (size_t)target.columns * sizeof(float));
  return DIMPLE_OK;
}

dimple_status cpu_copy_out(context *c, float *host, view source) {
  (void)c;
  for (int64_t r = 0; r < source.rows; r++)
    memcpy(host + r * source.columns, row_of(source, r), (size_t)source.columns * sizeof(float));
  return DIMPLE_OK;
}

static void embed_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  const block_format *format = t->w->format;
  int64_t row_size = block_format_row_size(format, t->columns);
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    format->dequantize(t->w->file_rows + t->index[r] * row_size, row_of(t->y, r), t->columns / format->block_length);
}

dimple_status cpu_embed_rows(context *c, view y, const weight *w, const int32_t *ids) {
  rows_task task = {.w = w, .y = y, .index = ids, .rows = y.rows, .columns = w->columns};
  run_rows(c, &task, embed_item);
  return DIMPLE_OK;
}

static void gather_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    memcpy(row_of(t->y, r), row_of(t->x, t->index[r]), (size_t)t->columns * sizeof(float));
}

dimple_status cpu_gather_rows(context *c, view y, view x, const int32_t *index) {
  rows_task task = {.x = x, .y = y, .index = index, .rows = y.rows, .columns = y.columns};
  run_rows(c, &task, gather_item);
  return DIMPLE_OK;
}

/* One item, so that of equal indices the last one wins. */
dimple_status cpu_scatter_rows(context *c, view y, view x, const int32_t *index) {
  (void)c;
  for (int64_t r = 0; r < x.rows; r++) memcpy(row_of(y, index[r]), row_of(x, r), (size_t)x.columns * sizeof(float));
  return DIMPLE_OK;
}

static void pack_kv_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    kv_row_pack(t->kv_type, row_of(t->x, r), t->columns, row_of(t->y, r));
}

dimple_status cpu_pack_kv(context *c, view packed, view x, int32_t kv_type) {
  rows_task task = {.x = x, .y = packed, .rows = x.rows, .columns = x.columns, .kv_type = kv_type};
  run_rows(c, &task, pack_kv_item);
  return DIMPLE_OK;
}

static void add_rows_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++) {
    float *y = row_of(t->y, r);
    const float *x = t->x.memory ? row_of(t->x, r) : NULL;
    for (int64_t j = 0; j < t->columns; j++) y[j] = t->factor == 0 ? 0 : t->factor * (x ? y[j] + x[j] : y[j]);
  }
}

dimple_status cpu_add_rows(context *c, view y, view x, float factor) {
  rows_task task = {.x = x, .y = y, .rows = y.rows, .columns = y.columns, .factor = factor};
  run_rows(c, &task, add_rows_item);
  return DIMPLE_OK;
}

static void rms_norm_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->kernels->rms_norm(row_of(t->y, r), row_of(t->x, r), t->w ? t->w->vector : NULL, t->columns, t->epsilon);
}

dimple_status cpu_rms_norm(context *c, view y, view x, const weight *w, float epsilon) {
  rows_task task = {.w = w, .x = x, .y = y, .rows = x.rows, .columns = x.columns, .epsilon = epsilon};
  run_rows(c, &task, rms_norm_item);
  return DIMPLE_OK;
}

static void layer_norm_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++)
    t->kernels->layer_norm(row_of(t->y, r), row_of(t->x, r), t->w->vector, t->b->vector, t->columns, t->epsilon);
}

dimple_status cpu_layer_norm(context *c, view y, view x, const weight *w, const weight *b, float epsilon) {
  rows_task task = {.w = w, .b = b, .x = x, .y = y, .rows = x.rows, .columns = x.columns, .epsilon = epsilon};
  run_rows(c, &task, layer_norm_item);
  return DIMPLE_OK;
}

static void adjust_row(const adjust_call *call, int64_t r) {
  const float *minus = call->minus ? call->minus->vector : NULL, *times = call->times ? call->times->vector : NULL;
  const float *gate = call->gate.memory ? row_of(call->gate, r) : NULL, *x = row_of(call->x, r);
  float low = call->low ? *call->low->vector : -INFINITY, high = call->high ? *call->high->vector : INFINITY, *y = row_of(call->y, r);
  for (int64_t j = 0; j < call->x.columns; j++) {
    float v = x[j] - (minus ? minus[j] : 0);
    v *= times ? times[j] : 1;
    v = v < low ? low : v;
    v = v > high ? high : v;
    float g = gate ? gate[j] : 0;
    y[j] = gate ? 0.5f * g * (1 + tanhf(0.79788456f * (g + 0.044715f * g * g * g))) * v : v;
  }
}

static void adjust_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++) adjust_row(t->adjust, r);
}

dimple_status cpu_adjust(context *c, const adjust_call *call) {
  rows_task task = {.adjust = call, .rows = call->x.rows, .columns = call->x.columns};
  run_rows(c, &task, adjust_item);
  return DIMPLE_OK;
}

static void rotary_item(void *work, int64_t item, void *scratch) {
  (void)scratch;
  const rows_task *t = work;
  const rotary_call *call = t->rotary;
  for (int64_t r = item * t->per_item; r < smaller(t->rows, (item + 1) * t->per_item); r++) {
    int64_t angles = call->angle_rows ? call->angle_rows[r] : r;
    t->kernels->rotary(row_of(call->x, r), row_of(call->cosine, angles), row_of(call->sine, angles), call->heads, call->size,
                       rotary_stride(call));
  }
}

dimple_status cpu_rotary(context *c, const rotary_call *call) {
  rows_task task = {.rotary = call, .rows = call->x.rows, .columns = (int64_t)call->heads * rotary_stride(call)};
  run_rows(c, &task, rotary_item);
  return DIMPLE_OK;
}
