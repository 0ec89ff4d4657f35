/* Routing to experts, and their sum. */
#include "ops_suite.h"

typedef struct experts_shape {
  int64_t rows, width, feed_forward;
  int32_t experts, used;
  int32_t type;
} experts_shape;

typedef struct experts_case {
  experts_shape shape;
  bool fused; /* gate holds both, gelu, shares among the chosen, and scales */
  test_weight gate, up, down, scale; /* up and scale: one of them */
  const float *x, *scores, *before; /* [rows x width], [rows x experts], [rows x width] */
} experts_case;

typedef struct routed {
  int32_t *chosen;
  float *share, *y;
} routed;

static int32_t *fetch_numbers(const side *s, matrix m) {
  int64_t count = m.v.rows * m.v.columns;
  float *bits = fetch(s, m, "chosen experts");
  int32_t *numbers = calloc((size_t)count + 1, sizeof *numbers);
  memcpy(numbers, bits, (size_t)count * sizeof *numbers);
  free(bits);
  return numbers;
}

static routed run_experts(const side *s, const experts_case *t) {
  experts_shape n = t->shape;
  float *zeros = calloc((size_t)(n.rows * n.used), sizeof *zeros);
  matrix x = place(s, t->x, n.rows, n.width, 2), scores = place(s, t->scores, n.rows, n.experts, 1), y = place(s, t->before, n.rows, n.width, GUARD);
  matrix chosen = place(s, zeros, n.rows, n.used, 0), share = place(s, zeros, n.rows, n.used, GUARD);
  experts_call call = {.x = x.v, .chosen = chosen.v, .share = share.v, .gate = weight_of(&t->gate, s),
                       .up = t->fused ? NULL : weight_of(&t->up, s), .down = weight_of(&t->down, s),
                       .mode = t->fused ? LINEAR_GEGLU : LINEAR_SWIGLU, .y = y.v};
  EXPECT_OK(s->ops->pass_begin(s->context, NULL));
  EXPECT_OK(s->ops->route(s->context, &(route_call){.scores = scores.v, .chosen = chosen.v, .share = share.v,
                                                    .among_chosen = t->fused, .scale = t->fused ? weight_of(&t->scale, s) : NULL}));
  EXPECT_OK(s->ops->experts(s->context, &call));
  EXPECT_OK(s->ops->pass_end(s->context, DIMPLE_OK));
  routed found = {fetch_numbers(s, chosen), fetch(s, share, "shares"), fetch(s, y, "experts")};
  matrix all[] = {x, scores, y, chosen, share};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(s, all[i]);
  free(zeros);
  return found;
}

static void free_routed(routed *r) {
  free(r->chosen);
  free(r->share);
  free(r->y);
}

static void check_mixture(experts_shape n, bool fused) {
  bool quantized = block_format_of(n.type)->block_length > 1;
  int64_t count = n.rows * n.width;
  float *x = quantized ? representable(count) : floats(count), *scores = floats(n.rows * n.experts), *before = floats(count);
  for (int64_t r = 0; r < n.rows; r += 3) /* some equal scores: the lower number goes first */
    for (int32_t e = 1; e < n.experts; e += 2) scores[r * n.experts + e] = scores[r * n.experts + e - 1];
  for (int64_t r = 1; r < n.rows; r += 3) /* and of nearly all */
    for (int32_t e = 0; e < n.experts; e++) scores[r * n.experts + e] = (float)(e % 3);
  experts_case t = {n, fused, .x = x, .scores = scores, .before = before};
  t.gate = make_bank(n.type, fused ? 2 * n.experts : n.experts, n.feed_forward, n.width);
  t.down = make_bank(n.type, n.experts, n.width, n.feed_forward);
  if (fused) t.scale = make_weight(DIMPLE_TENSOR_F32, 1, n.experts, WEIGHT_VECTOR);
  else t.up = make_bank(n.type, n.experts, n.feed_forward, n.width);
  routed expected = run_experts(&reference, &t), first = {0};
  for (int c = 0; c < CONTEXTS; c++) {
    routed found = run_experts(&tested[c], &t);
    EXPECT(memcmp(found.chosen, expected.chosen, (size_t)(n.rows * n.used) * sizeof *found.chosen) == 0, "%s: other experts are chosen", tested_name());
    expect_close(found.share, expected.share, n.rows * n.used, 2e-6, "shares");
    /* The intermediate is rounded to 8 bits before the second product when weights are quantized. */
    expect_close(found.y, expected.y, count, quantized ? is_device() ? 0.05 : 0.01 : is_device() ? 5e-3 : 1e-5, "experts");
    if (c == 0) {
      first = found;
    } else {
      expect_same_bits(found.y, first.y, count, "experts");
      free_routed(&found);
    }
  }
  free_routed(&expected);
  free_routed(&first);
  free_weight(&t.gate);
  free_weight(fused ? &t.scale : &t.up);
  free_weight(&t.down);
  free(x);
  free(scores);
  free(before);
}

