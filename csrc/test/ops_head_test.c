/* The language-model head: summaries, logits and draws. */
#include "ops_suite.h"

#include "backend/cpu/cpu.h"
#include "draws.h"

static void expect_near(float found, float expected, double tolerance, const char *field, int64_t row) {
  EXPECT(fabs(found - expected) <= tolerance * (1 + fabs(expected)), "%s: head row %lld: %s is %.9g, not %.9g", tested_name(),
         (long long)row, field, (double)found, (double)expected);
}

static int drawn_otherwise;

/* A token may differ from the reference's only where rounding can decide: between logits, or draws, that are almost equal. */
static void expect_row(const head_row *found, const head_row *expected, const float *logits, float temperature, double tolerance,
                       int64_t row) {
  EXPECT(found->best == expected->best || fabs(logits[found->best] - expected->best_logit) < tolerance * 10, "%s: head row %lld: best %d, not %d",
         tested_name(), (long long)row, found->best, expected->best);
  expect_near(found->best_logit, expected->best_logit, tolerance, "best_logit", row);
  if (isinf(expected->second_logit))
    EXPECT(found->second_logit == expected->second_logit, "%s: second_logit %g", tested_name(), (double)found->second_logit);
  else
    expect_near(found->second_logit, expected->second_logit, tolerance, "second_logit", row);
  expect_near(found->log_sum, expected->log_sum, tolerance, "log_sum", row);
  expect_near(found->mean_logit, expected->mean_logit, tolerance, "mean_logit", row);
  expect_near(found->hot_log_sum, expected->hot_log_sum, tolerance * 3, "hot_log_sum", row);
  expect_near(found->hot_mean, expected->hot_mean, tolerance * 3, "hot_mean", row);
  expect_near(found->drawn_logit, logits[found->drawn], tolerance, "drawn_logit", row);
  if (temperature > 0)
    drawn_otherwise += found->drawn != expected->drawn;
  else
    EXPECT(found->drawn == found->best, "%s: head row %lld drew %d at temperature 0", tested_name(), (long long)row, found->drawn);
}

static void run_head(const side *s, const float *x, const head_call *settings, const test_weight *w, int64_t rows) {
  matrix input = place(s, x, rows, w->source.columns, 2);
  head_call call = *settings;
  call.x = input.v;
  call.w = weight_of(w, s);
  EXPECT_OK(IN_PASS(*s, s->ops->head(s->context, &call)));
  drop(s, input);
}

static void check_head(int32_t type, int64_t rows, int64_t columns, int64_t vocab, float temperature) {
  float *x = representable(rows * columns);
  if (block_format_of(type)->block_length == 1)
    for (int64_t i = 0; i < rows * columns; i++) x[i] *= 4 / sqrtf((float)columns);
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  int32_t *positions = malloc((size_t)rows * sizeof *positions);
  for (int64_t r = 0; r < rows; r++) positions[r] = (int32_t)(r * 3 + 1);
  head_row *expected = malloc((size_t)rows * sizeof *expected), *first = malloc((size_t)rows * sizeof *first), *found = malloc((size_t)rows * sizeof *found);
  float *expected_logits = floats(rows * vocab), *logits = floats(rows * vocab);
  head_call call = {.temperature = temperature, .seed = 42, .iteration = 5, .positions = positions, .results = expected, .logits = expected_logits};
  run_head(&reference, x, &call, &w, rows);
  double tolerance = tolerance_of(type);
  for (int c = 0; c < CONTEXTS; c++) {
    call.results = c == 0 ? first : found;
    call.logits = c == 1 ? NULL : logits;
    memset(call.results, 0xff, (size_t)rows * sizeof *found);
    run_head(&tested[c], x, &call, &w, rows);
    if (c == 0) {
      expect_close(logits, expected_logits, rows * vocab, tolerance, "head logits");
      for (int64_t r = 0; r < rows; r++) expect_row(&first[r], &expected[r], logits + r * vocab, temperature, tolerance * 4, r);
    } else {
      EXPECT(memcmp(first, found, (size_t)rows * sizeof *found) == 0, "%s: the number of threads changes the head", tested_name());
    }
  }
  call.results = NULL;
  memset(logits, 0, (size_t)(rows * vocab) * sizeof(float));
  call.logits = logits;
  run_head(&tested[1], x, &call, &w, rows);
  expect_close(logits, expected_logits, rows * vocab, tolerance, "head, logits only");
  free(x);
  free(positions);
  free(expected);
  free(first);
  free(found);
  free(expected_logits);
  free(logits);
  free_weight(&w);
}

static void check_heads(void) {
  static const int64_t vocabularies[] = {1, 2, 31, 33, 1000, 1024, 1025, 1055, 3000};
  drawn_otherwise = 0;
  int drawn = 0;
  for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++) {
    check_head(DIMPLE_TENSOR_F32, 7, 40, vocabularies[i], 0);
    check_head(DIMPLE_TENSOR_F32, 50, 40, vocabularies[i], 0.7f);
    check_head(DIMPLE_TENSOR_F16, 2, 17, vocabularies[i], 3);
    check_head(DIMPLE_TENSOR_Q4_0, 9, 64, vocabularies[i], i % 2 ? 1 : 0);
    drawn += 50 + 2 + (i % 2 ? 9 : 0);
  }
  check_head(DIMPLE_TENSOR_F32, 400, 8, 70, 1);
  drawn += 400;
  EXPECT(drawn_otherwise <= drawn / 100, "%s: %d of %d draws differ from the reference's", tested_name(), drawn_otherwise, drawn);
}

