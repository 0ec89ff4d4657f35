#include "transformer/tensor_list.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "quant/block_formats.h"

tensor_list tensor_list_of(const gguf_parts *files) { return (tensor_list){.files = files}; }

void tensor_list_close(tensor_list *list) {
  free(list->tensors);
  *list = (tensor_list){0};
}

bool tensor_list_has(const tensor_list *list, const char *name) {
  const gguf_file *file;
  return gguf_parts_find_tensor(list->files, name, &file) != NULL;
}

/* ------------------------------------------------------------------------------------------------------------- what is wanted */

/* Adds an entry whose name is the formatted one and `suffix`. */
static void want(tensor_list *list, tensor_want what, const char *suffix, const char *format, va_list arguments) {
  bool full = list->count == 0 || (list->count >= 64 && (list->count & (list->count - 1)) == 0); /* doubles at powers of two from 64 */
  if (full) {
    size_t room = list->count == 0 ? 64 : 2 * (size_t)list->count;
    wanted_tensor *tensors = realloc(list->tensors, room * sizeof *tensors);
    list->out_of_memory |= !tensors;
    if (tensors) list->tensors = tensors;
  }
  if (list->out_of_memory) return;
  wanted_tensor *entry = &list->tensors[list->count++];
  entry->want = what;
  entry->found = NULL;
  entry->packed = NULL;
  entry->packed_unproven = false;
  entry->kept = NULL;
  int written = vsnprintf(entry->name, sizeof entry->name, format, arguments);
  if (*suffix && written >= 0 && (size_t)written < sizeof entry->name)
    snprintf(entry->name + written, sizeof entry->name - (size_t)written, "%s", suffix);
}

void want_matrix(tensor_list *list, weight_use use, int64_t rows, int64_t columns, weight **target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = rows, .columns = columns, .use = use, .target = target}, "", format, arguments);
  va_end(arguments);
}

void want_vector(tensor_list *list, int64_t length, weight **target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = 1, .columns = length, .use = WEIGHT_VECTOR, .target = target}, "", format, arguments);
  va_end(arguments);
}

void want_table(tensor_list *list, int64_t length, const uint8_t **target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = 1, .columns = length, .table = target}, "", format, arguments);
  va_end(arguments);
}

float table_at(const uint8_t *table, int64_t index) {
  float value;
  memcpy(&value, table + index * (int64_t)sizeof value, sizeof value);
  return value;
}

void want_linear(tensor_list *list, int64_t rows, int64_t columns, bias_rule bias, linear_weights *target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = rows, .columns = columns, .use = WEIGHT_LINEAR, .target = &target->w}, ".weight", format, arguments);
  va_end(arguments);
  if (bias == BIAS_NONE) return;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = 1, .columns = rows, .use = WEIGHT_VECTOR, .target = &target->bias}, ".bias", format, arguments);
  va_end(arguments);
}

void want_paired(tensor_list *list, int64_t rows, int64_t columns, int32_t head_size, linear_weights *target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.rows = rows, .columns = columns, .paired_heads = head_size, .use = WEIGHT_LINEAR, .target = &target->w},
       ".weight", format, arguments);
  va_end(arguments);
}

void want_part(tensor_list *list, int64_t all, int64_t first, int64_t rows, int64_t columns, linear_weights *target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.part_of = all, .part_first = first, .rows = rows, .columns = columns, .use = WEIGHT_LINEAR, .target = &target->w},
       ".weight", format, arguments);
  va_end(arguments);
}

void want_bank(tensor_list *list, int64_t matrices, int64_t rows, int64_t columns, weight **target, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  want(list, (tensor_want){.matrices = matrices, .rows = rows, .columns = columns, .use = WEIGHT_LINEAR, .target = target}, "", format, arguments);
  va_end(arguments);
}

/* --------------------------------------------------------------------------------------------------------------- what is there */

