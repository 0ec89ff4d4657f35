#include "model/packing.h"

#include "platform/platform.h"

static int64_t packed_bytes(const dimple_model *m, const wanted_tensor *t) {
  const tensor_want *w = &t->want;
  if (!w->target || w->use == WEIGHT_ROWS) return 0;
  if (w->use == WEIGHT_VECTOR) return w->rows * w->columns * (int64_t)sizeof(float);
  tensor_source source = tensor_list_source(t);
  return m->ops->packed_bytes(m->context, &source);
}

static int64_t packed_total(const dimple_model *m, const tensor_list *list) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < list->count; i++) bytes += packed_bytes(m, &list->tensors[i]);
  return bytes;
}

static void leave_all(tensor_list *list) {
  for (int64_t i = 0; i < list->count; i++) list->tensors[i].want.unpacked = tensor_list_can_stay(&list->tensors[i].want);
}

/* A bank of experts that may stay in the file. */
static bool is_bank(const wanted_tensor *t) { return t->want.matrices > 0 && tensor_list_can_stay(&t->want); }

static bool has_banks(const tensor_list *list) {
  for (int64_t i = 0; i < list->count; i++)
    if (is_bank(&list->tensors[i])) return true;
  return false;
}

void model_choose_packing(dimple_model *m, bool all, int64_t limit) {
  if (all) {
    leave_all(&m->text_tensors);
    leave_all(&m->vision_tensors);
    return;
  }
  if (!m->ops->packed_bytes || !has_banks(&m->text_tensors)) return; /* what is available is asked of a dozen files */
  int64_t available = limit > 0 ? 0 : platform_memory_available();
  if (limit <= 0) limit = available - available / PACKING_SPARED;
  int64_t total = packed_total(m, &m->text_tensors) + packed_total(m, &m->vision_tensors);
  for (int64_t i = m->text_tensors.count - 1; i >= 0 && total > limit; i--) {
    wanted_tensor *t = &m->text_tensors.tensors[i];
    if (!is_bank(t)) continue;
    t->want.unpacked = true;
    total -= packed_bytes(m, t);
  }
}
