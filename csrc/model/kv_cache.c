#include "model/kv_cache.h"

#include <stdlib.h>

#include "error.h"

/* Rows that stay when a layer slides, at most: what is seen, and up to a step that is not. */
static int64_t staying_rows(const kv_cache *cache) { return cache->reach.window - 1 + KV_STEP; }

/* Of a layer that slides: what stays is moved to where it has not been, so that a move that failed has damaged nothing that the next one wants. */
static int64_t sliding_rows(const kv_cache *cache) { return 2 * staying_rows(cache) + cache->reach.pass; }

/* Layers have buffers of their own: they may lie on different devices. */
static dimple_status allocate(const backend_operations *ops, context *c, const kv_layer_shape *shapes, kv_cache *cache) {
  cache->layers = calloc((size_t)cache->layer_count + 1, sizeof *cache->layers);
  if (!cache->layers) return dimple_fail_memory((uint64_t)cache->layer_count * sizeof *cache->layers, "the cache's layers");
  for (int32_t i = 0; i < cache->layer_count; i++) {
    kv_layer *l = &cache->layers[i];
    l->slides = shapes[i].windowed && cache->reach.pass > 0;
    view all = {.rows = l->slides ? sliding_rows(cache) : cache->capacity, .columns = shapes[i].width, .stride = shapes[i].width};
    l->keys = l->values = all;
    DIMPLE_TRY(ops->buffer_alloc(c, all.rows * all.columns, &l->keys.memory));
    DIMPLE_TRY(ops->buffer_alloc(c, all.rows * all.columns, &l->values.memory));
    cache->bytes += (int64_t)sizeof(float) * 2 * all.rows * all.columns;
  }
  return DIMPLE_OK;
}

dimple_status kv_cache_open(const backend_operations *ops, context *c, const kv_layer_shape *shapes, int32_t layer_count, int64_t capacity,
                            kv_reach reach, kv_cache *cache) {
  bool windows = false;
  for (int32_t i = 0; i < layer_count; i++) windows |= shapes[i].windowed;
  *cache = (kv_cache){.capacity = capacity, .layer_count = layer_count, .reach = reach};
  if (!windows || sliding_rows(cache) >= capacity) cache->reach.pass = 0;
  dimple_status status = allocate(ops, c, shapes, cache);
  if (status != DIMPLE_OK) kv_cache_close(ops, c, cache);
  return status;
}

void kv_cache_close(const backend_operations *ops, context *c, kv_cache *cache) {
  for (int32_t i = 0; cache->layers && i < cache->layer_count; i++) {
    ops->buffer_free(c, cache->layers[i].keys.memory);
    ops->buffer_free(c, cache->layers[i].values.memory);
  }
  free(cache->layers);
  *cache = (kv_cache){0};
}

static int64_t base_of(int64_t seen) { return seen - seen % KV_STEP; }

void kv_cache_begin(kv_cache *cache, int64_t rows) {
  if (cache->reach.pass > 0) cache->base = base_of(kv_cache_seen_from(cache, rows));
}

static dimple_status record_move(const backend_operations *ops, context *c, const int32_t *numbers, const kv_cache *cache, int64_t from,
                                 int64_t rows) {
  for (int32_t i = 0; i < cache->layer_count; i++) {
    const kv_layer *l = &cache->layers[i];
    if (!l->slides) continue;
    DIMPLE_TRY(ops->gather_rows(c, view_rows(l->keys, 0, rows), view_rows(l->keys, from, rows), numbers));
    DIMPLE_TRY(ops->gather_rows(c, view_rows(l->values, 0, rows), view_rows(l->values, from, rows), numbers));
  }
  return DIMPLE_OK;
}

dimple_status kv_cache_slide(const backend_operations *ops, context *c, const int32_t *numbers, int64_t first, int64_t count, kv_cache *cache) {
  if (cache->reach.pass == 0) return DIMPLE_OK;
  if (first == 0) cache->base = 0;
  int64_t seen = kv_cache_seen_from(cache, first), base = base_of(seen);
  if (seen < cache->base)
    return dimple_fail(DIMPLE_ERROR_STATE, "keys and values of position %lld, which position %lld sees, have fallen out of the window of %lld",
                       (long long)seen, (long long)first, (long long)cache->reach.window);
  if (first + count - cache->base <= sliding_rows(cache)) return DIMPLE_OK;
  DIMPLE_TRY(ops->pass_begin(c, NULL));
  dimple_status status = ops->pass_end(c, record_move(ops, c, numbers, cache, base - cache->base, first - base));
  cache->base = status == DIMPLE_OK ? base : INT64_MAX; /* of what was moved in part, nothing is known */
  return status;
}

kv_window kv_cache_window(const kv_cache *cache, int32_t layer, int64_t first, int64_t count) {
  const kv_layer *l = &cache->layers[layer];
  int64_t base = l->slides ? cache->base : 0, seen = (first + count > cache->held ? first + count : cache->held) - base;
  return (kv_window){.base = base, .keys = view_rows(l->keys, 0, seen), .values = view_rows(l->values, 0, seen),
                     .own_keys = view_rows(l->keys, first - base, count), .own_values = view_rows(l->values, first - base, count)};
}

void kv_cache_hold(kv_cache *cache, int64_t rows) { cache->held = rows; }
