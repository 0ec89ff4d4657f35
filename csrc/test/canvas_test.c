/* The canvas: what is masked, what is revealed, and the way back. */
#include <stdbool.h>

#include "diffusion/canvas.h"
#include "test/expect.h"

enum { MASK = 9, LENGTH = 6 };

static const int32_t initial[LENGTH] = {MASK, 4, MASK, MASK, 5, MASK};

static bool holds(const int32_t *found, const int32_t *expected, int32_t count) {
  return memcmp(found, expected, (size_t)count * sizeof *found) == 0;
}

static canvas fresh_canvas(void) {
  canvas c = {0};
  EXPECT_OK(canvas_create(initial, LENGTH, MASK, &c));
  return c;
}

static void a_new_canvas_is_the_response(void) {
  canvas c = fresh_canvas();
  EXPECT(c.length == LENGTH && holds(c.tokens, initial, LENGTH) && holds(c.initial, initial, LENGTH), "tokens");
  EXPECT(c.masked_count == 4 && holds(c.masked, (int32_t[]){0, 2, 3, 5}, 4), "%d masked", c.masked_count);
  EXPECT(c.initial_masked == 4, "%d masked", c.initial_masked);
  canvas_free(&c);
  EXPECT(c.length == 0 && c.tokens == NULL, "nothing is left");
  canvas_free(&c);
}

static void revealed_positions_are_masked_no_more(void) {
  canvas c = fresh_canvas();
  canvas_reveal(&c, (int32_t[]){5, 2}, (int32_t[]){1, 2}, 2);
  EXPECT(holds(c.tokens, (int32_t[]){MASK, 4, 2, MASK, 5, 1}, LENGTH), "tokens");
  EXPECT(c.masked_count == 2 && holds(c.masked, (int32_t[]){0, 3}, 2), "%d masked", c.masked_count);
  canvas_reveal(&c, NULL, NULL, 0);
  EXPECT(c.masked_count == 2, "%d masked", c.masked_count);
  canvas_reveal(&c, (int32_t[]){0}, (int32_t[]){MASK}, 1); /* as what it was */
  EXPECT(c.masked_count == 2 && c.masked[0] == 0, "%d masked", c.masked_count);
  canvas_free(&c);
}

static void reset_goes_back(void) {
  canvas c = fresh_canvas();
  canvas_reveal(&c, (int32_t[]){0, 2, 3, 5}, (int32_t[]){1, 1, 1, 1}, 4);
  EXPECT(c.masked_count == 0 && c.initial_masked == 4 && holds(c.initial, initial, LENGTH), "%d masked", c.masked_count);
  canvas_reset(&c);
  EXPECT(c.masked_count == 4 && holds(c.tokens, initial, LENGTH), "%d masked", c.masked_count);
  canvas_free(&c);
}

int main(void) {
  a_new_canvas_is_the_response();
  revealed_positions_are_masked_no_more();
  reset_goes_back();
  return expect_summary("canvas");
}