/* Known scores: who is chosen, in which order, with which share. */
static void check_routing(void) {
  enum { EXPERTS = 4, USED = 2 };
  static const float scores[2 * EXPERTS] = {0, 2, 2, -1, 1, 0, 0, 3};
  static const int32_t expected[2 * USED] = {1, 2, 3, 0};
  const side *s = &tested[2];
  float zeros[2 * USED] = {0};
  matrix m = place(s, scores, 2, EXPERTS, 0), chosen = place(s, zeros, 2, USED, 0), share = place(s, zeros, 2, USED, 0);
  EXPECT_OK(IN_PASS(*s, s->ops->route(s->context, &(route_call){.scores = m.v, .chosen = chosen.v, .share = share.v})));
  int32_t *numbers = fetch_numbers(s, chosen);
  float *shares = fetch(s, share, "shares");
  for (int r = 0; r < 2; r++) {
    double sum = 0;
    for (int e = 0; e < EXPERTS; e++) sum += exp(scores[r * EXPERTS + e]);
    for (int i = 0; i < USED; i++) {
      EXPECT(numbers[r * USED + i] == expected[r * USED + i], "%s: row %d chose %d", tested_name(), r, numbers[r * USED + i]);
      double wanted = exp(scores[r * EXPERTS + expected[r * USED + i]]) / sum;
      EXPECT(fabs(shares[r * USED + i] - wanted) < 1e-6, "%s: share %g, not %g", tested_name(), (double)shares[r * USED + i], wanted);
    }
  }
  free(numbers);
  free(shares);
  matrix all[] = {m, chosen, share};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(s, all[i]);
}

/* Known scores of eight experts in four groups, of which two are kept: by probability and bias, shares by probability among the chosen. */
static void check_sigmoid_routing(void) {
  enum { ROWS = 3, EXPERTS = 8, USED = 3 };
  static const float scores[ROWS * EXPERTS] = {2, -1, 0.5f, 0.4f, 3, -4, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, -1, 2, -3, 1, 0.2f, 0.1f, -2, 4};
  static const float bias[EXPERTS] = {-0.5f, 0.3f, 0, 0.25f, -0.9f, 0.1f, 0.2f, 0};
  static const int32_t expected[ROWS * USED] = {6, 3, 7, 3, 6, 2, 7, 3, 6};
  static const float shares[ROWS * USED] = {0.886861f, 0.726279f, 0.886861f, 0.833333f, 0.833333f, 0.833333f, 1.33988f, 0.997474f, 0.162643f};
  const side *sides[] = {&reference, &tested[2]};
  for (int i = 0; i < 2; i++) {
    const side *s = sides[i];
    float zeros[ROWS * USED] = {0};
    weight *w;
    tensor_source source = {.name = "bias", .type = DIMPLE_TENSOR_F32, .rows = 1, .columns = EXPERTS, .data = (const uint8_t *)bias};
    EXPECT_OK(s->ops->weight_upload(s->context, &source, WEIGHT_VECTOR, &w));
    matrix m = place(s, scores, ROWS, EXPERTS, 0), chosen = place(s, zeros, ROWS, USED, 0), share = place(s, zeros, ROWS, USED, 0);
    route_call call = {.scores = m.v, .chosen = chosen.v, .share = share.v, .among_chosen = true, .kind = ROUTE_SIGMOID, .bias = w, .groups = 4,
                       .groups_used = 2, .factor = 2.5f};
    EXPECT_OK(IN_PASS(*s, s->ops->route(s->context, &call)));
    int32_t *numbers = fetch_numbers(s, chosen);
    float *found = fetch(s, share, "shares");
    for (int k = 0; k < ROWS * USED; k++)
      EXPECT(numbers[k] == expected[k] && fabsf(found[k] - shares[k]) < 1e-5f, "%s: choice %d is %d with %g", s->ops->name, k, numbers[k], (double)found[k]);
    free(numbers);
    free(found);
    s->ops->weight_free(w);
    matrix all[] = {m, chosen, share};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) drop(s, all[k]);
  }
}

