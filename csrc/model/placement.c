#include "model/placement.h"

#include <inttypes.h>
#include <stdlib.h>

#include "backend/split.h"
#include "error.h"

/* --------------------------------------------------------------------------------------------------------------- stages */

/* Where in a pass a tensor of the text model is needed, by where it goes. What belongs to no layer is needed ahead of them, but for what makes logits. */
static int32_t stage_of(const dimple_model *m, const tensor_want *want) {
  uintptr_t target = (uintptr_t)want->target, layers = (uintptr_t)m->weights.layers, size = sizeof *m->weights.layers;
  if (target >= layers && target < layers + size * (uintptr_t)m->text.layers) return 1 + (int32_t)((target - layers) / size);
  return want->target == &m->weights.output || want->target == &m->weights.output_norm ? m->text.layers + 1 : 0;
}

/* Tensors of a vision tower are needed ahead of all, as they are already. The head takes means of embeddings where there are canvases. */
static void set_stages(dimple_model *m) {
  for (int64_t i = 0; i < m->text_tensors.count; i++) {
    tensor_want *want = &m->text_tensors.tensors[i].want;
    if (!want->target) continue;
    want->stage = stage_of(m, want);
    want->also_last = m->text.canvases && want->target == &m->weights.embedding;
  }
}

static int64_t bytes_of(const wanted_tensor *t) { return t->want.target ? tensor_list_file_bytes(t) : 0; }

/* Bytes that each stage's weights have in the file, and those that the last one has beside its own: also_last's. */
static void weigh(const dimple_model *m, int64_t *stages) {
  for (int64_t i = 0; i < m->text_tensors.count; i++) {
    const wanted_tensor *t = &m->text_tensors.tensors[i];
    stages[t->want.stage] += bytes_of(t);
    if (t->want.also_last) stages[m->text.layers + 1] += bytes_of(t);
  }
  for (int64_t i = 0; i < m->vision_tensors.count; i++) stages[0] += bytes_of(&m->vision_tensors.tensors[i]);
}

/* --------------------------------------------------------------------------------------------------------------- shares */

/* A backend and what it takes. */
typedef struct share {
  const backend_operations *ops;
  int64_t free, total; /* total 0: not known, no limit */
  int32_t first, end;  /* of the layers */
} share;

typedef struct shares {
  share items[SPLIT_MOST_PARTS];
  int32_t count;
  const backend_operations *host; /* of the layers behind theirs; null: they take them all */
} shares;

/* Cuts layers 0 .. count - 1 by free memory, or evenly where one does not say what it has. */
static void cut(shares *s, int32_t count) {
  double all = 0, before = 0;
  bool known = true;
  for (int32_t i = 0; i < s->count; i++) {
    known &= s->items[i].total > 0;
    all += (double)s->items[i].free;
  }
  for (int32_t i = 0; i < s->count; i++) {
    share *one = &s->items[i];
    one->first = i > 0 ? s->items[i - 1].end : 0;
    before += known && all > 0 ? (double)one->free / all : 1.0 / s->count;
    one->end = i + 1 == s->count ? count : (int32_t)(before * count + 0.5);
  }
}

static int64_t cache_bytes(const dimple_model *m, int32_t layer) {
  return PLACEMENT_POSITIONS * 2 * layer_kv_width(&m->text.layer[layer]) * (int64_t)sizeof(float);
}

/* What a share's weights take, what ends the pass with the last layer too. */
static int64_t weight_bytes(const dimple_model *m, const share *one, const int64_t *stages) {
  int64_t bytes = one->first == 0 && one->end > 0 ? stages[0] : 0;
  for (int32_t i = one->first; i < one->end; i++) bytes += stages[1 + i];
  return one->end == m->text.layers && one->end > one->first ? bytes + stages[1 + m->text.layers] : bytes;
}

static int64_t pass_bytes(const dimple_model *m, const share *one) {
  int64_t bytes = PLACEMENT_PASS_BYTES;
  for (int32_t i = one->first; i < one->end; i++) bytes += cache_bytes(m, i);
  return bytes;
}