/* Equal logits: the lowest token wins, the second logit equals the best. */
static void check_head_ties(void) {
  enum { VOCAB = 2100, COLUMNS = 4 };
  static const int32_t tied[][2] = {{3, 4}, {0, 2099}, {1023, 1024}, {17, 1500}};
  float *values = floats(VOCAB * COLUMNS), x[COLUMNS] = {1, 1, 1, 1};
  for (size_t i = 0; i < sizeof tied / sizeof *tied; i++) {
    for (int64_t j = 0; j < VOCAB * COLUMNS; j++) values[j] = (float)(random_below(9) - 8);
    for (int k = 0; k < 2; k++)
      for (int j = 0; j < COLUMNS; j++) values[tied[i][k] * COLUMNS + j] = 5;
    test_weight w = make_weight_from(values, DIMPLE_TENSOR_F32, 0, VOCAB, COLUMNS, WEIGHT_LINEAR);
    head_row row;
    run_head(&tested[1], x, &(head_call){.results = &row}, &w, 1);
    EXPECT(row.best == tied[i][0] && row.best_logit == 20 && row.second_logit == 20, "%s: best %d, logits %g and %g", tested_name(), row.best,
           (double)row.best_logit, (double)row.second_logit);
    free_weight(&w);
  }
  free(values);
}

/* Draws follow softmax(z / temperature): chi-squared over the chunks and over the tokens that are drawn most. */
static void check_draw_distribution(void) {
  enum { VOCAB = 2060, DRAWS = SANITIZED ? 2000 : 20000, ROWS = 100, WATCHED = 12 };
  const float temperature = 0.8f;
  float *values = floats(VOCAB), *x = malloc(ROWS * sizeof(float));
  for (int t = 0; t < VOCAB; t++) values[t] = t < 6 || (t >= 1500 && t < 1505) || t == 2059 ? 4 + 0.2f * (float)(t % 5) : -3 + 0.5f * values[t];
  for (int r = 0; r < ROWS; r++) x[r] = 1;
  test_weight w = make_weight_from(values, DIMPLE_TENSOR_F32, 0, VOCAB, 1, WEIGHT_LINEAR);
  static const int32_t watched[WATCHED] = {0, 1, 2, 3, 4, 5, 1500, 1501, 1502, 1503, 1504, 2059};
  int32_t positions[ROWS], counts[WATCHED + 1] = {0};
  for (int r = 0; r < ROWS; r++) positions[r] = r;
  head_row rows[ROWS];
  head_call call = {.temperature = temperature, .seed = 7, .positions = positions, .results = rows};
  for (call.iteration = 0; call.iteration < DRAWS / ROWS; call.iteration++) {
    run_head(&tested[1], x, &call, &w, ROWS);
    for (int r = 0; r < ROWS; r++) {
      int place = 0;
      while (place < WATCHED && watched[place] != rows[r].drawn) place++;
      counts[place]++;
    }
  }
  double total = 0, rest = 1, chi_squared = 0;
  for (int t = 0; t < VOCAB; t++) total += exp(values[t] / temperature);
  for (int i = 0; i <= WATCHED; i++) {
    double p = i < WATCHED ? exp(values[watched[i]] / temperature) / total : rest;
    rest -= p;
    chi_squared += (counts[i] - DRAWS * p) * (counts[i] - DRAWS * p) / (DRAWS * p);
  }
  EXPECT(chi_squared < 32.9, "%s: chi-squared %g with 12 degrees of freedom (0.1 %%: 32.9)", tested_name(), chi_squared);
  free_weight(&w);
  free(values);
  free(x);
}

/* A temperature near zero draws the best token, and nothing overflows. */
static void check_cold_draws(void) {
  enum { VOCAB = 1500, COLUMNS = 32 };
  float *x = floats(COLUMNS);
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
  int32_t position = 0;
  head_row row;
  head_call call = {.positions = &position, .results = &row};
  static const float temperatures[] = {1e-4f, 1e-20f, 1e-37f};
  for (size_t i = 0; i < sizeof temperatures / sizeof *temperatures; i++) {
    call.temperature = temperatures[i];
    run_head(&tested[1], x, &call, &w, 1);
    EXPECT(row.drawn == row.best && row.drawn_logit == row.best_logit, "%s: drew %d, best %d at %g", tested_name(), row.drawn, row.best,
           (double)call.temperature);
  }
  free(x);
  free_weight(&w);
}

/* NaN and infinity in the logits give some token, never a place outside the vocabulary, and show, also where a softcap makes numbers of them. */
static void check_head_without_numbers(void) {
  enum { VOCAB = 1100, COLUMNS = 2 };
  static const float troubles[][COLUMNS] = {{NAN, NAN}, {INFINITY, 1}, {-INFINITY, 1}, {INFINITY, -INFINITY}};
  test_weight w = make_weight(DIMPLE_TENSOR_F32, VOCAB, COLUMNS, WEIGHT_LINEAR);
  int32_t position = 0;
  head_row row;
  for (size_t i = 0; i < 2 * sizeof troubles / sizeof *troubles; i++) {
    head_call call = {.temperature = 1, .positions = &position, .results = &row, .softcap = i % 2 ? 30 : 0};
    run_head(&tested[1], troubles[i / 2], &call, &w, 1);
    EXPECT(isnan(row.log_sum), "%s: a sum of %g", tested_name(), (double)row.log_sum);
    EXPECT(row.best >= 0 && row.best < VOCAB && row.drawn >= 0 && row.drawn < VOCAB, "%s: %d, %d", tested_name(), row.best, row.drawn);
  }
  free_weight(&w);
}

/* ------------------------------------------------------------------------------------------------------------- classes */

