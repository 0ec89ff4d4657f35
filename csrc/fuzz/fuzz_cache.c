/* Passes of any size, at any place, over a cache some of whose layers slide: what a pass sees is what was written there last, or it is refused
 * because that has fallen out. */
#include <stdbool.h>

#include "error.h"
#include "fuzz/fuzz.h"
#include "model/kv_cache.h"

enum { LAYERS_OF_CACHE = 3, WIDEST = 8, POSITIONS = 640, MOST_PASSES = 64, MOST_ROWS = 63, MOST_WINDOW = 40 };

static const backend_operations *ops;
static context *machine;
static int32_t numbers[POSITIONS];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
  (void)argument_count;
  (void)arguments;
  for (int32_t i = 0; i < POSITIONS; i++) numbers[i] = i;
  REQUIRE(backend_select("ref", &ops) == DIMPLE_OK);
  REQUIRE(ops->context_open(ops, 1, &machine) == DIMPLE_OK);
  return 0;
}

typedef struct sequence {
  kv_cache cache;
  float written[POSITIONS]; /* which pass wrote a position last */
  int64_t end;              /* positions from here on were never written, or what was there counts no more */
} sequence;

static dimple_status write_layer(const kv_window *w, const float *values) {
  DIMPLE_TRY(ops->copy_in(machine, w->own_keys, values));
  return ops->copy_in(machine, w->own_values, values);
}

/* Every row of a layer holds the number of the pass. */
static void write_rows(sequence *s, int64_t first, int64_t count, float pass) {
  float values[MOST_ROWS * WIDEST];
  for (int i = 0; i < MOST_ROWS * WIDEST; i++) values[i] = pass;
  REQUIRE(ops->pass_begin(machine, NULL) == DIMPLE_OK);
  dimple_status status = DIMPLE_OK;
  for (int32_t layer = 0; layer < LAYERS_OF_CACHE && status == DIMPLE_OK; layer++) {
    kv_window w = kv_cache_window(&s->cache, layer, first, count);
    REQUIRE(w.own_keys.rows == count && w.keys.rows >= first + count - w.base);
    status = write_layer(&w, values);
  }
  REQUIRE(ops->pass_end(machine, status) == DIMPLE_OK);
  for (int64_t i = first; i < first + count; i++) s->written[i] = pass;
}

static void check_seen(const sequence *s, int64_t first, int64_t count) {
  static float keys[POSITIONS * WIDEST], values[POSITIONS * WIDEST];
  for (int32_t layer = 0; layer < LAYERS_OF_CACHE; layer++) {
    kv_window w = kv_cache_window(&s->cache, layer, first, count);
    bool slides = s->cache.layers[layer].slides;
    int64_t seen = slides ? kv_cache_seen_from(&s->cache, first) : 0;
    REQUIRE(w.base <= seen && w.keys.rows <= s->cache.layers[layer].keys.rows && (slides || w.base == 0));
    REQUIRE(ops->pass_begin(machine, NULL) == DIMPLE_OK);
    dimple_status status = ops->copy_out(machine, keys, w.keys);
    if (status == DIMPLE_OK) status = ops->copy_out(machine, values, w.values);
    REQUIRE(ops->pass_end(machine, status) == DIMPLE_OK);
    for (int64_t i = seen; i < first + count; i++)
      for (int64_t column = 0; column < w.keys.columns; column++) {
        int64_t at = (i - w.base) * w.keys.columns + column;
        REQUIRE(keys[at] == s->written[i] && values[at] == s->written[i]);
      }
  }
}

static void run_pass(sequence *s, decisions *d, float pass) {
  uint8_t byte = take_u8(d);
  int64_t count = take_between(d, 1, (int32_t)(s->cache.reach.pass > 0 ? s->cache.reach.pass : MOST_ROWS)), back = byte & 1 ? take_u8(d) : 0;
  int64_t first = byte > 250 || back > s->end ? 0 : s->end - back;
  if (first + count > s->cache.capacity) return;
  int64_t seen = kv_cache_seen_from(&s->cache, first);
  dimple_status status = kv_cache_slide(ops, machine, numbers, first, count, &s->cache);
  REQUIRE(status == DIMPLE_OK || (status == DIMPLE_ERROR_STATE && s->cache.reach.pass > 0 && seen < s->cache.base && first > 0));
  if (status != DIMPLE_OK) return;
  write_rows(s, first, count, pass);
  s->end = first + count;
  if (byte & 2) kv_cache_hold(&s->cache, s->end);
  else kv_cache_hold(&s->cache, 0);
  check_seen(s, first, count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  decisions d = {data, size};
  sequence s = {.end = 0};
  kv_layer_shape shapes[LAYERS_OF_CACHE] = {{4, true}, {WIDEST, take_u8(&d) & 1}, {4, false}};
  kv_reach reach = {.window = take_between(&d, 1, MOST_WINDOW), .pass = take_between(&d, 1, MOST_ROWS)};
  int64_t capacity = take_u8(&d) < 220 ? POSITIONS : take_between(&d, 1, 255);
  if (kv_cache_open(ops, machine, shapes, LAYERS_OF_CACHE, capacity, reach, &s.cache) != DIMPLE_OK) return 0;
  for (int i = 1; i <= MOST_PASSES && d.size > 0; i++) run_pass(&s, &d, (float)i);
  kv_cache_close(ops, machine, &s.cache);
  return 0;
}
