/* Keys and values of a sequence, layer by layer, as attention reads them. */
#ifndef DIMPLE_KV_CACHE_H
#define DIMPLE_KV_CACHE_H

#include "backend/backend.h"

/* One layer's. Layers of a model may differ in width, and in how many rows they keep. */
typedef struct kv_layer {
  view keys, values; /* [rows x the layer's KV heads * head size], keys already rotated, or what quant/kv_rows.h makes of them */
  bool slides;       /* fewer rows than positions: the first one is of position cache.base */
} kv_layer;

/* A base is a multiple of this: attention cuts keys into blocks of so many from the first one on, and where the cut falls is seen in the
 * last bit. */
enum { KV_STEP = 96 };

/* What a layer is to be like. */
typedef struct kv_layer_shape {
  int64_t width; /* elements of a row */
  bool windowed; /* rows see no further back than the window */
} kv_layer_shape;

/* What windowed layers keep of a sequence: beside the rows of a pass those that it sees, and room for a few passes until these are moved. */
typedef struct kv_reach {
  int64_t window; /* positions that a row sees, its own one included */
  int64_t pass;   /* rows of a pass, at most */
} kv_reach;

typedef struct kv_cache {
  int64_t capacity;  /* rows: positions of the sequence; 0: not open */
  int64_t held;      /* rows 0 .. held - 1 hold what passes wrote: a pass sees them all, those behind its own rows too */
  int64_t base;      /* of layers that slide: positions before it have fallen out */
  kv_reach reach;    /* pass 0: no layer slides */
  int32_t layer_count;
  kv_layer *layers;
  int64_t bytes;
} kv_cache;

/* What one layer of a pass over rows first .. first + count - 1 sees, and where it writes. Three kinds of passes come of it: one over all
 * rows; one over all behind a prefix that is kept; and one over a block, its rows replaced between a prefix and a suffix that are kept. */
typedef struct kv_window {
  int64_t base;              /* the position of the first row of: */
  view keys, values;         /* rows up to first + count - 1, or up to what is held behind them */
  view own_keys, own_values; /* the pass's own `count` of them, from `first` on */
} kv_window;

/* A cache of `capacity` positions, none of them held, with layers of these shapes. Windowed layers
 * slide if what the reach asks for is fewer rows than that. Outside a pass. On failure the cache is closed again. Errors: MEMORY. */
dimple_status kv_cache_open(const backend_operations *ops, context *c, const kv_layer_shape *shapes, int32_t layer_count, int64_t capacity,
                            kv_reach reach, kv_cache *cache);
void kv_cache_close(const backend_operations *ops, context *c, kv_cache *cache); /* a zeroed cache is allowed */

/* The first position that a pass from row `first` on has to see in a layer that slides. */
static inline int64_t kv_cache_seen_from(const kv_cache *cache, int64_t first) {
  return first < cache->reach.window ? 0 : first + 1 - cache->reach.window;
}

/* The first `rows` rows come from elsewhere: those of them that later ones see have their place, in layers that slide from the base on. */
void kv_cache_begin(kv_cache *cache, int64_t rows);

/* Makes room for a pass over rows first .. first + count - 1, count at most reach.pass, in layers that slide: what it does not see may fall
 * out, the rows that it does are moved. `numbers`: 0, 1, .. (host). A pass from row 0 on begins anew. Outside a pass. After a failure of the
 * backend nothing but that is possible. Errors: STATE (what the pass is to see has fallen out); the backend's. */
dimple_status kv_cache_slide(const backend_operations *ops, context *c, const int32_t *numbers, int64_t first, int64_t count, kv_cache *cache);

kv_window kv_cache_window(const kv_cache *cache, int32_t layer, int64_t first, int64_t count);

/* The first `rows` rows, which successful passes have written, are there from now on for passes over fewer. */
void kv_cache_hold(kv_cache *cache, int64_t rows);

#endif