/* Random classes of a vocabulary: large and small ones, tokens without a class, empty classes. */
static head_partition random_partition(int32_t vocab, int32_t classes) {
  int32_t chunks = (vocab + HEAD_CHUNK - 1) / HEAD_CHUNK, written = 0;
  head_partition p = {.classes = classes};
  int32_t *of = malloc((size_t)vocab * sizeof *of);
  p.chunk_first = calloc((size_t)chunks + 1, sizeof *p.chunk_first);
  p.segment_class = calloc((size_t)vocab + 1, sizeof *p.segment_class);
  p.segment_first = calloc((size_t)vocab + 1, sizeof *p.segment_first);
  p.tokens = calloc((size_t)vocab + 1, sizeof *p.tokens);
  for (int32_t t = 0; t < vocab; t++) of[t] = random_below(3) ? random_below(2) : random_below(classes + 1) - 1;
  for (int32_t c = 0; c < chunks; c++) {
    for (int32_t k = 0; k < classes; k++) {
      int32_t before = written;
      for (int32_t t = c * HEAD_CHUNK; t < vocab && t < (c + 1) * HEAD_CHUNK; t++)
        if (of[t] == k) p.tokens[written++] = t;
      if (written == before) continue;
      p.segment_class[p.segments++] = k;
      p.segment_first[p.segments] = written;
    }
    p.chunk_first[c + 1] = p.segments;
    if (p.segments - p.chunk_first[c] > p.most_segments) p.most_segments = p.segments - p.chunk_first[c];
  }
  free(of);
  return p;
}

static void free_partition(head_partition *p) {
  free(p->chunk_first);
  free(p->segment_class);
  free(p->segment_first);
  free(p->tokens);
}

/* Of each class whether it has tokens; the caller frees it. */
static bool *have_tokens(const head_partition *p) {
  bool *have = calloc((size_t)p->classes, sizeof *have);
  for (int32_t s = 0; s < p->segments; s++) have[p->segment_class[s]] = true;
  return have;
}

/* Every wanted class of every row as the reference has it, for any number of threads; what is not wanted is not written. */
static void check_classes(int32_t type, int64_t rows, int64_t columns, int32_t vocab, int32_t classes, float temperature) {
  float *x = representable(rows * columns), *logits = floats(rows * vocab);
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  head_partition p = random_partition(vocab, classes);
  int64_t count = rows * classes;
  int32_t *positions = malloc((size_t)rows * sizeof *positions);
  uint8_t *wanted = malloc((size_t)count);
  head_row *of_rows = malloc((size_t)rows * sizeof *of_rows), *found[1 + CONTEXTS];
  for (int64_t r = 0; r < rows; r++) positions[r] = (int32_t)(r * 5 + 2);
  for (int64_t i = 0; i < count; i++) wanted[i] = random_below(5) > 0;
  for (int side = 0; side <= CONTEXTS; side++) {
    found[side] = malloc((size_t)count * sizeof **found);
    memset(found[side], 0x55, (size_t)count * sizeof **found);
    head_classes of = {&p, wanted, found[side]};
    head_call call = {.temperature = temperature, .seed = 9, .iteration = 3, .positions = positions, .classes = &of};
    call.results = side == 2 ? NULL : of_rows;
    call.logits = side == 0 ? logits : NULL;
    run_head(side ? &tested[side - 1] : &reference, x, &call, &w, rows);
  }
  double tolerance = tolerance_of(type) * 4;
  bool *have = have_tokens(&p);
  for (int64_t i = 0; i < count; i++) {
    if (!wanted[i] || !have[i % classes]) continue;
    expect_row(&found[1][i], &found[0][i], logits + i / classes * vocab, temperature, tolerance, i);
    for (int side = 2; side <= CONTEXTS; side++)
      EXPECT(memcmp(&found[1][i], &found[side][i], sizeof **found) == 0, "%s: threads change class %lld", tested_name(), (long long)i);
  }
  for (int64_t i = 0; i < count; i++) {
    head_row untouched;
    memset(&untouched, 0x55, sizeof untouched);
    bool same = wanted[i] || strcmp(tested_name(), "deferred") == 0 || memcmp(&found[1][i], &untouched, sizeof untouched) == 0;
    EXPECT(same, "%s: class %lld is not wanted", tested_name(), (long long)i);
  }
  for (int side = 0; side <= CONTEXTS; side++) free(found[side]);
  free(have);
  free(x);
  free(logits);
  free(positions);
  free(wanted);
  free(of_rows);
  free_partition(&p);
  free_weight(&w);
}

static void check_all_classes(void) {
  drawn_otherwise = 0;
  check_classes(DIMPLE_TENSOR_F32, 7, 40, 3000, 20, 0);
  check_classes(DIMPLE_TENSOR_F32, 50, 40, 1025, 60, 0.7f);
  check_classes(DIMPLE_TENSOR_Q4_0, 3, 64, 31, 5, 1);
  check_classes(DIMPLE_TENSOR_F16, 1, 17, 1, 1, 2);
  check_classes(DIMPLE_TENSOR_F32, 400, 8, 2500, SANITIZED ? 100 : 700, 0); /* several slabs of rows, and waves of one chunk */
  check_classes(DIMPLE_TENSOR_F32, SANITIZED ? 7 : 30, 24, 20000, 40, 0); /* classes of more than a chunk, of many sizes */
  check_classes(DIMPLE_TENSOR_F32, SANITIZED ? 5 : 20, 24, 20000, 40, 0.7f);
  check_classes(DIMPLE_TENSOR_F32, SANITIZED ? 20 : 120, 8, 10000, 1000, 0); /* about 72,000 of two to four tokens, more than a device takes at a time */
  EXPECT(drawn_otherwise <= 40, "%s: %d draws in classes differ from the reference's", tested_name(), drawn_otherwise);
}

