/* Means of a vocabulary's rows under softmax, which the head takes, and the logits that they come from, capped or not. */
#include "ops_suite.h"

typedef struct means_case {
  int32_t type; /* of the table */
  int64_t rows, columns, width, vocab;
  float temperature, softcap;
  float steep; /* what inputs, and so logits, are multiplied by */
} means_case;

/* A row's mean does not depend on the others of the call. */
static void check_means(const means_case *m) {
  const int64_t rows = m->rows, columns = m->columns, width = m->width, vocab = m->vocab;
  const float temperature = m->temperature, softcap = m->softcap;
  float *x = representable(rows * columns), *zeros = calloc((size_t)(rows * width) + 1, sizeof *zeros), *first = NULL;
  for (int64_t i = 0; i < rows * columns; i++) x[i] *= m->steep;
  test_weight w = make_weight(DIMPLE_TENSOR_F32, vocab, columns, WEIGHT_LINEAR), table = make_weight(m->type, vocab, width, WEIGHT_ROWS);
  int32_t *positions = calloc((size_t)rows + 1, sizeof *positions);
  const side *sides[] = {&reference, &tested[0], &tested[1], &tested[2]};
  float *found[4], *logits[4], *uncapped = floats(rows * vocab);
  for (int i = 0; i < 4; i++) {
    matrix input = place(sides[i], x, rows, columns, 2), y = place(sides[i], zeros, rows, width, GUARD);
    logits[i] = floats(rows * vocab);
    head_call call = {.x = input.v, .w = weight_of(&w, sides[i]), .temperature = temperature, .positions = positions, .logits = logits[i],
                      .softcap = softcap, .rows = weight_of(&table, sides[i]), .expected = y.v};
    EXPECT_OK(IN_PASS(*sides[i], sides[i]->ops->head(sides[i]->context, &call)));
    found[i] = fetch(sides[i], y, "means");
    call = (head_call){.x = input.v, .w = weight_of(&w, sides[i]), .positions = positions, .logits = uncapped};
    if (i == 0) EXPECT_OK(IN_PASS(reference, reference.ops->head(reference.context, &call)));
    drop(sides[i], input);
    drop(sides[i], y);
  }
  /* What a sum is off goes through the cap, which is nowhere steeper than 1. */
  double off = tolerance_of(DIMPLE_TENSOR_F32) * largest(uncapped, rows * vocab);
  expect_within(logits[1], logits[0], rows * vocab, fmax(off, 1e-5 * largest(logits[0], rows * vocab)), "logits");
  free(uncapped);
  expect_close(found[1], found[0], rows * width, 2e-5, "means");
  expect_same_bits(found[2], found[1], rows * width, "means");
  expect_same_bits(found[3], found[1], rows * width, "means");
  matrix input = place(&tested[1], x + (rows - 1) * columns, 1, columns, 2), y = place(&tested[1], zeros, 1, width, GUARD);
  head_call call = {.x = input.v, .w = weight_of(&w, &tested[1]), .temperature = temperature, .positions = positions, .softcap = softcap,
                    .rows = weight_of(&table, &tested[1]), .expected = y.v};
  EXPECT_OK(IN_PASS(tested[1], tested[1].ops->head(tested[1].context, &call)));
  first = fetch(&tested[1], y, "a mean alone");
  expect_independent(first, found[1] + (rows - 1) * width, width, "a mean alone");
  drop(&tested[1], input);
  drop(&tested[1], y);
  free(first);
  for (int i = 0; i < 4; i++) {
    free(found[i]);
    free(logits[i]);
  }
  free(x);
  free(zeros);
  free(positions);
  free_weight(&w);
  free_weight(&table);
}

/* Whether means of rows of a type are there: a device may refuse those that it has no product for, which GGML's CPU does of BF16 alone. */
static bool takes_means(int32_t type) {
  enum { VOCAB = 31, COLUMNS = 8, WIDTH = 256 };
  if (!is_device() || (strcmp(tested_name(), "ggml:CPU") == 0 && type != DIMPLE_TENSOR_BF16)) return true;
  if (strncmp(tested_name(), "rpc:", 4) == 0) { /* it does not say what its device runs, and ends where it does not */
    if (type == DIMPLE_TENSOR_BF16) printf("%s: means of BF16 are not tried, for GGML's CPU has no product for them\n", tested_name());
    return type != DIMPLE_TENSOR_BF16;
  }
  float *x = representable(COLUMNS), *zeros = calloc(WIDTH, sizeof *zeros);
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR), table = make_weight(type, VOCAB, WIDTH, WEIGHT_ROWS);
  matrix input = place(&tested[1], x, 1, COLUMNS, 2), y = place(&tested[1], zeros, 1, WIDTH, GUARD);
  head_call call = {.x = input.v, .w = weight_of(&w, &tested[1]), .rows = weight_of(&table, &tested[1]), .expected = y.v};
  dimple_status status = IN_PASS(tested[1], tested[1].ops->head(tested[1].context, &call));
  if (status == DIMPLE_ERROR_UNSUPPORTED) printf("%s: means are not tried\n", dimple_last_error());
  drop(&tested[1], input);
  drop(&tested[1], y);
  free(x);
  free(zeros);
  free_weight(&w);
  free_weight(&table);
  return status != DIMPLE_ERROR_UNSUPPORTED;
}

