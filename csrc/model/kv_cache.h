/* Keys and values of a sequence, layer by layer, as attention reads them. */
#ifndef DIMPLE_KV_CACHE_H
#define DIMPLE_KV_CACHE_H

#include "backend/backend.h"

/* One layer's. Layers of a model may differ in width. */
typedef struct kv_layer {
  view keys, values; /* [capacity x the layer's KV heads * head size], keys already rotated */
} kv_layer;

typedef struct kv_cache {
  int64_t capacity;  /* rows: positions of the sequence; 0: not open */
  int64_t committed; /* rows 0 .. committed - 1 are final: later passes see them and do not run them again */
  int32_t layer_count;
  kv_layer *layers;
  buffer *keys, *values; /* of all layers, one after the other */
  int64_t bytes;
} kv_cache;

/* What one layer of a pass over rows first .. first + count - 1 sees, and where it writes. */
typedef struct kv_window {
  view keys, values;         /* rows 0 .. first + count - 1 */
  view own_keys, own_values; /* the last `count` of them */
} kv_window;

/* A cache of `capacity` rows, none of them committed, whose layer i is widths[i] elements wide. Outside a pass. On failure the cache
 * is closed again. Errors: MEMORY. */
dimple_status kv_cache_open(const backend_operations *ops, context *c, const int64_t *widths, int32_t layer_count, int64_t capacity,
                            kv_cache *cache);
void kv_cache_close(const backend_operations *ops, context *c, kv_cache *cache); /* a zeroed cache is allowed */

kv_window kv_cache_window(const kv_cache *cache, int32_t layer, int64_t first, int64_t count);

/* The first `rows` rows, which a successful pass has written, are final from now on. */
void kv_cache_commit(kv_cache *cache, int64_t rows);

#endif
