/* Weights that are not packed give the products that packed ones give, bit for bit, and take no memory. */
#include "test/ops_suite.h"

enum { OUTPUTS = 77, COLUMNS = 512, ROWS = 200 }; /* no whole panel at the end; more rows than an item takes */

static void check_same(int32_t type) {
  test_weight w = make_weight(type, OUTPUTS, COLUMNS, WEIGHT_LINEAR);
  weight *unpacked = NULL;
  EXPECT_OK(tested[1].ops->weight_upload(tested[1].context, &w.source, WEIGHT_UNPACKED, &unpacked));
  float *x = floats(ROWS * COLUMNS), *expected = floats(ROWS * OUTPUTS), *got = floats(ROWS * OUTPUTS);
  for (int i = 0; i < CONTEXTS; i++) {
    side s = tested[i];
    buffer *in, *out;
    EXPECT_OK(s.ops->buffer_alloc(s.context, ROWS * COLUMNS, &in));
    EXPECT_OK(s.ops->buffer_alloc(s.context, ROWS * OUTPUTS, &out));
    view xs = view_of(in, ROWS, COLUMNS), ys = view_of(out, ROWS, OUTPUTS);
    const weight *both[] = {w.of_tested, unpacked};
    for (int j = 0; j < 2; j++) {
      linear_output output = {.w = both[j], .up = both[j], .y = ys, .mode = LINEAR_SWIGLU};
      EXPECT_OK(IN_PASS(s, s.ops->copy_in(s.context, xs, x)));
      EXPECT_OK(IN_PASS(s, s.ops->linear(s.context, &(linear_call){xs, &output, 1})));
      EXPECT_OK(IN_PASS(s, s.ops->copy_out(s.context, j ? got : expected, ys)));
    }
    EXPECT(memcmp(expected, got, sizeof(float) * ROWS * OUTPUTS) == 0, "%s, %s, %d threads", tested_name(), block_format_of(type)->name, i + 1);
    s.ops->buffer_free(s.context, in);
    s.ops->buffer_free(s.context, out);
  }
  if (strncmp(tested_name(), "cpu-", 4) == 0)
    EXPECT(tested[1].ops->weight_bytes(unpacked) < 512, "%s takes %lld bytes", block_format_of(type)->name,
           (long long)tested[1].ops->weight_bytes(unpacked));
  tested[1].ops->weight_free(unpacked);
  free(x);
  free(expected);
  free(got);
  free_weight(&w);
}

static void check_all(void) {
  for (int32_t type = 0; type < 64; type++) {
    const block_format *format = block_format_of(type);
    if (format) check_same(type);
  }
}

int main(int argc, char **argv) { return run_suite("ops_unpacked_test", check_all, argc, argv); }
