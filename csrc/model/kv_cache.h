/* Keys and values of a sequence, layer by layer, as attention reads them. */
#ifndef DIMPLE_KV_CACHE_H
#define DIMPLE_KV_CACHE_H

#include "backend/backend.h"

/* One layer's. Layers of a model may differ in width. */
typedef struct kv_layer {
  view keys, values; /* [capacity x the layer's KV heads * head size], keys already rotated; of halves half as many elements */
} kv_layer;

typedef struct kv_cache {
  int64_t capacity;  /* rows: positions of the sequence; 0: not open */
  int64_t held;      /* rows 0 .. held - 1 hold what passes wrote: a pass sees them all, those behind its own rows too */
  int32_t layer_count;
  kv_layer *layers;
  int64_t bytes;
} kv_cache;

/* What one layer of a pass over rows first .. first + count - 1 sees, and where it writes. Three kinds of passes come of it: one over all
 * rows; one over all behind a prefix that is kept; and one over a block, its rows replaced between a prefix and a suffix that are kept. */
typedef struct kv_window {
  view keys, values;         /* rows 0 .. first + count - 1, or up to what is held behind them */
  view own_keys, own_values; /* the pass's own `count` of them, from `first` on */
} kv_window;

/* A cache of `capacity` rows, none of them held, whose layer i is widths[i] elements wide; of halves, widths[i] / 2. Outside a pass. On failure the cache
 * is closed again. Errors: MEMORY. */
dimple_status kv_cache_open(const backend_operations *ops, context *c, const int64_t *widths, int32_t layer_count, int64_t capacity,
                            kv_cache *cache);
void kv_cache_close(const backend_operations *ops, context *c, kv_cache *cache); /* a zeroed cache is allowed */

kv_window kv_cache_window(const kv_cache *cache, int32_t layer, int64_t first, int64_t count);

/* The first `rows` rows, which successful passes have written, are there from now on for passes over fewer. */
void kv_cache_hold(kv_cache *cache, int64_t rows);

#endif