/* Draws within a class follow its softmax, over segments and within them. */
static void check_class_draws(void) {
  enum { VOCAB = 2060, DRAWS = SANITIZED ? 2000 : 20000, ROWS = 100, WATCHED = 5 };
  static const int32_t members[WATCHED] = {1, 4, 1100, 1500, 2059}, firsts[] = {0, 2, 4, 5}, chunks[] = {0, 1, 2, 3}, classes[] = {0, 0, 0};
  float *values = floats(VOCAB), *x = malloc(ROWS * sizeof(float));
  for (int i = 0; i < WATCHED; i++) values[members[i]] = (float)i * 0.3f;
  for (int r = 0; r < ROWS; r++) x[r] = 1;
  test_weight w = make_weight_from(values, DIMPLE_TENSOR_F32, 0, VOCAB, 1, WEIGHT_LINEAR);
  head_partition p = {.classes = 1, .segments = 3, .most_segments = 1, .chunk_first = (int32_t *)chunks, .segment_class = (int32_t *)classes,
                      .segment_first = (int32_t *)firsts, .tokens = (int32_t *)members};
  int32_t positions[ROWS], counts[WATCHED] = {0};
  uint8_t wanted[ROWS];
  head_row rows[ROWS];
  for (int r = 0; r < ROWS; r++) positions[r] = r;
  memset(wanted, 1, sizeof wanted);
  head_classes of = {&p, wanted, rows};
  head_call call = {.temperature = 0.8f, .seed = 7, .positions = positions, .classes = &of};
  for (call.iteration = 0; call.iteration < DRAWS / ROWS; call.iteration++) {
    run_head(&tested[1], x, &call, &w, ROWS);
    for (int r = 0; r < ROWS; r++)
      for (int i = 0; i < WATCHED; i++) counts[i] += rows[r].drawn == members[i];
  }
  double total = 0, chi_squared = 0;
  for (int i = 0; i < WATCHED; i++) total += exp(values[members[i]] / 0.8);
  for (int i = 0; i < WATCHED; i++) {
    double expected = DRAWS * exp(values[members[i]] / 0.8) / total;
    chi_squared += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  EXPECT(chi_squared < 18.5, "%s: chi-squared %g with 4 degrees of freedom (0.1 %%: 18.5)", tested_name(), chi_squared);
  free_weight(&w);
  free(values);
  free(x);
}

/* --------------------------------------------------------------------------------------------------------- lists, biases */

/* A list holds the row's own logits, and none that is left out is higher than one of them; which of those that equal its lowest is open. */
static void expect_list(const head_list *list, int64_t r, const float *z, int64_t vocab) {
  const int32_t *tokens = list->tokens + r * list->count;
  const float *logits = list->logits + r * list->count;
  int64_t count = vocab < list->count ? vocab : list->count;
  float lowest = INFINITY;
  int64_t above = 0;
  for (int64_t i = 0; i < count; i++) {
    bool ascending = tokens[i] >= 0 && tokens[i] < vocab && (i == 0 || tokens[i] > tokens[i - 1]);
    EXPECT(ascending && logits[i] == z[tokens[i]], "%s: list of row %lld: %d at %lld", tested_name(), (long long)r, tokens[i], (long long)i);
    lowest = logits[i] < lowest ? logits[i] : lowest;
  }
  for (int64_t t = 0; t < vocab; t++) above += z[t] > lowest;
  EXPECT(above < count || above == 0, "%s: list of row %lld: %lld logits are above its lowest", tested_name(), (long long)r, (long long)above);
  for (int64_t i = count; i < list->count; i++)
    EXPECT(tokens[i] == -1, "%s: list of row %lld: %d behind its end", tested_name(), (long long)r, tokens[i]);
}

/* What is added to rows of their own: to some nothing, to one more than to the others; first and last tokens among it, and such as all rows have. */
typedef struct own_bias {
  int32_t *first, *tokens;
  float *values;
} own_bias;

static own_bias random_own(int64_t rows, int64_t vocab) {
  enum { MOST = 40 };
  own_bias own = {malloc((size_t)(rows + 1) * sizeof *own.first), malloc((size_t)(rows * MOST) * sizeof *own.tokens), floats(rows * MOST)};
  int32_t written = 0;
  for (int64_t r = 0; r < rows; r++) {
    own.first[r] = written;
    int32_t wanted = r % 3 == 1 ? 0 : r == 2 ? MOST : 1 + random_below(5);
    for (int64_t t = r % 2 ? vocab / 3 : 0; t < vocab && written - own.first[r] < wanted; t += 1 + random_below((int32_t)(1 + vocab / wanted)))
      own.tokens[written++] = (int32_t)t;
    if (written > own.first[r] && wanted > 1) own.tokens[written - 1] = (int32_t)(vocab - 1);
  }
  own.first[rows] = written;
  for (int32_t i = 0; i < written; i++) own.values[i] *= 3;
  return own;
}

static void free_own(own_bias *own) {
  free(own->first);
  free(own->tokens);
  free(own->values);
}

/* The reference's own, by the formula and in its order: sums are of what is forbidden and shifted, and of nothing that is added. */
static void check_biased_reference(void) {
  static const float values[] = {1, -2, 0.5f, 3};
  static const int32_t forbidden[] = {3}, tokens[] = {0, 1}, first[] = {0, 0, 2}, own[] = {0, 2};
  static const float added[] = {0.25f, -INFINITY}, of_row[] = {2, -1};
  float x[] = {2, 2}, logits[2][4], sums[2];
  test_weight w = make_weight_from((float *)values, DIMPLE_TENSOR_F32, 0, 4, 1, WEIGHT_LINEAR);
  head_bias bias = {.forbidden = forbidden, .forbidden_count = 1, .shifted = 2, .shift = 0.5f, .log_sums = sums, .tokens = tokens, .values = added,
                    .count = 2, .row_first = first, .row_tokens = own, .row_values = of_row};
  run_head(&reference, x, &(head_call){.bias = &bias, .logits = logits[0]}, &w, 2);
  for (int r = 0; r < 2; r++) {
    EXPECT(fabs(sums[r] - log(exp(2) + exp(-4) + exp(1.5))) < 1e-6, "ref: row %d sums up to %g", r, (double)sums[r]);
    EXPECT(logits[r][0] == 2.25f + 2 * (float)r && logits[r][1] == HEAD_FORBIDDEN && logits[r][2] == 1.5f - (float)r && logits[r][3] == HEAD_FORBIDDEN,
           "ref: row %d: %g %g %g %g", r, (double)logits[r][0], (double)logits[r][1], (double)logits[r][2], (double)logits[r][3]);
  }
  free_weight(&w);
}

/* Lists and biases in one call. `steps` above 0 makes ties. */
static void check_list(int32_t type, int64_t rows, int64_t columns, int64_t vocab, int32_t most, float temperature, float steps) {
  float *x = representable(rows * columns), *z = floats(rows * vocab), *expected_sums = floats(rows), *sums = floats(rows);
  for (int64_t i = 0; i < rows * columns && steps > 0; i++) x[i] = roundf(x[i] * steps);
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  int32_t *positions = calloc((size_t)rows, sizeof *positions), forbidden[] = {(int32_t)(vocab / 2), 0};
  int32_t *tokens = malloc((size_t)vocab * sizeof *tokens);
  float *values = floats(vocab);
  head_bias bias = {.forbidden = forbidden, .forbidden_count = vocab > 2 ? 2 : 0, .tokens = tokens, .values = values, .log_sums = expected_sums};
  for (int32_t t = 1; t < vocab; t++) {
    if (random_below(vocab > 1024 && t < 1024 ? 1 : 400) && t != vocab - 1) continue; /* of the first of several chunks all, of others a few */
    values[bias.count] = t % 3 == 0 ? -INFINITY : 3 * values[bias.count];
    tokens[bias.count++] = t;
  }
  if (vocab > 2) {
    bias.shifted = (int32_t)(vocab - 1);
    bias.shift = 2.5f;
  }
  own_bias own = random_own(rows, vocab);
  bias.row_first = own.first;
  bias.row_tokens = own.tokens;
  bias.row_values = own.values;
  size_t size = (size_t)(rows * most);
  head_list lists[2];
  for (int i = 0; i < 2; i++) lists[i] = (head_list){.count = most, .tokens = malloc(size * sizeof(int32_t)), .logits = malloc(size * sizeof(float))};
  head_row *expected = malloc((size_t)rows * sizeof *expected), *found = malloc((size_t)rows * sizeof *found);
  head_call call = {.temperature = temperature, .positions = positions, .results = expected, .bias = &bias, .logits = z};
  run_head(&reference, x, &call, &w, rows);
  for (int c = 0; c < CONTEXTS; c++) {
    call.results = found;
    call.logits = c == 0 ? z : NULL;
    call.list = &lists[c > 0];
    bias.log_sums = sums;
    run_head(&tested[c], x, &call, &w, rows);
    for (int64_t r = 0; c == 0 && r < rows; r++) {
      expect_list(&lists[0], r, z + r * vocab, vocab);
      expect_row(&found[r], &expected[r], z + r * vocab, temperature, tolerance_of(type) * 4, r);
      expect_near(sums[r], expected_sums[r], tolerance_of(type) * 4, "log_sum without a bias", r);
    }
    bool same = memcmp(lists[0].tokens, lists[c > 0].tokens, size * sizeof(int32_t)) == 0 &&
                memcmp(lists[0].logits, lists[c > 0].logits, size * sizeof(float)) == 0;
    EXPECT(same, "%s: the number of threads changes the list", tested_name());
  }
  for (int i = 0; i < 2; i++) {
    free(lists[i].tokens);
    free(lists[i].logits);
  }
  free_own(&own);
  free(x);
  free(z);
  free(expected_sums);
  free(sums);
  free(positions);
  free(tokens);
  free(values);
  free(expected);
  free(found);
  free_weight(&w);
}

static int by_number(const void *a, const void *b) {
  int32_t first = *(const int32_t *)a, second = *(const int32_t *)b;
  return (first > second) - (first < second);
}

/* Of a list among classes: the row's own logits of wanted ones, and all of these that are higher than its lowest; a forbidden token may be missing. */
static void expect_class_list(const head_call *call, int64_t r, const float *z, int64_t forbidden) {
  const head_list *list = call->list;
  const head_partition *p = call->classes->partition;
  const int32_t *tokens = list->tokens + r * list->count;
  const float *logits = list->logits + r * list->count;
  int64_t count = 0, wanted = 0, above = 0, found = 0;
  float lowest = INFINITY;
  while (count < list->count && tokens[count] >= 0) count++;
  for (int64_t i = 0; i < count; i++) {
    EXPECT((i == 0 || tokens[i] > tokens[i - 1]) && logits[i] == z[tokens[i]], "%s: list of row %lld: %d at %lld", tested_name(), (long long)r, tokens[i], (long long)i);
    lowest = logits[i] < lowest ? logits[i] : lowest;
  }
  for (int32_t s = 0; s < p->segments; s++)
    for (int32_t i = p->segment_first[s]; i < p->segment_first[s + 1] && call->classes->wanted[r * p->classes + p->segment_class[s]]; i++) {
      wanted++;
      above += z[p->tokens[i]] > lowest;
      found += bsearch(&p->tokens[i], tokens, (size_t)count, sizeof *tokens, by_number) != NULL; /* ascending, as was seen */
    }
  EXPECT(found == count, "%s: list of row %lld: %lld of %lld are wanted", tested_name(), (long long)r, (long long)found, (long long)count);
  EXPECT(above < count || above == 0, "%s: list of row %lld: %lld logits are above its lowest", tested_name(), (long long)r, (long long)above);
  int64_t least = wanted - forbidden < list->count ? wanted - forbidden : list->count;
  EXPECT(count >= least, "%s: list of row %lld: %lld of %lld", tested_name(), (long long)r, (long long)count, (long long)wanted);
  for (int64_t i = count; i < list->count; i++) EXPECT(tokens[i] == -1, "%s: list of row %lld: %d behind its end", tested_name(), (long long)r, tokens[i]);
}

/* Beside classes, and of their wanted ones alone; the first `forbidden` tokens, up to 2, are. */
static void check_class_list(int64_t rows, int32_t vocab, int32_t classes, int32_t most, float temperature, int32_t forbidden) {
  enum { COLUMNS = 24 };
  float *x = representable(rows * COLUMNS), *z = floats(rows * vocab);
  test_weight w = make_weight(DIMPLE_TENSOR_F32, vocab, COLUMNS, WEIGHT_LINEAR);
  head_partition p = random_partition(vocab, classes);
  int64_t count = rows * classes, size = rows * most;
  int32_t *positions = calloc((size_t)rows, sizeof *positions), first[] = {0, 1};
  uint8_t *wanted = malloc((size_t)count);
  head_row *results = malloc((size_t)rows * sizeof *results), *of_classes = malloc((size_t)count * sizeof *of_classes);
  head_list list = {.count = most, .tokens = malloc((size_t)size * sizeof(int32_t)), .logits = malloc((size_t)size * sizeof(float)), .among_classes = true};
  head_bias bias = {.forbidden = first, .forbidden_count = forbidden};
  for (int64_t i = 0; i < count; i++) wanted[i] = i < classes ? i == classes - 1 : random_below(3) == 0; /* of the first row few tokens */
  head_classes of = {&p, wanted, of_classes};
  head_call call = {.temperature = temperature, .positions = positions, .results = results, .logits = z, .classes = &of, .bias = &bias};
  run_head(&tested[0], x, &call, &w, rows);
  call.logits = NULL;
  call.list = &list;
  for (int c = 0; c < CONTEXTS; c++) {
    run_head(&tested[c], x, &call, &w, rows);
    for (int64_t r = 0; r < rows; r++) expect_class_list(&call, r, z + r * vocab, forbidden);
  }
  free(x);
  free(z);
  free(positions);
  free(wanted);
  free(results);
  free(of_classes);
  free(list.tokens);
  free(list.logits);
  free_partition(&p);
  free_weight(&w);
}

/* A head that guides says of rows what one says that has the guided logits, which it gives. */
static void check_guidance(int32_t type, int64_t rows, int64_t columns, int64_t vocab, float guidance, float temperature, float softcap) {
  float *x = representable(rows * columns), *bare = representable(rows * columns);
  float *expected_logits = floats(rows * vocab), *logits = floats(rows * vocab);
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  int32_t *positions = calloc((size_t)rows, sizeof *positions), forbidden = 0;
  head_row *expected = malloc((size_t)rows * sizeof *expected), *found = malloc((size_t)rows * sizeof *found);
  head_bias bias = {.forbidden = &forbidden, .forbidden_count = 1};
  for (int i = 0; i < 2; i++) {
    const side *s = i ? &tested[0] : &reference;
    matrix input = place(s, x, rows, columns, 2), beside = place(s, bare, rows, columns, 1);
    head_call call = {.x = input.v, .bare = beside.v, .guidance = guidance, .w = weight_of(&w, s), .temperature = temperature, .positions = positions,
                      .softcap = softcap, .bias = &bias, .results = i ? found : expected, .logits = i ? logits : expected_logits};
    EXPECT_OK(IN_PASS(*s, s->ops->head(s->context, &call)));
    drop(s, input);
    drop(s, beside);
  }
  double tolerance = tolerance_of(type) * (2 * guidance + 2);
  expect_close(logits, expected_logits, rows * vocab, tolerance, "guided logits");
  for (int64_t r = 0; r < rows; r++) expect_row(&found[r], &expected[r], logits + r * vocab, temperature, tolerance * 4, r);
  free(x);
  free(bare);
  free(expected_logits);
  free(logits);
  free(positions);
  free(expected);
  free(found);
  free_weight(&w);
}

/* The reference's own, by the formula. */
static void check_guided_reference(void) {
  static const float values[] = {1, -2, 0.5f, 3};
  float x = 2, bare = 0.5f, logits[4];
  test_weight w = make_weight_from((float *)values, DIMPLE_TENSOR_F32, 0, 4, 1, WEIGHT_LINEAR);
  matrix input = place(&reference, &x, 1, 1, 1), beside = place(&reference, &bare, 1, 1, 1);
  head_call call = {.x = input.v, .bare = beside.v, .guidance = 3, .w = weight_of(&w, &reference), .logits = logits};
  EXPECT_OK(IN_PASS(reference, reference.ops->head(reference.context, &call)));
  for (int t = 0; t < 4; t++) EXPECT(logits[t] == 6.5f * values[t], "ref: guided logit %d is %g", t, (double)logits[t]); /* 0.5 v + 4 * 1.5 v */
  drop(&reference, input);
  drop(&reference, beside);
  free_weight(&w);
}

static void check_guided_heads(void) {
  check_guided_reference();
  if (!(tested[0].ops->head_parts & HEAD_GUIDANCE)) {
    printf("%s: its head does not guide: not tried\n", tested_name());
    return;
  }
  check_guidance(DIMPLE_TENSOR_F32, 7, 40, 3000, 1.5f, 0, 0);
  check_guidance(DIMPLE_TENSOR_F32, 30, 24, 5000, 0.5f, 0.7f, 5);
  check_guidance(DIMPLE_TENSOR_Q4_0, 3, 64, 31, 2, 0, 0);
  check_guidance(DIMPLE_TENSOR_F16, 1, 17, 1, 1, 0, 0);
}

/* --------------------------------------------------------------------------------------------------------- comparisons */

/* Rows that were others, nearly the same, the same, and none at all, of logits that were changed otherwise than they are now: one number for each, which no
 * other row of the call changes. `guidance` 0: none. */
static void check_comparison(int32_t type, int64_t rows, int64_t columns, int64_t vocab, float temperature, float softcap, float guidance) {
  static const float moved[] = {0, 1e-3f, 0.1f, 3};
  float *x = representable(rows * columns), *former = representable(rows * columns), *bare = representable(rows * columns), *log_sums = floats(rows);
  test_weight w = make_weight(type, vocab, columns, WEIGHT_LINEAR);
  int32_t *positions = calloc((size_t)rows, sizeof *positions), forbidden = (int32_t)(vocab / 2), tokens[] = {0, (int32_t)(vocab - 1)};
  float values[] = {1.5f, -INFINITY}, before[] = {1, 0.5f}, *divergences[4];
  head_bias bias = {.forbidden = &forbidden, .forbidden_count = vocab > 2, .tokens = tokens, .values = values, .count = vocab > 2 ? 2 : 0};
  head_bias former_bias = bias;
  former_bias.values = before;
  head_row *results = malloc((size_t)rows * sizeof *results);
  for (int64_t i = 0; i < rows * columns; i++) {
    float by = moved[i / columns % 4];
    if (block_format_of(type)->block_length == 1) former[i] = x[i] + by * former[i];
    else if (by < 1) former[i] = x[i]; /* sums of both would not be representable */
  }
  head_comparison of = {.bias = &former_bias, .log_sums = log_sums};
  const side *sides[] = {&reference, &tested[0], &tested[1], &tested[2]};
  for (int i = 0; i < 4; i++) {
    matrix now = place(sides[i], x, rows, columns, 2), then = place(sides[i], former, rows, columns, 1), beside = place(sides[i], bare, rows, columns, 1);
    head_call call = {.x = now.v, .w = weight_of(&w, sides[i]), .temperature = temperature, .positions = positions, .softcap = softcap, .bias = &bias,
                      .results = results, .comparison = &of, .former = then.v};
    if (guidance > 0) call.bare = call.former_bare = beside.v;
    call.guidance = guidance;
    head_call sums = {.x = then.v, .w = call.w, .softcap = softcap, .bias = &former_bias, .results = results, .bare = call.bare, .guidance = guidance};
    if (i < 2) EXPECT_OK(IN_PASS(*sides[i], sides[i]->ops->head(sides[i]->context, &sums)));
    for (int64_t r = 0; r < rows && i < 2; r++) log_sums[r] = r % 5 == 4 ? HEAD_NO_FORMER : results[r].log_sum;
    of.divergences = divergences[i] = floats(rows);
    EXPECT_OK(IN_PASS(*sides[i], sides[i]->ops->head(sides[i]->context, &call)));
    drop(sides[i], now);
    drop(sides[i], then);
    drop(sides[i], beside);
  }
  double off = tolerance_of(type) * 20 * (1 + guidance);
  for (int64_t r = 0; r < rows; r++) {
    bool none = r % 5 == 4, same = r % 4 == 0 && !none && vocab <= 2;
    EXPECT(fabs(divergences[1][r] - divergences[0][r]) <= (off + 2e-5) * (1 + fabs(divergences[0][r])), "%s: row %lld differs by %.9g, not %.9g", tested_name(),
           (long long)r, (double)divergences[1][r], (double)divergences[0][r]);
    EXPECT(!none || divergences[1][r] > 27 - logf((float)vocab), "%s: row %lld is %g from nothing", tested_name(), (long long)r, (double)divergences[1][r]);
    EXPECT(!same || fabsf(divergences[1][r]) < 1e-5f, "%s: row %lld is %g from itself", tested_name(), (long long)r, (double)divergences[1][r]);
  }
  expect_same_bits(divergences[2], divergences[1], rows, "divergences");
  expect_same_bits(divergences[3], divergences[1], rows, "divergences");
  for (int i = 0; i < 4; i++) free(divergences[i]);
  free(x);
  free(former);
  free(bare);
  free(log_sums);
  free(positions);
  free(results);
  free_weight(&w);
}

/* The reference's own, by the formula. */
static void check_compared_reference(void) {
  static const float values[] = {1, -2, 0.5f};
  float x[] = {2, 1}, former[] = {1, 1}, log_sums[2], divergences[2], expected = 0;
  head_row rows[2];
  double p_sum = exp(2) + exp(-4) + exp(1), q_sum = exp(1) + exp(-2) + exp(0.5);
  test_weight w = make_weight_from((float *)values, DIMPLE_TENSOR_F32, 0, 3, 1, WEIGHT_LINEAR);
  matrix now = place(&reference, x, 2, 1, 1), then = place(&reference, former, 2, 1, 1);
  log_sums[0] = (float)log(q_sum);
  log_sums[1] = HEAD_NO_FORMER;
  head_comparison of = {.log_sums = log_sums, .divergences = divergences};
  head_call call = {.x = now.v, .former = then.v, .w = weight_of(&w, &reference), .results = rows, .comparison = &of};
  EXPECT_OK(IN_PASS(reference, reference.ops->head(reference.context, &call)));
  for (int t = 0; t < 3; t++) expected += (float)(exp(2 * values[t]) / p_sum * (2 * values[t] - log(p_sum) - values[t] + log(q_sum)));
  EXPECT(fabsf(divergences[0] - expected) < 1e-6f, "ref: it differs by %g, not %g", (double)divergences[0], (double)expected);
  expected = (float)(log(1e12) + rows[1].mean_logit - rows[1].log_sum);
  EXPECT(fabsf(divergences[1] - expected) < 1e-5f, "ref: from nothing it differs by %g, not %g", (double)divergences[1], (double)expected);
  drop(&reference, now);
  drop(&reference, then);
  free_weight(&w);
}

static void check_comparisons(void) {
  if (!(tested[0].ops->head_parts & HEAD_COMPARISONS)) {
    printf("%s: its head compares nothing: not tried\n", tested_name());
    return;
  }
  bool guides = tested[0].ops->head_parts & HEAD_GUIDANCE;
  check_compared_reference();
  check_comparison(DIMPLE_TENSOR_F32, 7, 40, 3000, 0, 0, 0);
  check_comparison(DIMPLE_TENSOR_F32, 30, 24, 5000, 0.7f, 5, guides ? 0.5f : 0);
  check_comparison(DIMPLE_TENSOR_F32, 400, 8, 1100, 0, 0, 0); /* several slabs of rows */
  check_comparison(DIMPLE_TENSOR_Q4_0, 9, 64, 33, 0, 0, guides ? 2.0f : 0);
  check_comparison(DIMPLE_TENSOR_F16, 100, 17, 2, 0, 0, 0);
  check_comparison(DIMPLE_TENSOR_BF16, 3, 17, 1, 0, 0, 0);
}

static void check_lists(void) {
  uint32_t wanted = HEAD_LISTS | HEAD_BIASES;
  if ((tested[0].ops->head_parts & wanted) != wanted) {
    printf("%s: its head makes no lists and takes no biases: not tried\n", tested_name());
    return;
  }
  drawn_otherwise = 0;
  check_biased_reference();
  check_list(DIMPLE_TENSOR_F32, 7, 40, 3000, 50, 0, 0);
  check_list(DIMPLE_TENSOR_F32, 50, 40, 5000, 1500, 0.7f, 0);
  check_list(DIMPLE_TENSOR_F32, 3, 8, 4500, 100, 0, 2);
  check_list(DIMPLE_TENSOR_Q4_0, 3, 64, 31, 40, 0, 0);
  check_list(DIMPLE_TENSOR_F16, 1, 17, 1, 1, 0, 0);
  check_list(DIMPLE_TENSOR_F32, 400, 8, 2500, 9, 0, 0); /* several slabs of rows */
  check_list(DIMPLE_TENSOR_F32, 5, 8, 12000, HEAD_LIST_MOST, 0, 0);
  check_class_list(7, 3000, 20, 50, 0, 0);
  check_class_list(30, 20000, 40, 300, 0, 2);
  check_class_list(5, 20000, 40, 2048, 0.7f, 1);
  check_class_list(3, 31, 5, 31, 1, 0);
  check_class_list(50, 2500, 2400, 9, 0, 0); /* nearly as many classes as tokens */
  EXPECT(drawn_otherwise <= 3, "%s: %d draws under a bias differ from the reference's", tested_name(), drawn_otherwise);
}

static void check_the_head(void) {
  check_guided_heads();
  check_heads();
  check_comparisons();
  if (reads_unpacked()) return; /* the rest is about logits, however they were multiplied */
  check_lists();
  check_all_classes();
  check_class_draws();
  check_head_ties();
  check_draw_distribution();
  check_cold_draws();
  check_head_without_numbers();
}

extern const cpu_kernels cpu_kernels_plain;

/* Where rounding leaves something of the sum at the end, what is drawn is a token that weighs something: the last ones are forbidden. */
static void draws_pass_over_forbidden_tokens(void) {
  enum { COUNT = 1000 };
  int32_t at_the_end = 0;
  for (uint32_t i = 0; i < 400; i++) {
    float z[COUNT];
    int32_t last = COUNT - 1 - (int32_t)(i % 9);
    for (uint32_t t = 0; t < COUNT; t++) z[t] = (int32_t)t < last ? -logf(draw_uniform(i, 7, t, 0, 0)) : -1e30f;
    chunk_summary found;
    cpu_kernels_plain.summarize(z, COUNT, 0.7f, 0x1.fffffep-1f, &found);
    EXPECT(found.drawn_token < last, "row %u: token %d of %d is forbidden", i, found.drawn_token, last);
    at_the_end += found.drawn_token == last - 1;
  }
  EXPECT(at_the_end > 0, "no draw came to the end");
}

int main(int argc, char **argv) { draws_pass_over_forbidden_tokens(); return run_suite("ops_head_test", check_the_head, argc, argv); }