static dimple_status find_tensor(const tensor_list *l, wanted_tensor *wanted) {
  const char *name = wanted->name;
  const tensor_want *w = &wanted->want;
  int64_t rows = w->part_of ? w->part_of : (w->matrices ? w->matrices : 1) * w->rows, columns = w->columns;
  const gguf_file *file = NULL;
  const gguf_tensor *t = gguf_parts_find_tensor(l->files, name, &file);
  if (!t) return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s is missing", gguf_path(l->files->files[0]), name);
  const char *path = gguf_path(file);
  const int64_t *d = t->dimensions;
  /* Columns may be spread over several dimensions (a patch kernel's are), and so may rows (a bank of experts). */
  int64_t inner = 1;
  int used = 0;
  while (used < t->dimension_count && inner < columns) inner *= d[used++];
  int64_t outer = 1;
  while (used < t->dimension_count) outer *= d[used++];
  if (inner != columns || outer != rows)
    return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s has shape [%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "], expected %" PRId64 " row%s of %" PRId64,
                       path, name, d[0], d[1], d[2], d[3], rows, rows == 1 ? "" : "s", columns);
  const block_format *format = block_format_of(t->type);
  if (!format || !t->data)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED,
                       "%s: tensor %s has type %s (%d), which this library does not read; make the file of the model's F16 or BF16 file in another "
                       "type, such as Q4_K_M", path, name, block_format_type_name(t->type), t->type);
  DIMPLE_TRY(block_format_check_columns(format, columns, DIMPLE_ERROR_FORMAT, "%s: tensor %s: rows of %" PRId64, path, name, columns));
  if (wanted->want.table && t->type != DIMPLE_TENSOR_F32)
    return dimple_fail(DIMPLE_ERROR_UNSUPPORTED, "%s: tensor %s has type %s, expected f32", path, name, block_format_type_name(t->type));
  for (int64_t i = 0; wanted->want.table && i < columns; i++)
    if (!isfinite(table_at(t->data, i)))
      return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s holds %g at %" PRId64 ", expected finite numbers", path, name, (double)table_at(t->data, i), i);
  wanted->file = file;
  wanted->found = t;
  return DIMPLE_OK;
}

dimple_status tensor_list_check(const tensor_list *list, int64_t index) {
  return find_tensor(list, &list->tensors[index]);
}

dimple_status tensor_list_check_all(const tensor_list *list) {
  if (list->out_of_memory) return dimple_fail_memory((uint64_t)(2 * list->count) * sizeof *list->tensors, "the list of tensors");
  for (int64_t i = 0; i < list->count; i++) DIMPLE_TRY(tensor_list_check(list, i));
  return DIMPLE_OK;
}

/* --------------------------------------------------------------------------------------------------------------------- packing */

/* Where packed weights go and what they came to. */
typedef struct loader {
  const backend_operations *ops;
  context *context;
  tensor_totals *totals;
} loader;

bool tensor_list_can_stay(const tensor_want *want) { return want->target && want->use == WEIGHT_LINEAR && want->paired_heads == 0; }

static weight_use use_of(const tensor_want *w) { return w->unpacked && tensor_list_can_stay(w) ? WEIGHT_UNPACKED : w->use; }

int64_t tensor_list_file_bytes(const wanted_tensor *wanted) {
  const tensor_want *w = &wanted->want;
  return (w->matrices ? w->matrices : 1) * w->rows * block_format_row_size(block_format_of(wanted->found->type), w->columns);
}

/* `data` are rows of the file, or in memory. */
static tensor_source source_of(const wanted_tensor *wanted, const uint8_t *data, bool of_file) {
  const tensor_want *w = &wanted->want;
  return (tensor_source){.name = wanted->name, .type = wanted->found->type, .rows = w->rows, .columns = w->columns, .data = data, .file = of_file ? gguf_mapping(wanted->file) : NULL,
                         .matrices = w->matrices, .stage = w->stage, .also_last = w->also_last, .packed = wanted->packed, .packed_unproven = wanted->packed_unproven};
}

bool tensor_list_is_packed(const wanted_tensor *wanted) { return wanted->want.target && use_of(&wanted->want) == WEIGHT_LINEAR; }

tensor_source tensor_list_source(const wanted_tensor *wanted) { return source_of(wanted, wanted->found->data, true); }