static const means_case shapes[] = {
    {DIMPLE_TENSOR_F32, 3, 8, 45, 31, 0, 5, 1}, /* as at temperature 1 */
    {DIMPLE_TENSOR_F32, 5, 16, 130, 1025, 0.6f, 5, 1},
    {DIMPLE_TENSOR_Q8_0, 130, 16, 96, 2100, 1.5f, 5, 0.5f},
    {DIMPLE_TENSOR_Q6_K, 7, 8, 256, 9000, 0.5f, 5, 40},
    {DIMPLE_TENSOR_F16, 390, 8, 33, 300, 0.8f, 5, 3},
    {DIMPLE_TENSOR_Q4_K, 193, 8, 512, SANITIZED ? 300 : 1300, 0.7f, 5, 1}, /* two groups of rows and of columns; a piece of a few tokens behind whole ones */
    {DIMPLE_TENSOR_F32, 20, 8, 70, 3000, 0.2f, 5, 2},    /* most tokens weigh nothing */
    {DIMPLE_TENSOR_F32, 17, 8, 96, 2100, 1, 5, 0},       /* all weigh the same */
    /* One product is a logit, so that the reference's have the same bits however far apart they are. */
    {DIMPLE_TENSOR_F32, 9, 1, 64, 700, 1, 0, 1e4f},
    {DIMPLE_TENSOR_F32, 9, 1, 64, 700, 1, 0, 1e30f},
    {DIMPLE_TENSOR_Q4_0, 9, 1, 64, 700, 0.01f, 0, 1},
    {DIMPLE_TENSOR_Q4_0, 9, 1, 64, 700, 1e6f, 0, 1},
    {DIMPLE_TENSOR_F32, 9, 1, 64, 700, 1e-40f, 0, 1}, /* whose inverse is no number */
};

static void check_all_types(void) {
  for (int32_t type = 0; type < 64; type++) {
    const block_format *f = block_format_of(type);
    means_case m = {type, 18, 8, 256, 290, 0.7f, 5, 2};
    if (f && takes_means(type)) check_means(&m);
  }
}

/* A table with a number that is none gives means that are none, in its column alone. */
static void check_means_without_numbers(void) {
  enum { VOCAB = 40, COLUMNS = 3, WIDTH = 45, ROWS = 17, TOKEN = 33, PLACE = 40 };
  static const uint32_t troubles[] = {0x7fc00000, 0x7fffffff, 0xffffffff, 0x7f800001, 0x7f800000, 0xff800000};
  if (is_device()) {
    printf("%s: what is no number is not tried, for GGML promises nothing of it\n", tested_name());
    return;
  }
  float *x = representable(ROWS * COLUMNS), *zeros = calloc(ROWS * WIDTH, sizeof *zeros), *values = floats(VOCAB * WIDTH);
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
  for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
    memcpy(values + TOKEN * WIDTH + PLACE, &troubles[i], sizeof *troubles);
    test_weight table = make_weight_from(values, DIMPLE_TENSOR_F32, 0, VOCAB, WIDTH, WEIGHT_ROWS);
    matrix input = place(&tested[1], x, ROWS, COLUMNS, 2), y = place(&tested[1], zeros, ROWS, WIDTH, GUARD);
    head_call call = {.x = input.v, .w = weight_of(&w, &tested[1]), .temperature = 1, .softcap = 5, .rows = weight_of(&table, &tested[1]), .expected = y.v};
    int32_t positions[ROWS] = {0};
    head_row results[ROWS];
    call.positions = positions;
    call.results = results;
    EXPECT_OK(IN_PASS(tested[1], tested[1].ops->head(tested[1].context, &call)));
    float *found = fetch(&tested[1], y, "means without numbers");
    for (int64_t k = 0; k < ROWS * WIDTH; k++)
      EXPECT(isfinite(found[k]) == (k % WIDTH != PLACE), "%s: %08x in a table: element %lld of means is %g", tested_name(), troubles[i], (long long)k, (double)found[k]);
    free(found);
    drop(&tested[1], input);
    drop(&tested[1], y);
    free_weight(&table);
  }
  free(x);
  free(zeros);
  free(values);
  free_weight(&w);
}

static void check_all_means(void) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    const bool divides = !is_device() || 1 / shapes[i].temperature < INFINITY;
    if (!divides) printf("%s: a temperature of %g is not tried, for GGML multiplies by its inverse\n", tested_name(), (double)shapes[i].temperature);
    if (divides && takes_means(shapes[i].type)) check_means(&shapes[i]);
  }
  check_all_types();
  check_means_without_numbers();
}

int main(int argc, char **argv) { return run_suite("ops_means_test", check_all_means, argc, argv); }
