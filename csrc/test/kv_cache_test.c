/* The cache of keys and values: where layers lie, what a pass sees, what stays. */
#include "error.h"
#include "model/kv_cache.h"
#include "test/expect.h"
#include "test/random_model.h"

enum { CACHE_LAYERS = 3, CAPACITY = 5 };

static const int64_t widths[CACHE_LAYERS] = {8, 4, 16};

static const backend_operations *ops;
static context *machine;

static kv_cache open_cache(void) {
  kv_cache cache;
  EXPECT_OK(kv_cache_open(ops, machine, widths, CACHE_LAYERS, CAPACITY, &cache));
  return cache;
}

static void layers_have_their_own_width(void) {
  kv_cache cache = open_cache();
  int64_t end = 0;
  for (int32_t i = 0; i < CACHE_LAYERS; i++) {
    view keys = cache.layers[i].keys, values = cache.layers[i].values;
    EXPECT(keys.rows == CAPACITY && keys.columns == widths[i] && keys.stride == widths[i], "layer %d", i);
    EXPECT(values.rows == CAPACITY && values.columns == widths[i] && values.first == keys.first, "layer %d", i);
    EXPECT(keys.memory != values.memory && keys.first == 0, "layer %d begins at %d", i, (int)keys.first);
    end += CAPACITY * widths[i];
  }
  EXPECT(cache.capacity == CAPACITY && cache.bytes == 2 * 4 * end, "%d bytes", (int)cache.bytes);
  kv_cache_close(ops, machine, &cache);
  EXPECT(cache.capacity == 0 && cache.bytes == 0, "closed");
  kv_cache_close(ops, machine, &cache);
}

static void a_pass_sees_what_lies_before_it(void) {
  kv_cache cache = open_cache();
  kv_window w = kv_cache_window(&cache, 1, 3, 2);
  EXPECT(w.keys.rows == 5 && w.values.rows == 5 && w.keys.first == cache.layers[1].keys.first, "%d rows", (int)w.keys.rows);
  EXPECT(w.own_keys.rows == 2 && w.own_keys.first == w.keys.first + 3 * widths[1], "from %d", (int)w.own_keys.first);
  EXPECT(w.own_values.rows == 2 && w.own_values.first == w.values.first + 3 * widths[1], "from %d", (int)w.own_values.first);
  w = kv_cache_window(&cache, 2, 0, CAPACITY);
  EXPECT(w.keys.first == w.own_keys.first && w.keys.rows == w.own_keys.rows, "a pass over everything");
  kv_cache_close(ops, machine, &cache);
}

static dimple_status write_rows(const kv_window *w, const float *numbers) {
  DIMPLE_TRY(ops->copy_in(machine, w->own_keys, numbers));
  return ops->copy_in(machine, w->own_values, numbers);
}

/* Rows that a pass does not run keep what an earlier one wrote, in every layer. */
static void earlier_rows_stay(void) {
  kv_cache cache = open_cache();
  float written[2][CAPACITY * 16], found[CAPACITY * 16];
  for (int i = 0; i < CAPACITY * 16; i++) {
    written[0][i] = (float)i;
    written[1][i] = (float)-i;
  }
  for (int64_t first = 0; first < 4; first += 3) {
    for (int32_t layer = 0; layer < CACHE_LAYERS; layer++) {
      kv_window w = kv_cache_window(&cache, layer, first, CAPACITY - first);
      EXPECT_OK(ops->pass_begin(machine, NULL));
      EXPECT_OK(ops->pass_end(machine, write_rows(&w, written[first > 0])));
    }
  }
  for (int32_t layer = 0; layer < CACHE_LAYERS; layer++) {
    int64_t kept = 3 * widths[layer], fresh = 2 * widths[layer];
    EXPECT_OK(ops->pass_begin(machine, NULL));
    EXPECT_OK(ops->pass_end(machine, ops->copy_out(machine, found, cache.layers[layer].values)));
    EXPECT(memcmp(found, written[0], (size_t)kept * sizeof(float)) == 0, "layer %d, rows 0 to 2", layer);
    EXPECT(memcmp(found + kept, written[1], (size_t)fresh * sizeof(float)) == 0, "layer %d, rows 3 and 4", layer);
  }
  kv_cache_close(ops, machine, &cache);
}

/* What an earlier pass wrote behind the rows of a pass is seen once it is held. */
static void held_rows_are_seen_on_both_sides(void) {
  kv_cache cache = open_cache();
  EXPECT(cache.held == 0, "%d", (int)cache.held);
  kv_cache_hold(&cache, CAPACITY);
  kv_window w = kv_cache_window(&cache, 1, 1, 2);
  EXPECT(w.keys.rows == CAPACITY && w.values.rows == CAPACITY, "%d rows", (int)w.keys.rows);
  EXPECT(w.own_keys.rows == 2 && w.own_keys.first == w.keys.first + widths[1], "from %d", (int)w.own_keys.first);
  kv_cache_hold(&cache, 1);
  w = kv_cache_window(&cache, 1, 1, 2);
  EXPECT(w.keys.rows == 3, "%d rows", (int)w.keys.rows);
  kv_cache_close(ops, machine, &cache);
}

int main(void) {
  EXPECT_OK(backend_select(backend_under_test(), &ops));
  EXPECT_OK(ops->context_open(ops, 1, &machine));
  layers_have_their_own_width();
  a_pass_sees_what_lies_before_it();
  earlier_rows_stay();
  held_rows_are_seen_on_both_sides();
  ops->context_close(machine);
  return expect_summary("kv_cache");
}
