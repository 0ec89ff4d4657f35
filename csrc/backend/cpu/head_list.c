#include "backend/cpu/head_list.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

/* Memory for what a wave takes: enough chunks for many threads; and chunks of the first wave. */
enum { WAVE_BYTES = 4 << 20, FIRST_WAVE = 4 };

_Static_assert((2 * HEAD_LIST_MOST + HEAD_CHUNK) * sizeof(float) <= CPU_SCRATCH, "a thread's scratch memory holds the logits of a row's list");

/* Null: no memory. */
static int32_t *classes_of_tokens(const head_call *call) {
  const head_partition *p = call->classes->partition;
  int32_t *of = malloc((size_t)call->w->rows * sizeof *of);
  for (int64_t t = 0; of && t < call->w->rows; t++) of[t] = -1;
  for (int32_t s = 0; of && s < p->segments; s++)
    for (int32_t i = p->segment_first[s]; i < p->segment_first[s + 1]; i++) of[p->tokens[i]] = p->segment_class[s];
  return of;
}

dimple_status cpu_list_open(const head_call *call, const cpu_kernels *kernels, int64_t rows, int64_t chunks, list_reduction *out) {
  *out = (list_reduction){.call = call, .kernels = kernels, .wave = chunks};
  if (!call->list || rows == 0) return DIMPLE_OK;
  out->room = smaller(call->list->count, HEAD_CHUNK);
  out->row_room = 2 * (int64_t)call->list->count + out->room;
  out->wave = smaller(chunks, larger(1, WAVE_BYTES / (rows * out->room * (int64_t)sizeof *out->taken)));
  size_t taken = (size_t)(rows * out->wave * out->room) * sizeof *out->taken, kept = (size_t)(rows * out->row_room) * sizeof *out->kept;
  out->taken = malloc(taken);
  out->kept = malloc(kept);
  out->taken_count = malloc((size_t)(rows * out->wave) * sizeof *out->taken_count);
  out->kept_count = malloc((size_t)rows * sizeof *out->kept_count);
  out->bound = malloc((size_t)rows * sizeof *out->bound);
  if (call->list->among_classes) out->classes = classes_of_tokens(call);
  bool classes = out->classes || !call->list->among_classes;
  if (out->taken && out->kept && out->taken_count && out->kept_count && out->bound && classes) return DIMPLE_OK;
  cpu_list_close(out);
  return dimple_fail_memory(taken + kept, "the highest logits");
}

void cpu_list_close(list_reduction *l) {
  free(l->taken);
  free(l->kept);
  free(l->taken_count);
  free(l->kept_count);
  free(l->bound);
  free(l->classes);
  *l = (list_reduction){0};
}

void cpu_list_begin(list_reduction *l, int64_t rows) {
  for (int64_t r = 0; l->kept && r < rows; r++) {
    l->kept_count[r] = 0;
    l->bound[r] = -INFINITY;
  }
}

int64_t cpu_list_wave(const list_reduction *l, int64_t done) { return l->kept ? smaller(l->wave, larger(FIRST_WAVE, done)) : l->wave; }

/* The `rank`-th highest, from 1, of values [count >= rank], which it reorders. */
static float highest_of(float *values, int64_t count, int64_t rank) {
  int64_t low = 0, high = count - 1, at = rank - 1;
  while (low < high) {
    float pivot = values[low + (high - low) / 2];
    int64_t i = low, j = high;
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i > j) break;
      float held = values[i];
      values[i++] = values[j];
      values[j--] = held;
    }
    if (at <= j) high = j;
    else if (at >= i) low = i;
    else break;
  }
  return values[at];
}

/* Leaves the `most` highest of items [count > most], whose order stays; among equals the first. Returns the lowest logit that is left. */
static float keep_highest(listed *items, int64_t count, int64_t most, float *scratch) {
  for (int64_t i = 0; i < count; i++) scratch[i] = items[i].logit;
  float lowest = highest_of(scratch, count, most);
  int64_t equal = most, next = 0;
  for (int64_t i = 0; i < count; i++) equal -= items[i].logit > lowest;
  for (int64_t i = 0; i < count; i++) {
    bool stays = items[i].logit > lowest || (items[i].logit == lowest && equal-- > 0);
    if (stays) items[next++] = items[i];
  }
  return lowest;
}

/* The logits of a chunk that may be listed, the others -inf. */
static void leave_wanted(const list_reduction *l, int64_t at, int64_t chunk, const float *z, int64_t count, float *out) {
  const head_classes *k = l->call->classes;
  const uint8_t *wanted = k->wanted + at * k->partition->classes;
  const int32_t *classes = l->classes + chunk * HEAD_CHUNK;
  for (int64_t i = 0; i < count; i++) out[i] = classes[i] >= 0 && wanted[classes[i]] ? z[i] : -INFINITY;
}

void cpu_list_take(const list_reduction *l, int64_t row, int64_t at, int64_t chunk, int64_t place, const float *z, int64_t count) {
  if (!l->kept) return;
  int32_t places[HEAD_CHUNK];
  listed found[HEAD_CHUNK];
  float logits[HEAD_CHUNK], wanted[HEAD_CHUNK];
  if (l->classes) {
    leave_wanted(l, at, chunk, z, count, wanted);
    z = wanted;
  }
  int64_t above = l->kernels->find_above(z, count, l->bound[row], places), slot = row * l->wave + place;
  for (int64_t i = 0; i < above; i++) found[i] = (listed){z[places[i]], (int32_t)(chunk * HEAD_CHUNK) + places[i]};
  if (above > l->room) keep_highest(found, above, l->room, logits);
  l->taken_count[slot] = (int32_t)smaller(above, l->room);
  memcpy(l->taken + slot * l->room, found, (size_t)l->taken_count[slot] * sizeof *found);
}

/* Leaves what is to be listed of a row that holds more. */
static void trim(const list_reduction *l, int64_t row, void *scratch) {
  l->bound[row] = keep_highest(l->kept + row * l->row_room, l->kept_count[row], l->call->list->count, scratch);
  l->kept_count[row] = l->call->list->count;
}

void cpu_list_merge(const list_reduction *l, int64_t row, int64_t count, void *scratch) {
  if (!l->kept) return;
  int64_t most = l->call->list->count, *kept = &l->kept_count[row];
  listed *items = l->kept + row * l->row_room;
  for (int64_t slot = row * l->wave; slot < row * l->wave + count; slot++) {
    const listed *taken = l->taken + slot * l->room;
    for (int32_t i = 0; i < l->taken_count[slot]; i++)
      if (taken[i].logit > l->bound[row]) items[(*kept)++] = taken[i];
    if (*kept > 2 * most) trim(l, row, scratch);
  }
  if (*kept > most + most / 4) trim(l, row, scratch);
}

void cpu_list_finish(const list_reduction *l, int64_t row, int64_t at, void *scratch) {
  if (!l->kept) return;
  const head_list *list = l->call->list;
  listed *items = l->kept + row * l->row_room;
  if (l->kept_count[row] > list->count) keep_highest(items, l->kept_count[row], list->count, scratch);
  int64_t count = smaller(l->kept_count[row], list->count);
  for (int64_t i = 0; i < list->count; i++) {
    list->tokens[at * list->count + i] = i < count ? items[i].token : -1;
    list->logits[at * list->count + i] = i < count ? items[i].logit : -INFINITY;
  }
}
