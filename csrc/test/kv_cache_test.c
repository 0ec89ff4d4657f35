/* The cache of keys and values: where layers lie, what a pass sees, what stays. */
#include "error.h"
#include "model/kv_cache.h"
#include "test/expect.h"
#include "test/random_model.h"

enum { CACHE_LAYERS = 3, CAPACITY = 5 };

static const int64_t widths[CACHE_LAYERS] = {8, 4, 16};
static const kv_layer_shape shapes[CACHE_LAYERS] = {{8, false}, {4, false}, {16, false}},
                            windowed[CACHE_LAYERS] = {{8, true}, {4, false}, {16, true}};

static const backend_operations *ops;
static context *machine;

static kv_cache open_cache(void) {
  kv_cache cache;
  EXPECT_OK(kv_cache_open(ops, machine, shapes, CACHE_LAYERS, CAPACITY, (kv_reach){0}, &cache));
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

/* Fills row `row` of a view with a number, and reads it. */
static void put(view rows, int64_t row, float number) {
  float numbers[16];
  for (int i = 0; i < 16; i++) numbers[i] = number;
  EXPECT_OK(ops->pass_begin(machine, NULL));
  EXPECT_OK(ops->pass_end(machine, ops->copy_in(machine, view_rows(rows, row, 1), numbers)));
}

static float found_at(view rows, int64_t row) {
  float numbers[16] = {0};
  EXPECT_OK(ops->pass_begin(machine, NULL));
  EXPECT_OK(ops->pass_end(machine, ops->copy_out(machine, numbers, view_rows(rows, row, 1))));
  return numbers[0];
}

enum { LONG = 1000, REACH = 5, SLIDING = 2 * (REACH - 1 + KV_STEP) + 7 };

/* Windowed layers have few rows; whatever passes follow each other, each finds what the window has it see, and what has fallen out is refused. */
static void windowed_layers_slide(void) {
  kv_cache cache;
  int32_t numbers[LONG];
  for (int i = 0; i < LONG; i++) numbers[i] = i;
  EXPECT_OK(kv_cache_open(ops, machine, windowed, CACHE_LAYERS, LONG, (kv_reach){.window = REACH, .pass = 7}, &cache));
  EXPECT(cache.bytes == 2 * 4 * (SLIDING * (8 + 16) + LONG * 4), "%d bytes", (int)cache.bytes);
  for (int64_t first = 0, count = 1; first + count <= LONG; first += count, count = count % 7 + 1) {
    EXPECT_OK(kv_cache_slide(ops, machine, numbers, first, count, &cache));
    EXPECT(cache.base % KV_STEP == 0, "base %d", (int)cache.base);
    for (int32_t layer = 0; layer < CACHE_LAYERS; layer++) {
      kv_window w = kv_cache_window(&cache, layer, first, count);
      EXPECT(w.base == (windowed[layer].windowed ? cache.base : 0), "layer %d, base %d", layer, (int)w.base);
      EXPECT(w.keys.rows == first + count - w.base && w.own_keys.rows == count, "layer %d, %d rows", layer, (int)w.keys.rows);
      for (int64_t i = 0; i < count; i++) {
        put(w.own_keys, i, (float)(first + i));
        put(w.own_values, i, (float)-(first + i));
      }
      for (int64_t i = kv_cache_seen_from(&cache, first); i < first + count; i++)
        EXPECT(found_at(w.keys, i - w.base) == (float)i && found_at(w.values, i - w.base) == (float)-i, "layer %d, position %d", layer, (int)i);
    }
  }
  EXPECT(cache.base > LONG - SLIDING, "base %d", (int)cache.base);
  EXPECT_FAILS(kv_cache_slide(ops, machine, numbers, cache.base + REACH - 2, 1, &cache), DIMPLE_ERROR_STATE, "fallen out of the window of 5");
  EXPECT_OK(kv_cache_slide(ops, machine, numbers, cache.base + REACH - 1, 1, &cache));
  EXPECT_OK(kv_cache_slide(ops, machine, numbers, 0, 7, &cache));
  EXPECT(cache.base == 0, "a pass from the first row on begins anew");
  kv_cache_close(ops, machine, &cache);
}

/* What would not be fewer rows is kept as a whole. */
static void short_sequences_do_not_slide(void) {
  kv_cache cache;
  EXPECT_OK(kv_cache_open(ops, machine, windowed, CACHE_LAYERS, SLIDING, (kv_reach){.window = REACH, .pass = 7}, &cache));
  EXPECT(cache.bytes == 2 * 4 * SLIDING * (8 + 4 + 16), "%d bytes", (int)cache.bytes);
  EXPECT_OK(kv_cache_slide(ops, machine, NULL, SLIDING - 7, 7, &cache));
  EXPECT(cache.base == 0, "base %d", (int)cache.base);
  kv_cache_close(ops, machine, &cache);
}

int main(void) {
  EXPECT_OK(backend_select(backend_under_test(), &ops));
  EXPECT_OK(ops->context_open(ops, 1, &machine));
  layers_have_their_own_width();
  a_pass_sees_what_lies_before_it();
  earlier_rows_stay();
  held_rows_are_seen_on_both_sides();
  windowed_layers_slide();
  short_sequences_do_not_slide();
  ops->context_close(machine);
  return expect_summary("kv_cache");
}