/* The experts of a row, the best first, by the definition: what is worth most to any row of its block is admitted. */
static void choose_in_block(const float *scores, const float *bias, int64_t rows, int64_t r, int32_t experts, int32_t block, int32_t admitted, int32_t used,
                            int32_t *chosen) {
  float highest[64], own[64];
  int64_t first = r / block * block, end = first + block < rows ? first + block : rows;
  for (int32_t e = 0; e < experts; e++) {
    highest[e] = -INFINITY;
    for (int64_t j = first; j < end; j++) highest[e] = fmaxf(highest[e], 1 / (1 + expf(-scores[j * experts + e])) + bias[e]);
  }
  for (int32_t e = 0; e < experts; e++) {
    int32_t before = 0;
    for (int32_t o = 0; o < experts; o++) before += highest[o] > highest[e] || (highest[o] == highest[e] && o < e);
    own[e] = before < admitted ? 1 / (1 + expf(-scores[r * experts + e])) + bias[e] : -INFINITY;
  }
  for (int32_t k = 0; k < used; k++) {
    int32_t best = 0;
    for (int32_t e = 1; e < experts; e++) best = own[e] > own[best] ? e : best;
    chosen[k] = best;
    own[best] = -INFINITY;
  }
}

/* What blocks of rows admit, by the definition: of random scores, with equals, and a last block that is short. */
static void check_blocks(int64_t rows, int32_t experts, int32_t used, int32_t block, int32_t admitted) {
  const side *sides[] = {&reference, &tested[0], &tested[2]};
  float *scores = floats(rows * experts), *bias = floats(experts), *zeros = calloc((size_t)(rows * used), sizeof *zeros);
  for (int64_t i = 0; i < rows * experts; i++) scores[i] = roundf(4 * scores[i]) / 4;
  for (int32_t e = 0; e < experts; e++) bias[e] = roundf(4 * bias[e]) / 16;
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    const side *s = sides[i];
    weight *w;
    tensor_source source = {.name = "bias", .type = DIMPLE_TENSOR_F32, .rows = 1, .columns = experts, .data = (const uint8_t *)bias};
    EXPECT_OK(s->ops->weight_upload(s->context, &source, WEIGHT_VECTOR, &w));
    matrix m = place(s, scores, rows, experts, 3), chosen = place(s, zeros, rows, used, 0), share = place(s, zeros, rows, used, 1);
    route_call call = {.scores = m.v, .chosen = chosen.v, .share = share.v, .among_chosen = true, .kind = ROUTE_SIGMOID, .bias = w, .block = block,
                       .admitted = admitted, .factor = 2.5f};
    EXPECT_OK(IN_PASS(*s, s->ops->route(s->context, &call)));
    int32_t *numbers = fetch_numbers(s, chosen);
    float *found = fetch(s, share, "shares");
    for (int64_t r = 0; r < rows; r++) {
      int32_t expected[64];
      float sum = 0;
      choose_in_block(scores, bias, rows, r, experts, block, admitted, used, expected);
      for (int32_t k = 0; k < used; k++) sum += 1 / (1 + expf(-scores[r * experts + expected[k]]));
      for (int32_t k = 0; k < used; k++) {
        float worth = 1 / (1 + expf(-scores[r * experts + expected[k]])), own = found[r * used + k];
        EXPECT(numbers[r * used + k] == expected[k] && fabsf(own - worth / sum * 2.5f) < 1e-5f, "%s: row %lld: choice %d is %d with %g, not %d", s->ops->name,
               (long long)r, k, numbers[r * used + k], (double)own, expected[k]);
      }
    }
    free(numbers);
    free(found);
    s->ops->weight_free(w);
    matrix all[] = {m, chosen, share};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) drop(s, all[k]);
  }
  free(scores);
  free(bias);
  free(zeros);
}

