/* Weights on a device: the file's own blocks, where the device multiplies by them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "room.h"

static dimple_status free_memory(void *of) {
  ggml_backend_buffer_free(of);
  return DIMPLE_OK;
}

void ggml_room_weight_free(weight *w) {
  if (!w) return;
  drop_graphs_of(w->device, w->number);
  if (w->memory) let_go(w->device, free_memory, w->memory);
  if (w->context) ggml_free(w->context);
  free(w);
}

int64_t ggml_room_weight_bytes(const weight *w) { return w->bytes; }

/* Whether the device could run an operation of the kind that this weight is for, were it of `type`. */
static bool is_usable(const device *d, enum ggml_type type, const tensor_source *source, weight_use use) {
  struct ggml_init_params room = {.mem_size = 16 * ggml_tensor_overhead(), .no_alloc = true};
  struct ggml_context *trial = ggml_init(room);
  if (!trial) return false;
  struct ggml_tensor *w = ggml_new_tensor_3d(trial, type, source->columns, source->rows, source->matrices ? source->matrices : 1);
  struct ggml_tensor *node;
  if (use == WEIGHT_ROWS) {
    node = ggml_get_rows(trial, w, ggml_new_tensor_1d(trial, GGML_TYPE_I32, 4));
  } else if (source->matrices) {
    struct ggml_tensor *x = ggml_new_tensor_3d(trial, GGML_TYPE_F32, source->columns, 1, 4);
    node = ggml_mul_mat_id(trial, w, x, ggml_new_tensor_2d(trial, GGML_TYPE_I32, 1, 4));
  } else {
    node = ggml_mul_mat(trial, w, ggml_new_tensor_2d(trial, GGML_TYPE_F32, source->columns, 4));
  }
  bool usable = ggml_backend_dev_supports_op(d->judge, node);
  ggml_free(trial);
  return usable;
}

/* Memory of the device for the tensor, and `data` in it. */
static dimple_status place(const device *d, weight *w, enum ggml_type type, const void *data, const char *name) {
  struct ggml_init_params room = {.mem_size = 2 * ggml_tensor_overhead(), .no_alloc = true};
  w->context = ggml_init(room);
  if (!w->context) return dimple_fail_memory(room.mem_size, name);
  w->tensor = w->rows == 1 && w->matrices == 1 ? ggml_new_tensor_1d(w->context, type, w->columns)
                                               : ggml_new_tensor_3d(w->context, type, w->columns, w->rows, w->matrices);
  size_t bytes = ggml_backend_buft_get_alloc_size(d->memory, w->tensor);
  forget_complaint();
  w->memory = ggml_backend_buft_alloc_buffer(d->memory, bytes);
  if (!w->memory)
    return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: cannot allocate %zu bytes for tensor %s%s%s", d->name, bytes, name,
                       *last_complaint() ? ": " : "", last_complaint());
  ggml_backend_buffer_set_usage(w->memory, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  if (ggml_backend_tensor_alloc(w->memory, w->tensor, ggml_backend_buffer_get_base(w->memory)) != GGML_STATUS_SUCCESS)
    return dimple_fail(DIMPLE_ERROR_MEMORY, "%s: tensor %s has no place in its buffer", d->name, name);
  ggml_backend_tensor_set(w->tensor, data, 0, ggml_nbytes(w->tensor));
  w->bytes = (int64_t)bytes;
  return DIMPLE_OK;
}

/* The tensor widened to float32 first: a norm, a bias, or blocks that the device cannot multiply by. */
static dimple_status place_widened(const device *d, weight *w, const tensor_source *source) {
  const struct ggml_type_traits *traits = ggml_get_type_traits((enum ggml_type)source->type);
  int64_t count = w->columns * w->rows * w->matrices;
  if (source->type == DIMPLE_TENSOR_F32) return place(d, w, GGML_TYPE_F32, source->data, source->name);
  if (!traits->to_float) return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: tensor %s is of a type that GGML cannot read", d->name, source->name);
  float *values = malloc((size_t)count * sizeof *values);
  if (!values) return dimple_fail_memory((uint64_t)count * sizeof *values, source->name);
  traits->to_float(source->data, values, count);
  dimple_status status = place(d, w, GGML_TYPE_F32, values, source->name);
  free(values);
  return status;
}

static dimple_status fill(const device *d, weight *w, const tensor_source *source, weight_use use) {
  if (use == WEIGHT_VECTOR) {
    DIMPLE_TRY(place_widened(d, w, source));
    ggml_backend_tensor_get(w->tensor, &w->first, 0, sizeof w->first);
    return DIMPLE_OK;
  }
  if (is_usable(d, (enum ggml_type)source->type, source, use))
    return place(d, w, (enum ggml_type)source->type, source->data, source->name);
  if (use != WEIGHT_ROWS) return place_widened(d, w, source);
  w->host = source->data;
  return DIMPLE_OK;
}

/* An upload as an entry. */
typedef struct upload {
  weight *w;
  const tensor_source *source;
  weight_use use;
} upload;

static dimple_status run_upload(void *of) {
  const upload *u = of;
  return fill(u->w->device, u->w, u->source, u->use);
}

dimple_status ggml_room_weight_upload(context *c, const tensor_source *source, weight_use use, weight **out) {
  if (source->type < 0 || source->type >= GGML_TYPE_COUNT || ggml_blck_size((enum ggml_type)source->type) < 1)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: type %d is not supported by this GGML", source->name, source->type);
  if (source->columns % ggml_blck_size((enum ggml_type)source->type))
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "tensor %s: %lld columns, expected a multiple of %lld", source->name, (long long)source->columns,
                       (long long)ggml_blck_size((enum ggml_type)source->type));
  weight *w = calloc(1, sizeof *w);
  if (!w) return dimple_fail_memory(sizeof *w, source->name);
  static atomic_uint_fast64_t weights;
  *w = (weight){.number = atomic_fetch_add(&weights, 1) + 1, .device = c->device, .type = source->type, .rows = source->rows, .columns = source->columns,
                .matrices = source->matrices ? source->matrices : 1};
  dimple_status status = on_device(c->device, run_upload, &(upload){w, source, use});
  if (status != DIMPLE_OK)
    ggml_room_weight_free(w);
  else
    *out = w;
  return status;
}
