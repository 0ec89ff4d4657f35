#include "model/kv_cache.h"

#include "allocate.h"

static dimple_status allocate(const backend_operations *ops, context *c, const int64_t *widths, kv_cache *cache) {
  int64_t count = 0;
  for (int32_t i = 0; i < cache->layer_count; i++) count += cache->capacity * widths[i];
  DIMPLE_TRY(ops->buffer_alloc(c, count, &cache->keys));
  DIMPLE_TRY(ops->buffer_alloc(c, count, &cache->values));
  ALLOCATE(cache->layers, cache->layer_count, "the cache's layers");
  cache->bytes = (int64_t)sizeof(float) * 2 * count;
  return DIMPLE_OK;
}

static view layer_view(buffer *memory, int64_t first, int64_t rows, int64_t columns) {
  return (view){.memory = memory, .first = first, .rows = rows, .columns = columns, .stride = columns};
}

dimple_status kv_cache_open(const backend_operations *ops, context *c, const int64_t *widths, int32_t layer_count, int64_t capacity,
                            kv_cache *cache) {
  *cache = (kv_cache){.capacity = capacity, .layer_count = layer_count};
  dimple_status status = allocate(ops, c, widths, cache);
  if (status != DIMPLE_OK) {
    kv_cache_close(ops, c, cache);
    return status;
  }
  int64_t first = 0;
  for (int32_t i = 0; i < layer_count; i++) {
    cache->layers[i] = (kv_layer){.keys = layer_view(cache->keys, first, capacity, widths[i]),
                                  .values = layer_view(cache->values, first, capacity, widths[i])};
    first += capacity * widths[i];
  }
  return DIMPLE_OK;
}

void kv_cache_close(const backend_operations *ops, context *c, kv_cache *cache) {
  ops->buffer_free(c, cache->keys);
  ops->buffer_free(c, cache->values);
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