/* GGML's kernels round activations and look for largest scores in ways that pass over NaN, so that a spoilt weight may leave no trace in the logits. */
static dimple_status check_numbers(const wanted_tensor *wanted, const uint8_t *data) {
  const block_format *format = block_format_of(wanted->found->type);
  int64_t at = block_format_find_not_finite(format, data, tensor_list_file_bytes(wanted) / format->block_size);
  if (at < 0) return DIMPLE_OK;
  return dimple_fail(DIMPLE_ERROR_FORMAT, "%s: tensor %s holds a NaN or an infinite number in the %" PRId32 " elements from %" PRId64 " on, expected finite numbers",
                     gguf_path(wanted->file), wanted->name, format->block_length, at);
}

static void note_packed(const loader *l, const wanted_tensor *wanted, const tensor_source *source) {
  int64_t count = wanted->want.matrices ? wanted->want.matrices : 1;
  for (int64_t i = 0; wanted->kept && i < count; i++)
    if (!l->ops->packed_part(l->context, *wanted->want.target, source, i, &wanted->kept[i])) wanted->kept[i] = (packed_part){0};
}

static dimple_status upload(const loader *l, const wanted_tensor *wanted, const uint8_t *data, bool of_file) {
  const tensor_want *w = &wanted->want;
  tensor_source source = source_of(wanted, data, of_file);
  if (backend_is_device(l->ops->name)) DIMPLE_TRY(check_numbers(wanted, data));
  DIMPLE_TRY(l->ops->weight_upload(l->context, &source, use_of(w), w->target));
  note_packed(l, wanted, &source);
  if (use_of(w) == WEIGHT_UNPACKED && l->ops->packed_bytes) l->totals->unpacked += tensor_list_file_bytes(wanted);
  l->totals->elements += (w->matrices ? w->matrices : 1) * w->rows * w->columns;
  l->totals->bytes += l->ops->weight_bytes(*w->target);
  return DIMPLE_OK;
}

/* The rows of every head, even ones first. */
static dimple_status upload_reordered(const loader *l, const wanted_tensor *wanted) {
  int64_t rows = wanted->want.rows, size = wanted->want.paired_heads, half = size / 2;
  int64_t row_size = block_format_row_size(block_format_of(wanted->found->type), wanted->want.columns);
  uint8_t *reordered = malloc((size_t)(rows * row_size));
  if (!reordered) return dimple_fail_memory((uint64_t)(rows * row_size), wanted->name);
  for (int64_t row = 0; row < rows; row++) {
    int64_t head = row / size, j = row % size;
    int64_t from = head * size + (j < half ? 2 * j : 2 * (j - half) + 1);
    memcpy(reordered + row * row_size, wanted->found->data + from * row_size, (size_t)row_size);
  }
  dimple_status status = upload(l, wanted, reordered, false);
  free(reordered);
  return status;
}

static dimple_status load_tensor(const loader *l, const wanted_tensor *wanted) {
  if (wanted->want.table) {
    *wanted->want.table = wanted->found->data;
    l->totals->elements += wanted->want.columns;
    return DIMPLE_OK;
  }
  int64_t skipped = wanted->want.part_first * block_format_row_size(block_format_of(wanted->found->type), wanted->want.columns);
  DIMPLE_TRY(wanted->want.paired_heads > 0 ? upload_reordered(l, wanted) : upload(l, wanted, wanted->found->data + skipped, true));
  weight_use use = use_of(&wanted->want);
  if (wanted->want.part_first + wanted->want.rows < wanted->want.part_of) return DIMPLE_OK; /* the last part lets go of the whole */
  if (use == WEIGHT_LINEAR || use == WEIGHT_VECTOR) gguf_release(wanted->file, wanted->found);
  return DIMPLE_OK;
}

dimple_status tensor_list_load(const tensor_list *list, const backend_operations *ops, context *c, tensor_totals *totals) {
  loader l = {ops, c, totals};
  for (int64_t i = 0; i < list->count; i++) DIMPLE_TRY(load_tensor(&l, &list->tensors[i]));
  return DIMPLE_OK;
}

void tensor_list_unload(const tensor_list *list, const backend_operations *ops) {
  for (int64_t i = 0; i < list->count; i++) {
    if (!list->tensors[i].want.target) continue;
    ops->weight_free(*list->tensors[i].want.target);
    *list->tensors[i].want.target = NULL;
  }
}