/* Damaged weights give scores that are no numbers: a row still goes to different experts, each at most once. */
static void check_broken_scores(const side *s, route_scores kind) {
  enum { ROWS = 5, EXPERTS = 4, USED = 3 };
  static const float scores[ROWS * EXPERTS] = {NAN, NAN, NAN, NAN, NAN, 1, 2, 3, 1, 2, NAN, 3,
                                               -INFINITY, -INFINITY, -INFINITY, -INFINITY, INFINITY, 0, INFINITY, 1};
  float zeros[ROWS * USED] = {0};
  matrix m = place(s, scores, ROWS, EXPERTS, 0), chosen = place(s, zeros, ROWS, USED, 0), share = place(s, zeros, ROWS, USED, 0);
  EXPECT_OK(IN_PASS(*s, s->ops->route(s->context, &(route_call){.scores = m.v, .chosen = chosen.v, .share = share.v, .kind = kind, .groups = 2, .groups_used = 1})));
  int32_t *numbers = fetch_numbers(s, chosen);
  for (int r = 0; r < ROWS; r++) {
    int32_t seen = 0;
    for (int i = 0; i < USED; i++) {
      int32_t e = numbers[r * USED + i];
      EXPECT(e >= 0 && e < EXPERTS && !(seen >> e & 1), "%s: row %d: choice %d is expert %d", s->ops->name, r, i, e);
      seen |= 1 << e;
    }
  }
  free(numbers);
  matrix all[] = {m, chosen, share};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) drop(s, all[i]);
}

static void check_experts(void) {
  static const experts_shape shapes[] = {{1, 8, 12, 2, 1, DIMPLE_TENSOR_F32},    {70, 40, 33, 8, 2, DIMPLE_TENSOR_F32},
                                         {200, 17, 20, 5, 5, DIMPLE_TENSOR_F16}, {90, 64, 96, 16, 4, DIMPLE_TENSOR_Q8_0},
                                         {33, 256, 256, 4, 2, DIMPLE_TENSOR_Q4_K}, {400, 32, 32, 1, 1, DIMPLE_TENSOR_BF16},
                                         {25, 8, 8, 160, 12, DIMPLE_TENSOR_F32}};
  check_routing();
  check_sigmoid_routing();
  check_blocks(13, 8, 2, 4, 3);
  check_blocks(64, 64, 8, 32, 16);
  check_blocks(5, 6, 2, 1, 2);
  check_blocks(9, 6, 3, 8, 6);
  for (int kind = ROUTE_SOFTMAX; kind <= ROUTE_SIGMOID; kind++) {
    check_broken_scores(&reference, (route_scores)kind);
    check_broken_scores(&tested[2], (route_scores)kind);
  }
  for (size_t i = 0; i < 2 * (sizeof shapes / sizeof *shapes); i++) check_mixture(shapes[i / 2], i % 2);
}

int main(int argc, char **argv) { return run_suite("ops_experts_test", check_experts, argc, argv); }
