/* Which positions are chosen: threshold, schedule, ties, and the statistics of random choices. */
#include <float.h>

#include "test/chi_square.h"
#include "test/sampler_fixture.h"

static void threshold_is_strict(void) {
  static const float confidence[] = {0.5f, 0.9f, 0.7f, 0.95f, 0.9f};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 5;
  d.threshold = 0.9f;
  sampler_step step = plain_step(&d, 5);
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 1 && chosen[0] == 3, "%d chosen, first %d", count, chosen[0]);
  d.threshold = 0.6f;
  count = choose(&step, confidence, chosen);
  EXPECT(count == 4 && chosen[0] == 1 && chosen[3] == 4, "%d chosen", count);
  d.threshold = 0.95f; /* nothing passes: the schedule's one, the best */
  count = choose(&step, confidence, chosen);
  EXPECT(count == 1 && chosen[0] == 3, "%d chosen, first %d", count, chosen[0]);
  step.iteration = 4;
  count = choose(&step, confidence, chosen);
  EXPECT(count == 5, "%d chosen in the last iteration", count);
  d.pipeline = DIMPLE_PIPELINE_DREAM; /* knows no threshold */
  d.threshold = 0.1f;
  step.iteration = 0;
  count = choose(&step, confidence, chosen);
  EXPECT(count == 0, "%d chosen by pipeline dream in iteration 0", count);
}

static void entropy_never_passes_a_threshold(void) {
  static const float confidence[] = {-0.5f, 0, -2};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ENTROPY);
  d.steps = 3;
  d.threshold = FLT_MIN;
  sampler_step step = plain_step(&d, 3);
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 1 && chosen[0] == 1, "%d chosen, first %d", count, chosen[0]);
}

static void equal_confidences_go_to_the_lower_position(void) {
  static const float confidence[] = {1, 1, 0.5f, 1, 1, 1, 1, 1};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  sampler_step step = plain_step(&d, 8);
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 3 && chosen[0] == 0 && chosen[1] == 1 && chosen[2] == 3, "%d chosen: %d %d %d", count, chosen[0], chosen[1],
         chosen[2]);
}

static void share_at_epsilon_reveals_the_rest(void) {
  static const float confidence[] = {0.5f, 0.6f, 0.1f};
  for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    dimple_decoding d = plain_decoding(algorithm);
    d.steps = MAX_STEPS;
    sampler_step step = plain_step(&d, 3);
    step.total = 5000; /* 3 / 5000 < epsilon */
    int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
    EXPECT(count == (algorithm == DIMPLE_ALGORITHM_AUTOREGRESSIVE ? 1 : 3), "algorithm %d: %d of 3", algorithm, count);
  }
}

static void nothing_masked_chooses_nothing(void) {
  for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    dimple_decoding d = plain_decoding(algorithm);
    sampler_step step = plain_step(&d, 0);
    int32_t chosen[1], count = -1;
    EXPECT_OK(sampler_choose(&step, NULL, chosen, &count));
    EXPECT(count == 0, "algorithm %d chose %d", algorithm, count);
  }
}

/* The number of a pair a < b of `n`. */
static int32_t pair_index(int32_t a, int32_t b, int32_t n) { return a * n - a * (a + 1) / 2 + b - a - 1; }

/* Pairs without replacement are as likely as two weighted draws one after the other. */
static void subset_follows_sequential_draws(void) {
  enum { N = 5, PAIRS = 10, TOTAL = 40000 };
  static const float confidence[N] = {0.9f, 0.1f, 0.5f, 0.7f, 0.3f};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  d.algorithm_temperature = 0.4f;
  d.steps = 2;
  d.epsilon = 0.1f;
  sampler_step step = plain_step(&d, N);
  double weight[N], sum = 0, expected[PAIRS] = {0};
  for (int i = 0; i < N; i++) sum += weight[i] = exp(confidence[i] / 0.4);
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) {
      if (i != j) expected[pair_index(i < j ? i : j, i < j ? j : i, N)] += weight[i] / sum * weight[j] / (sum - weight[i]);
    }
  }
  int32_t counts[PAIRS] = {0};
  for (int32_t seed = 0; seed < TOTAL; seed++) {
    d.seed = (uint64_t)seed;
    int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
    if (count != 2) {
      EXPECT(count == 2, "%d chosen", count);
      return;
    }
    counts[pair_index(chosen[0], chosen[1], N)]++;
  }
  expect_distribution("subset", counts, expected, PAIRS, TOTAL);
}

/* A vanishing algorithm temperature takes the most confident; so does a temperature of the order of float's end. */
static void cold_subset_takes_the_best(void) {
  static const float confidence[] = {0.2f, 0.9f, 0.8f, 0.1f, 0.3f};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.steps = 2;
  d.algorithm_temperature = FLT_MIN;
  sampler_step step = plain_step(&d, 5);
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 2 && chosen[0] == 1 && chosen[1] == 2, "%d chosen: %d %d", count, chosen[0], chosen[1]);
}

static void permutation_is_even(void) {
  enum { N = 6, PAIRS = 15, TOTAL = 30000 };
  static const float confidence[N] = {0};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 2; /* int(6 * 0.4995) = 2 positions in the first iteration */
  sampler_step step = plain_step(&d, N);
  double expected[PAIRS];
  int32_t counts[PAIRS] = {0};
  for (int i = 0; i < PAIRS; i++) expected[i] = 1.0 / PAIRS;
  for (int32_t i = 0; i < TOTAL; i++) {
    d.seed = (uint64_t)i * 0x9E3779B97F4A7C15u;
    int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
    if (count != 2) {
      EXPECT(count == 2, "%d chosen", count);
      return;
    }
    counts[pair_index(chosen[0], chosen[1], N)]++;
  }
  expect_distribution("permutation", counts, expected, PAIRS, TOTAL);
}

/* The number of positions revealed is binomial with the scheduled probability. */
static void ratio_is_binomial(void) {
  enum { N = 6, TOTAL = 30000 };
  static const float confidence[N] = {0};
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    dimple_decoding d = plain_decoding(pipeline ? DIMPLE_ALGORITHM_ORIGIN : DIMPLE_ALGORITHM_ORIGIN_RATIO);
    d.pipeline = pipeline;
    d.steps = 3;
    sampler_step step = plain_step(&d, N);
    double p = 1 - (double)levels[1] / levels[0], expected[N + 1];
    for (int k = 0, choices = 1; k <= N; choices = choices * (N - k) / (k + 1), k++)
      expected[k] = choices * pow(p, k) * pow(1 - p, N - k);
    int32_t counts[N + 1] = {0};
    for (int32_t i = 0; i < TOTAL; i++) {
      d.seed = (uint64_t)i;
      int32_t chosen[MAX_LENGTH];
      counts[choose(&step, confidence, chosen)]++;
    }
    expect_distribution("ratio", counts, expected, N + 1, TOTAL);
  }
}

int main(void) {
  threshold_is_strict();
  entropy_never_passes_a_threshold();
  equal_confidences_go_to_the_lower_position();
  share_at_epsilon_reveals_the_rest();
  nothing_masked_chooses_nothing();
  subset_follows_sequential_draws();
  cold_subset_takes_the_best();
  permutation_is_even();
  ratio_is_binomial();
  return expect_summary("choice");
}