/* The first share that does not fit, or null. */
static const share *too_large(const dimple_model *m, const shares *s, const int64_t *stages) {
  for (int32_t i = 0; i < s->count; i++) {
    const share *one = &s->items[i];
    if (one->end > one->first && one->total > 0 && weight_bytes(m, one, stages) + pass_bytes(m, one) > one->free) return one;
  }
  return NULL;
}

static dimple_status refuse(const dimple_model *m, const share *one, const int64_t *stages) {
  int64_t weights = weight_bytes(m, one, stages), passes = pass_bytes(m, one);
  return dimple_fail(DIMPLE_ERROR_MEMORY,
                     "%s: layers %d to %d of %d need %" PRId64 " MiB (%" PRId64 " of weights, %" PRId64 " for passes), but %" PRId64 " of %" PRId64
                     " MiB are free; give it fewer layers, or name more devices",
                     one->ops->name, one->first, one->end - 1, m->text.layers, (weights + passes) >> 20, weights >> 20, passes >> 20, one->free >> 20, one->total >> 20);
}

/* As many layers as are asked for, or as fit. */
static dimple_status share_out(const dimple_model *m, shares *s, int32_t wanted, const int64_t *stages) {
  int32_t layers = wanted > 0 ? wanted : m->text.layers;
  for (; layers > 0; layers--) {
    cut(s, layers);
    const share *large = too_large(m, s, stages);
    if (!large) return DIMPLE_OK;
    if (wanted > 0 || layers == 1) return refuse(m, large, stages);
  }
  return DIMPLE_OK;
}

static dimple_status ask_devices(const backend_names *list, shares *s) {
  bool devices = false;
  for (int32_t i = 0; i < list->count; i++) devices |= is_plugin_device(list->backends[i]);
  for (int32_t i = 0; i < list->count; i++) {
    share one = {.ops = list->backends[i]};
    if (devices && i + 1 == list->count && !is_plugin_device(one.ops)) {
      s->host = one.ops;
      return DIMPLE_OK;
    }
    DIMPLE_TRY(device_memory(one.ops, &one.free, &one.total));
    s->items[s->count++] = one;
  }
  return devices ? backend_select("cpu", &s->host) : DIMPLE_OK;
}

/* Shares without layers are left out, and a model on one backend is not split. */
static dimple_status open_shares(dimple_model *m, const shares *s) {
  split_part parts[SPLIT_MOST_PARTS + 1];
  int32_t count = 0, end = 0;
  for (int32_t i = 0; i < s->count; i++) {
    if (s->items[i].end == s->items[i].first) continue;
    end = s->items[i].end;
    parts[count++] = (split_part){s->items[i].ops, 1 + end};
  }
  if (end < m->text.layers) parts[count++] = (split_part){s->host, m->text.layers + 2};
  m->ops = parts[0].ops;
  if (count == 1) return DIMPLE_OK;
  if (count > SPLIT_MOST_PARTS) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "a model is split over %d devices, expected at most %d", count, SPLIT_MOST_PARTS);
  return split_open(parts, count, &m->ops);
}

dimple_status model_place(dimple_model *m, const backend_names *list, int32_t layers) {
  shares s = {.count = 0};
  if (layers < 0 || layers > m->text.layers)
    return dimple_fail(DIMPLE_ERROR_ARGUMENT, "device_layers is %d, expected 0 (as many as fit) to %d", layers, m->text.layers);
  DIMPLE_TRY(ask_devices(list, &s));
  if (layers > 0 && !s.host) return dimple_fail(DIMPLE_ERROR_ARGUMENT, "device_layers is %d, but backend %s is no device", layers, list->backends[0]->name);
  set_stages(m);
  int64_t *stages = calloc((size_t)m->text.layers + 2, sizeof *stages);
  if (!stages) return dimple_fail_memory(((uint64_t)m->text.layers + 2) * sizeof *stages, "what stages weigh");
  weigh(m, stages);
  dimple_status status = share_out(m, &s, layers, stages);
  free(stages);
  return status == DIMPLE_OK ? open_shares(m, &s) : status;
}
