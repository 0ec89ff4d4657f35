/* The backend `deferred` notices what a device could not do: it is the judge of the model code, so it is judged first. */
#include "backend/backend.h"
#include "expect.h"

extern const backend_operations backend_deferred;

static const backend_operations *const ops = &backend_deferred;
static context *c;

static view new_matrix(int64_t rows, int64_t columns) {
  buffer *memory = NULL;
  EXPECT_OK(ops->buffer_alloc(c, rows * columns, &memory));
  return view_of(memory, rows, columns);
}

static void check_recording(void) {
  float host[4] = {1, 2, 3, 4}, back[4] = {0};
  view m = new_matrix(2, 2);
  EXPECT((uintptr_t)m.memory < 4096, "the handle %p could be an address", (void *)m.memory);
  EXPECT_FAILS(ops->copy_in(c, m, host), DIMPLE_ERROR_STATE, "outside a pass");
  EXPECT_OK(ops->pass_begin(c, NULL));
  EXPECT_FAILS(ops->pass_begin(c, NULL), DIMPLE_ERROR_STATE, "inside another");
  EXPECT_OK(ops->copy_in(c, m, host));
  EXPECT_OK(ops->copy_out(c, back, m));
  EXPECT(isnan(back[0]), "what the host asked for is there before the end: %g", (double)back[0]);
  EXPECT_OK(ops->pass_end(c, DIMPLE_OK));
  EXPECT(back[3] == 4, "%g", (double)back[3]);
  EXPECT_FAILS(ops->pass_end(c, DIMPLE_OK), DIMPLE_ERROR_STATE, "did not begin");
  ops->buffer_free(c, m.memory);
}

/* A pass of which `operation` is refused with `text`. */
#define EXPECT_REFUSED(operation, text)               \
  do {                                                \
    EXPECT_OK(ops->pass_begin(c, NULL));              \
    EXPECT_FAILS(operation, DIMPLE_ERROR_STATE, text); \
    ops->pass_end(c, DIMPLE_ERROR_STATE);             \
  } while (0)

static void check_views_and_numbers(void) {
  float host[64] = {0};
  static const int32_t beyond[2] = {0, 4}, index[2] = {1, 0};
  view x = new_matrix(4, 2), y = new_matrix(2, 2);
  EXPECT_REFUSED(ops->copy_in(c, view_rows(x, 3, 2), host), "in a buffer of 8");
  EXPECT_REFUSED(ops->copy_out(c, host, view_rows(x, -1, 1)), "in a buffer of 8");
  EXPECT_REFUSED(ops->gather_rows(c, y, x, beyond), "row 1 is 4");
  EXPECT_REFUSED(ops->scatter_rows(c, y, view_rows(x, 0, 2), beyond), "row 1 is 4");
  EXPECT_REFUSED(ops->gather_rows(c, view_columns(y, 0, 1), x, index), "expected [2 x 2]");
  EXPECT_REFUSED(ops->gather_rows(c, view_rows(x, 1, 2), x, index), "writes over what it reads");
  ops->buffer_free(c, x.memory);
  EXPECT_REFUSED(ops->copy_out(c, host, x), "no living buffer");
  EXPECT_OK(ops->pass_begin(c, NULL));
  EXPECT_OK(ops->copy_in(c, y, host));
  ops->buffer_free(c, y.memory);
  EXPECT_FAILS(ops->pass_end(c, DIMPLE_OK), DIMPLE_ERROR_STATE, "no living buffer");
}

static void check_attention(void) {
  static const int32_t last[2] = {0, 3}, skip[2] = {-1, 3}, spans[3] = {0, 1, 1};
  view q = new_matrix(2, 8), k = new_matrix(3, 4), v = new_matrix(3, 4), y = new_matrix(2, 8);
  attention_call call = {.q = q, .k = k, .v = v, .y = y, .heads = 2, .kv_heads = 1, .size = 4};
  call.last_key = last;
  EXPECT_REFUSED(ops->attention(c, &call), "last key 1 is 3");
  call.last_key = NULL;
  call.skip_key = skip;
  EXPECT_REFUSED(ops->attention(c, &call), "skipped key 1 is 3");
  call.skip_key = NULL;
  call.spans = spans;
  call.span_count = 2;
  EXPECT_REFUSED(ops->attention(c, &call), "spans");
  view all[] = {q, k, v, y};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) ops->buffer_free(c, all[i].memory);
}

int main(void) {
  EXPECT_OK(ops->context_open(ops, 1, &c));
  check_recording();
  check_views_and_numbers();
  check_attention();
  ops->context_close(c);
  return expect_summary("deferred_test");
}
