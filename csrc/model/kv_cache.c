#include "model/kv_cache.h"

#include <stdlib.h>

#include "error.h"

/* Layers have buffers of their own: they may lie on different devices. */
static dimple_status allocate(const backend_operations *ops, context *c, const int64_t *widths, kv_cache *cache) {
  cache->layers = calloc((size_t)cache->layer_count + 1, sizeof *cache->layers);
  if (!cache->layers) return dimple_fail_memory((uint64_t)cache->layer_count * sizeof *cache->layers, "the cache's layers");
  for (int32_t i = 0; i < cache->layer_count; i++) {
    view all = {.rows = cache->capacity, .columns = widths[i], .stride = widths[i]};
    kv_layer *l = &cache->layers[i];
    l->keys = l->values = all;
    DIMPLE_TRY(ops->buffer_alloc(c, all.rows * all.columns, &l->keys.memory));
    DIMPLE_TRY(ops->buffer_alloc(c, all.rows * all.columns, &l->values.memory));
    cache->bytes += (int64_t)sizeof(float) * 2 * all.rows * all.columns;
  }
  return DIMPLE_OK;
}

dimple_status kv_cache_open(const backend_operations *ops, context *c, const int64_t *widths, int32_t layer_count, int64_t capacity,
                            kv_cache *cache) {
  *cache = (kv_cache){.capacity = capacity, .layer_count = layer_count};
  dimple_status status = allocate(ops, c, widths, cache);
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

kv_window kv_cache_window(const kv_cache *cache, int32_t layer, int64_t first, int64_t count) {
  const kv_layer *l = &cache->layers[layer];
  int64_t seen = first + count > cache->held ? first + count : cache->held;
  return (kv_window){.keys = view_rows(l->keys, 0, seen), .values = view_rows(l->values, 0, seen),
                     .own_keys = view_rows(l->keys, first, count), .own_values = view_rows(l->values, first, count)};
}

void kv_cache_hold(kv_cache *cache, int64_t rows) { cache->held = rows; }
