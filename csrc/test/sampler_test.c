/* Candidates, confidences and choices against the authors' results and the numpy reference, and the statistics of the draws. */
#include <float.h>
#include <stdlib.h>

#include "draws.h"
#include "diffusion/sampler.h"
#include "test/data/sampler_tables.h"
#include "test/expect.h"

enum { MAX_LENGTH = 64, MAX_VOCAB = 64, MAX_STEPS = 64 };

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof(array)[0]))

static float levels[MAX_STEPS + 1];

static dimple_decoding plain_decoding(int32_t algorithm) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.algorithm = algorithm;
  d.threshold = 0;
  return d;
}

/* A step over positions 0 .. masked - 1. */
static sampler_step plain_step(const dimple_decoding *d, int32_t masked) {
  static int32_t positions[4096];
  for (int32_t i = 0; i < masked; i++) positions[i] = i;
  schedule_levels(d->steps, d->epsilon, levels);
  return (sampler_step){.decoding = d, .levels = levels, .total = masked, .masked = masked, .positions = positions};
}

/* ------------------------------------------------------------------------------------------------------------ generator */

/* Known answers of the Random123 library (kat_vectors, "philox4x32 10"): the first output word. */
static void philox_known_answers(void) {
  EXPECT(draw_word(0, 0, 0, 0, 0) == 0x6627e8d5u, "%08x", draw_word(0, 0, 0, 0, 0));
  EXPECT(draw_word(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX) == 0x408f276du, "%08x",
         draw_word(UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX));
  uint32_t pi = draw_word(0x299f31d0a4093822u, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
  EXPECT(pi == 0xd16cfe09u, "%08x", pi);
}

static void uniform_never_reaches_its_ends(void) {
  /* Iterations whose words are the highest and the lowest of two hundred million. */
  EXPECT(draw_word(1, 171000484u, 0, 0, 0) == 0xfffffffeu, "%08x", draw_word(1, 171000484u, 0, 0, 0));
  EXPECT(draw_word(1, 91093890u, 0, 0, 0) == 0, "%08x", draw_word(1, 91093890u, 0, 0, 0));
  float high = draw_uniform(1, 171000484u, 0, 0, 0), low = draw_uniform(1, 91093890u, 0, 0, 0);
  EXPECT(high < 1 && high > 1 - 1e-6f, "%.9g", (double)high);
  EXPECT(low > 0 && low < 1e-6f, "%.9g", (double)low);
}

/* Pearson's statistic for `cells` counts against probabilities. */
static double chi_square(const int32_t *counts, const double *probabilities, int32_t cells, int32_t total) {
  double sum = 0;
  for (int32_t i = 0; i < cells; i++) {
    double expected = probabilities[i] * total;
    sum += (counts[i] - expected) * (counts[i] - expected) / expected;
  }
  return sum;
}

/* Fails above the 99.99 % quantile (Wilson-Hilferty); seeds are fixed, so a sound generator passes for ever. */
static void expect_distribution(const char *what, const int32_t *counts, const double *probabilities, int32_t cells,
                                int32_t total) {
  double freedom = cells - 1, c = 2 / (9 * freedom), limit = freedom * pow(1 - c + 3.719 * sqrt(c), 3);
  double found = chi_square(counts, probabilities, cells, total);
  EXPECT(found < limit, "%s: chi-square %.1f, limit %.1f", what, found, limit);
}

/* Every coordinate of the key on its own gives uniform numbers. */
static void uniform_is_uniform(void) {
  enum { CELLS = 64, TOTAL = 64000 };
  double even[CELLS];
  for (int i = 0; i < CELLS; i++) even[i] = 1.0 / CELLS;
  for (int coordinate = 0; coordinate < 4; coordinate++) {
    int32_t counts[CELLS] = {0}, pairs[CELLS] = {0};
    float before = 0;
    for (uint32_t i = 0; i < TOTAL; i++) {
      float u = draw_uniform(coordinate == 0 ? i : 7, coordinate == 1 ? i : 3, coordinate == 2 ? i : 11, DRAW_TOKEN,
                             coordinate == 3 ? i : 5);
      counts[(int)(u * CELLS)]++;
      pairs[(int)(u * 8) * 8 + (int)(before * 8)]++;
      before = u;
    }
    expect_distribution("uniform", counts, even, CELLS, TOTAL);
    expect_distribution("neighbours", pairs, even, CELLS, TOTAL);
  }
}

/* ------------------------------------------------------------------------------------------------------------- settings */

static void defaults_are_confident_decoding(void) {
  dimple_decoding d;
  memset(&d, 0xff, sizeof d);
  dimple_decoding_defaults(&d);
  EXPECT_OK(decoding_validate(&d));
  EXPECT(d.pipeline == DIMPLE_PIPELINE_DIM && d.algorithm == DIMPLE_ALGORITHM_MASKGIT_PLUS, "%d %d", d.pipeline, d.algorithm);
  EXPECT(d.steps == 64 && d.top_k == 0 && d.original_confidence == 1, "%d %d", d.steps, d.top_k);
  EXPECT(d.threshold == 0.95f && d.temperature == 0 && d.top_p == 1, "%g", (double)d.threshold);
  EXPECT(d.algorithm_temperature == 0 && d.epsilon == 1e-3f && d.seed == 0, "%g", (double)d.epsilon);
  dimple_decoding_defaults(NULL);
}

static void every_field_is_checked(void) {
  const float nan = NAN, inf = INFINITY;
#define REFUSED(field, value, text)                                                   \
  do {                                                                                \
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);                \
    d.field = (value);                                                                \
    EXPECT_FAILS(decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, #field " is " text); \
  } while (0)
#define TAKEN(field, value)                                            \
  do {                                                                 \
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS); \
    d.field = (value);                                                 \
    EXPECT_OK(decoding_validate(&d));                                  \
  } while (0)
  EXPECT_FAILS(decoding_validate(NULL), DIMPLE_ERROR_ARGUMENT, "null");
  REFUSED(pipeline, -1, "-1, expected 0 .. 1");
  REFUSED(pipeline, 2, "2, expected 0 .. 1");
  REFUSED(algorithm, -1, "-1, expected 0 .. 5");
  REFUSED(algorithm, 6, "6, expected 0 .. 5");
  REFUSED(steps, 0, "0, expected 1 .. 1048576");
  REFUSED(steps, 1048577, "1048577, expected 1 .. 1048576");
  REFUSED(top_k, -1, "-1, expected 0 .. 2147483647");
  REFUSED(original_confidence, 2, "2, expected 0 .. 1");
  REFUSED(threshold, -0.5f, "-0.5, expected");
  REFUSED(threshold, nan, "nan, expected");
  REFUSED(threshold, inf, "inf, expected");
  REFUSED(temperature, -1, "-1, expected");
  REFUSED(temperature, nan, "nan, expected");
  REFUSED(temperature, inf, "inf, expected");
  REFUSED(temperature, 1e-7f, "1e-07, expected 0");
  REFUSED(top_p, -0.25f, "-0.25, expected 0 .. 1");
  REFUSED(top_p, 1.5f, "1.5, expected 0 .. 1");
  REFUSED(top_p, nan, "nan, expected 0 .. 1");
  REFUSED(algorithm_temperature, -2, "-2, expected");
  REFUSED(algorithm_temperature, nan, "nan, expected");
  REFUSED(algorithm_temperature, inf, "inf, expected");
  REFUSED(epsilon, 0, "0, expected more than 0");
  REFUSED(epsilon, 1, "1, expected more than 0");
  REFUSED(epsilon, nan, "nan, expected more than 0");
  TAKEN(steps, 1);
  TAKEN(steps, 1048576);
  TAKEN(top_k, INT32_MAX);
  TAKEN(threshold, 2);
  TAKEN(temperature, 1e-6f);
  TAKEN(temperature, FLT_MAX);
  TAKEN(top_p, 0);
  TAKEN(top_p, 1);
  TAKEN(algorithm_temperature, FLT_MIN);
  TAKEN(epsilon, FLT_MIN);
  TAKEN(epsilon, 0.99999f);
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ORIGIN_RATIO);
  EXPECT_OK(decoding_validate(&d));
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  EXPECT_FAILS(decoding_validate(&d), DIMPLE_ERROR_ARGUMENT, "origin-ratio");
}

/* ----------------------------------------------------------------------------------------------------------- candidates */

/* What the head says of a row of logits, in double precision; the draw is given. */
static head_row summarise(const float *z, int32_t vocab, float temperature, int32_t drawn) {
  head_row r = {.second_logit = -INFINITY};
  for (int32_t i = 1; i < vocab; i++) r.best = z[i] > z[r.best] ? i : r.best;
  r.best_logit = z[r.best];
  double sum = 0, mean = 0, hot_sum = 0, hot_mean = 0, t = temperature > 0 ? temperature : 1;
  for (int32_t i = 0; i < vocab; i++) {
    double x = (double)z[i] - r.best_logit;
    sum += exp(x);
    mean += exp(x) * z[i];
    hot_sum += exp(x / t);
    hot_mean += exp(x / t) * z[i] / t;
    if (i != r.best && z[i] > r.second_logit) r.second_logit = z[i];
  }
  r.drawn = temperature > 0 ? drawn : r.best;
  r.drawn_logit = z[r.drawn];
  r.log_sum = (float)(log(sum) + r.best_logit);
  r.mean_logit = (float)(mean / sum);
  r.hot_log_sum = (float)(log(hot_sum) + r.best_logit / t);
  r.hot_mean = (float)(hot_mean / hot_sum);
  return r;
}

/* Candidates of all rows in one block. */
static dimple_status candidates_of(const sampler_step *step, const float *z, int32_t count, int32_t vocab, candidate *out) {
  static head_row rows[512];
  for (int32_t i = 0; i < count; i++) rows[i] = summarise(z + i * vocab, vocab, 0, 0);
  return sampler_candidates_from_logits(step, rows, z, count, vocab, step->positions, 0, count, out);
}

static void candidates_equal_authors(void) {
  for (int32_t i = 0; i < COUNT(golden_candidates); i++) {
    dimple_decoding d = plain_decoding(golden_candidates[i].algorithm);
    d.original_confidence = golden_candidates[i].original_confidence;
    d.top_p = golden_candidates[i].top_p;
    d.top_k = golden_candidates[i].top_k;
    sampler_step step = plain_step(&d, 4);
    candidate found[4], summary[4];
    EXPECT_OK(candidates_of(&step, golden_candidates[i].logits[0], 4, 12, found));
    head_row rows[4];
    for (int r = 0; r < 4; r++) rows[r] = summarise(golden_candidates[i].logits[r], 12, 0, 0);
    sampler_candidates(&step, rows, 4, summary);
    for (int r = 0; r < 4; r++) {
      int32_t token = golden_candidates[i].token[r];
      float confidence = golden_candidates[i].confidence[r];
      EXPECT(found[r].token == token, "case %d row %d: %d, not %d", i, r, found[r].token, token);
      EXPECT(fabsf(found[r].confidence - confidence) < 2e-6f, "case %d row %d: %.7f, not %.7f", i, r,
             (double)found[r].confidence, (double)confidence);
      if (sampler_needs_logits(&step)) continue;
      EXPECT(summary[r].token == token && fabsf(summary[r].confidence - confidence) < 2e-6f,
             "case %d row %d from the summary: %d with %.7f, not %d with %.7f", i, r, summary[r].token,
             (double)summary[r].confidence, token, (double)confidence);
    }
  }
}

/* Both ways to a candidate agree wherever both are possible, at any temperature. */
static void summary_equals_logits(void) {
  static const float temperatures[] = {0, 0.05f, 0.7f, 3};
  for (int32_t algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    for (int32_t t = 0; t < COUNT(temperatures); t++) {
      for (int32_t original = 0; original < 2; original++) {
        for (uint32_t r = 0; r < 50; r++) {
          float z[40];
          for (uint32_t v = 0; v < 40; v++) z[v] = 12 * draw_uniform(r, 0, v, 0, 0) - 4;
          dimple_decoding d = plain_decoding(algorithm);
          d.temperature = temperatures[t];
          d.original_confidence = original;
          d.seed = r;
          sampler_step step = plain_step(&d, 1);
          EXPECT(!sampler_needs_logits(&step), "no filter");
          candidate from_logits, from_summary;
          EXPECT_OK(candidates_of(&step, z, 1, 40, &from_logits));
          head_row row = summarise(z, 40, temperatures[t], from_logits.token);
          sampler_candidates(&step, &row, 1, &from_summary);
          EXPECT(from_summary.token == from_logits.token, "%d and %d", from_summary.token, from_logits.token);
          EXPECT(fabsf(from_summary.confidence - from_logits.confidence) < 3e-5f * (1 + fabsf(from_logits.confidence)),
                 "algorithm %d at %g: %.7f and %.7f", algorithm, (double)temperatures[t], (double)from_summary.confidence,
                 (double)from_logits.confidence);
        }
      }
    }
  }
}

static void logits_only_where_they_show(void) {
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  sampler_step step = plain_step(&d, 1);
  d.top_p = 0.5f;
  EXPECT(!sampler_needs_logits(&step), "a filter does not show in the best token and its original confidence");
  d.original_confidence = 0;
  EXPECT(sampler_needs_logits(&step), "confidence after the filter");
  d.original_confidence = 1;
  d.temperature = 0.5f;
  EXPECT(sampler_needs_logits(&step), "a draw after the filter");
  d.top_p = 1;
  EXPECT(!sampler_needs_logits(&step), "the head draws");
  d.top_k = 4;
  EXPECT(sampler_needs_logits(&step), "a draw after top-k");
  d.temperature = 0;
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  EXPECT(sampler_needs_logits(&step), "dream always judges after the filter");
}

typedef struct sorted_token {
  float logit;
  int32_t token;
} sorted_token;

static int by_falling_logit(const void *a, const void *b) {
  const sorted_token *x = a, *y = b;
  if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
  return (x->token > y->token) - (x->token < y->token);
}

/* The filters as they are defined, with a full sort; keep[vocab]. */
static void filter_by_sorting(const float *z, int32_t vocab, float temperature, float top_p, int32_t top_k, bool *keep) {
  sorted_token sorted[4096];
  double sum = 0, before = 0, t = temperature > 0 ? temperature : 1;
  for (int32_t i = 0; i < vocab; i++) sorted[i] = (sorted_token){z[i], i};
  qsort(sorted, (size_t)vocab, sizeof *sorted, by_falling_logit);
  for (int32_t i = 0; i < vocab; i++) sum += exp(((double)sorted[i].logit - sorted[0].logit) / t);
  for (int32_t i = 0; i < vocab; i++) {
    keep[sorted[i].token] = top_p >= 1 || before <= top_p * sum;
    before += exp(((double)sorted[i].logit - sorted[0].logit) / t);
  }
  if (top_k < 1 || top_k >= vocab) return;
  for (int32_t i = top_k; i < vocab; i++) {
    if (sorted[i].logit < sorted[top_k - 1].logit) keep[sorted[i].token] = false;
  }
}

/* Recorded draws of every token in turn show which ones the filters keep, and with what probability. */
static void filters_keep_what_sorting_keeps(void) {
  enum { VOCAB = 300 };
  static const float top_ps[] = {0, 0.01f, 0.3f, 0.5f, 0.9f, 0.999f, 1};
  static const int32_t top_ks[] = {0, 1, 2, 7, 299, 300, 1000};
  static float z[VOCAB * VOCAB];
  static candidate found[VOCAB];
  int32_t kind = DIMPLE_DRAW_CATEGORICAL, length = VOCAB;
  double tokens[VOCAB];
  for (int32_t i = 0; i < VOCAB; i++) tokens[i] = i;
  replay *recorded;
  EXPECT_OK(replay_create(&kind, &length, 1, tokens, VOCAB, &recorded));
  for (uint32_t row = 0; row < 8; row++) {
    for (uint32_t v = 0; v < VOCAB; v++) {
      float u = draw_uniform(row, 1, v, 0, 0);
      /* Continuous, in steps that make ties frequent, peaked, and flat rows. */
      z[v] = row < 3 ? 10 * u : row < 5 ? floorf(6 * u) : row == 5 ? (v == 17 ? 30 : u) : row == 6 ? 0 : (v < 2 ? 5 : -5);
    }
    for (int32_t i = 1; i < VOCAB; i++) memcpy(z + i * VOCAB, z, VOCAB * sizeof *z);
    for (int32_t p = 0; p < COUNT(top_ps); p++) {
      for (int32_t k = 0; k < COUNT(top_ks); k++) {
        dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
        d.temperature = row % 2 ? 0.7f : 1;
        d.original_confidence = 0;
        d.top_p = top_ps[p];
        d.top_k = top_ks[k];
        sampler_step step = plain_step(&d, VOCAB);
        step.recorded = recorded;
        replay_seek(recorded, 0);
        EXPECT_OK(candidates_of(&step, z, VOCAB, VOCAB, found));
        bool keep[VOCAB];
        filter_by_sorting(z, VOCAB, d.temperature, d.top_p, d.top_k, keep);
        double mass = 0;
        int32_t wrong = -1;
        for (int32_t i = 0; i < VOCAB; i++) {
          mass += found[i].confidence;
          if ((found[i].confidence > 0) != keep[i]) wrong = i;
        }
        EXPECT(wrong < 0, "row %u, top_p %g, top_k %d: token %d is kept: %d", row, (double)d.top_p, d.top_k, wrong,
               found[wrong < 0 ? 0 : wrong].confidence > 0);
        EXPECT(fabs(mass - 1) < 1e-5, "row %u, top_p %g, top_k %d: probabilities sum to %.7f", row, (double)d.top_p, d.top_k,
               mass);
      }
    }
  }
  replay_free(recorded);
}

static void ties_go_to_the_lowest_token(void) {
  static const float z[] = {1, 3, 2, 3, 3, 0};
  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_TOPK_MARGIN);
  d.original_confidence = 0;
  sampler_step step = plain_step(&d, 1);
  candidate found;
  EXPECT_OK(candidates_of(&step, z, 1, 6, &found));
  EXPECT(found.token == 1 && found.confidence == 0, "token %d, margin %g", found.token, (double)found.confidence);
  d.top_p = 0; /* of three equals the first stays */
  EXPECT_OK(candidates_of(&step, z, 1, 6, &found));
  EXPECT(found.token == 1 && found.confidence == 1, "token %d, margin %g", found.token, (double)found.confidence);
  d.top_p = 1;
  d.top_k = 1; /* all three have the highest logit */
  d.algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS;
  EXPECT_OK(candidates_of(&step, z, 1, 6, &found));
  EXPECT(found.token == 1 && fabsf(found.confidence - 1 / 3.0f) < 1e-6f, "probability %g", (double)found.confidence);
}

/* Rounding of the head's sums must not carry a probability past a threshold of 1, or an entropy past 0. */
static void confidences_stay_in_range(void) {
  head_row row = {.best_logit = 20.000002f, .second_logit = -INFINITY, .drawn_logit = 20.000002f, .log_sum = 20,
                  .mean_logit = 20.000002f, .hot_log_sum = 20, .hot_mean = 20.000002f};
  for (int32_t algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    dimple_decoding d = plain_decoding(algorithm);
    sampler_step step = plain_step(&d, 1);
    candidate found;
    sampler_candidates(&step, &row, 1, &found);
    float limit = algorithm == DIMPLE_ALGORITHM_ENTROPY ? 0 : 1;
    EXPECT(found.confidence == limit, "algorithm %d: %.9g", algorithm, (double)found.confidence);
  }
}

/* A model whose weights overflow gives infinities and NaN: tokens stay in range and confidences stay numbers. */
static void broken_logits_are_survived(void) {
  float rows[5][6] = {{NAN, NAN, NAN, NAN, NAN, NAN},
                      {INFINITY, 1, INFINITY, 0, 0, 0},
                      {-INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY, -INFINITY},
                      {1, NAN, 2, -INFINITY, 0, 1},
                      {FLT_MAX, -FLT_MAX, 0, 0, 0, FLT_MAX}};
  for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
    for (int32_t variant = 0; variant < 16; variant++) {
      dimple_decoding d = plain_decoding(algorithm);
      d.temperature = variant & 1 ? 0.5f : 0;
      d.original_confidence = variant >> 1 & 1;
      d.top_p = variant & 4 ? 0.5f : 1;
      d.top_k = variant & 8 ? 3 : 0;
      sampler_step step = plain_step(&d, 5);
      candidate found[5];
      int32_t chosen[5], count;
      EXPECT_OK(candidates_of(&step, rows[0], 5, 6, found));
      for (int r = 0; r < 5; r++) {
        EXPECT(found[r].token >= 0 && found[r].token < 6, "row %d: token %d", r, found[r].token);
        EXPECT(found[r].confidence >= -FLT_MAX && found[r].confidence <= 1, "row %d: %g", r, (double)found[r].confidence);
        head_row row = {.best_logit = rows[r][0], .second_logit = rows[r][1], .drawn_logit = rows[r][0], .log_sum = NAN,
                        .mean_logit = INFINITY, .hot_log_sum = NAN, .hot_mean = NAN};
        candidate summary;
        sampler_candidates(&step, &row, 1, &summary);
        EXPECT(summary.confidence >= -FLT_MAX && summary.confidence <= 1, "row %d: %g", r, (double)summary.confidence);
      }
      EXPECT(d.temperature > 0 || (found[3].token == 2 && found[4].token == 0), "best of the rest: %d, %d", found[3].token,
             found[4].token);
      EXPECT_OK(sampler_choose(&step, found, chosen, &count));
      EXPECT(count >= 0 && count <= 5, "%d chosen", count);
    }
  }
}

/* ------------------------------------------------------------------------------------------------------ whole decodings */

/* The same numbers as synthetic_logits in data/sampler_tables.py. */
static float synthetic_logit(uint32_t iteration, uint32_t position, uint32_t token) {
  uint32_t h = iteration * 73856093u ^ position * 19349663u ^ token * 83492791u;
  h *= 2654435761u;
  h = (h ^ h >> 15) * 2246822519u;
  return (float)((h >> 18) % 1024) / 64 - 8;
}

/* A canvas being decoded without a model. */
typedef struct simulation {
  dimple_decoding decoding;
  int32_t length, vocab;
  int32_t block;      /* rows of logits handed over at a time */
  bool from_summary;  /* where possible */
  replay *recorded;
  int32_t revealed[MAX_LENGTH]; /* iteration, -1 masked, -2 fixed */
  int32_t token[MAX_LENGTH];
  int32_t iterations;
} simulation;

static void score(const simulation *s, const sampler_step *step, const int32_t *positions, int32_t count, candidate *out) {
  static float z[MAX_LENGTH * MAX_VOCAB];
  head_row rows[MAX_LENGTH];
  for (int32_t i = 0; i < count; i++) {
    for (int32_t v = 0; v < s->vocab; v++)
      z[i * s->vocab + v] = synthetic_logit((uint32_t)step->iteration, (uint32_t)positions[i], (uint32_t)v);
    rows[i] = summarise(z + i * s->vocab, s->vocab, 0, 0);
  }
  if (s->from_summary && !sampler_needs_logits(step)) {
    sampler_candidates(step, rows, count, out);
    return;
  }
  for (int32_t at = 0; at < count; at += s->block) {
    int32_t size = count - at < s->block ? count - at : s->block;
    EXPECT_OK(sampler_candidates_from_logits(step, rows + at, z + at * s->vocab, size, s->vocab, positions + at, at, count, out + at));
  }
}

/* One iteration; false at the end. */
static bool advance(simulation *s) {
  int32_t positions[MAX_LENGTH], chosen[MAX_LENGTH], count = 0, total = 0;
  sampler_step step = {.decoding = &s->decoding, .levels = levels, .iteration = s->iterations, .positions = positions,
                       .recorded = s->recorded};
  for (int32_t i = 0; i < s->length; i++) {
    total += s->revealed[i] != -2;
    if (s->revealed[i] == -1) positions[step.masked++] = i;
  }
  step.total = total;
  candidate found[MAX_LENGTH];
  if (step.masked > 0) {
    bool first = sampler_chooses_positions_first(&s->decoding);
    if (!first) score(s, &step, positions, step.masked, found);
    EXPECT_OK(sampler_choose(&step, first ? NULL : found, chosen, &count));
    EXPECT(count >= 0 && count <= step.masked, "%d of %d", count, step.masked);
    for (int32_t i = 0; i < count; i++)
      EXPECT(chosen[i] > (i ? chosen[i - 1] : -1) && chosen[i] < step.masked, "index %d is %d", i, chosen[i]);
    if (first) {
      int32_t at[MAX_LENGTH];
      for (int32_t i = 0; i < count; i++) at[i] = positions[chosen[i]];
      score(s, &step, at, count, found);
    }
    for (int32_t i = 0; i < count; i++) {
      s->revealed[positions[chosen[i]]] = s->iterations;
      s->token[positions[chosen[i]]] = found[first ? i : chosen[i]].token;
    }
  }
  s->iterations++;
  bool finished = s->decoding.pipeline == DIMPLE_PIPELINE_DIM && count == step.masked;
  return !finished && s->iterations < s->decoding.steps;
}

static void decode(simulation *s, const int8_t *initial) {
  for (int32_t i = 0; i < s->length; i++) {
    s->revealed[i] = initial && initial[i] == -2 ? -2 : -1;
    s->token[i] = -1;
  }
  s->iterations = 0;
  schedule_levels(s->decoding.steps, s->decoding.epsilon, levels);
  if (s->recorded) replay_seek(s->recorded, 0);
  while (advance(s)) {
  }
}

static void decodings_equal_reference(void) {
  for (int32_t r = 0; r < COUNT(runs); r++) {
    replay *recorded = NULL;
    EXPECT_OK(decoding_validate(&runs[r].decoding));
    EXPECT_OK(replay_create(run_draw_kinds + runs[r].first_record, run_draw_lengths + runs[r].first_record,
                            runs[r].record_count, run_draw_values + runs[r].first_value, runs[r].value_count, &recorded));
    for (int32_t way = 0; way < 3; way++) {
      simulation s = {.decoding = runs[r].decoding, .length = runs[r].length, .vocab = runs[r].vocab,
                      .block = way == 0 ? MAX_LENGTH : way, .from_summary = way == 0, .recorded = recorded};
      decode(&s, run_revealed + runs[r].first);
      EXPECT(s.iterations == runs[r].iterations, "run %d: %d iterations, not %d", r, s.iterations, runs[r].iterations);
      EXPECT(replay_position(recorded) == runs[r].record_count, "run %d: %d of %d draws used", r, replay_position(recorded),
             runs[r].record_count);
      for (int32_t i = 0; i < s.length; i++) {
        EXPECT(s.revealed[i] == run_revealed[runs[r].first + i] && s.token[i] == run_token[runs[r].first + i],
               "run %d way %d position %d: token %d in iteration %d, not %d in %d", r, way, i, s.token[i], s.revealed[i],
               run_token[runs[r].first + i], run_revealed[runs[r].first + i]);
      }
    }
    replay_free(recorded);
  }
}

/* Every pipeline and algorithm on the generator: whatever the blocks, a seed gives one result; another seed gives another. */
static void generator_decodings(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    for (int32_t algorithm = 0; algorithm <= DIMPLE_ALGORITHM_ENTROPY; algorithm++) {
      if (pipeline == DIMPLE_PIPELINE_DREAM && algorithm == DIMPLE_ALGORITHM_ORIGIN_RATIO) continue;
      for (int32_t threshold = 0; threshold <= (pipeline == DIMPLE_PIPELINE_DIM); threshold++) {
        simulation s[3];
        for (int32_t i = 0; i < 3; i++) {
          s[i] = (simulation){.decoding = plain_decoding(algorithm), .length = 40, .vocab = 30, .block = i == 0 ? 40 : 3};
          s[i].decoding.pipeline = pipeline;
          s[i].decoding.steps = 24;
          s[i].decoding.temperature = 0.8f;
          s[i].decoding.algorithm_temperature = 0.5f;
          s[i].decoding.threshold = threshold ? 0.8f : 0;
          s[i].decoding.seed = i == 2 ? 1234567890123u : 5;
          decode(&s[i], NULL);
        }
        EXPECT(s[0].iterations == s[1].iterations && memcmp(s[0].token, s[1].token, sizeof s[0].token) == 0 &&
                   memcmp(s[0].revealed, s[1].revealed, sizeof s[0].revealed) == 0,
               "pipeline %d algorithm %d: blocks change the result", pipeline, algorithm);
        EXPECT(memcmp(s[0].token, s[2].token, sizeof s[0].token) != 0, "pipeline %d algorithm %d: the seed changes nothing",
               pipeline, algorithm);
        int32_t left = 0;
        for (int32_t i = 0; i < 40; i++) left += s[0].revealed[i] == -1;
        /* Leftmost first takes one per step, unless the threshold's last step takes all. */
        int32_t expected = algorithm == DIMPLE_ALGORITHM_AUTOREGRESSIVE && !threshold ? 40 - 24 : 0;
        EXPECT(left == expected, "pipeline %d algorithm %d: %d masks left, not %d", pipeline, algorithm, left, expected);
      }
    }
  }
}

static void autoregressive_goes_left_to_right(void) {
  for (int32_t pipeline = 0; pipeline < 2; pipeline++) {
    simulation s = {.decoding = plain_decoding(DIMPLE_ALGORITHM_AUTOREGRESSIVE), .length = 12, .vocab = 20, .block = 12};
    s.decoding.pipeline = pipeline;
    s.decoding.steps = 12;
    decode(&s, NULL);
    for (int32_t i = 0; i < 12; i++) EXPECT(s.revealed[i] == i, "position %d in iteration %d", i, s.revealed[i]);
  }
}

/* ------------------------------------------------------------------------------------------------------------- choosing */

/* Chooses with confidences; returns how many. */
static int32_t choose(const sampler_step *step, const float *confidence, int32_t *chosen) {
  candidate found[MAX_LENGTH];
  int32_t count = -1;
  for (int32_t i = 0; i < step->masked; i++) found[i] = (candidate){0, confidence[i]};
  EXPECT_OK(sampler_choose(step, found, chosen, &count));
  return count;
}

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

/* ----------------------------------------------------------------------------------------------------------- statistics */

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

static void tokens_follow_the_filtered_distribution(void) {
  enum { VOCAB = 8, TOTAL = 40000 };
  static const float z[VOCAB] = {0.5f, 2, -1, 1.5f, 2, 0, -3, 1};
  static const struct {
    float top_p;
    int32_t top_k;
  } filters[] = {{1, 0}, {0.8f, 0}, {1, 3}, {0.9f, 4}};
  for (int32_t f = 0; f < COUNT(filters); f++) {
    dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.temperature = 0.7f;
    d.top_p = filters[f].top_p;
    d.top_k = filters[f].top_k;
    sampler_step step = plain_step(&d, 1);
    bool keep[VOCAB];
    filter_by_sorting(z, VOCAB, d.temperature, d.top_p, d.top_k, keep);
    double weight[VOCAB], expected[VOCAB], sum = 0;
    int32_t counts[VOCAB] = {0}, kept[VOCAB], cells = 0;
    for (int i = 0; i < VOCAB; i++) sum += weight[i] = keep[i] ? exp(z[i] / 0.7) : 0;
    for (int32_t i = 0; i < TOTAL; i++) {
      candidate found;
      step.iteration = i % 50;
      step.positions = &(int32_t){i / 50};
      EXPECT_OK(candidates_of(&step, z, 1, VOCAB, &found));
      counts[found.token]++;
    }
    for (int i = 0; i < VOCAB; i++) {
      EXPECT(keep[i] || counts[i] == 0, "filter %d: token %d drawn %d times", f, i, counts[i]);
      if (!keep[i]) continue;
      expected[cells] = weight[i] / sum;
      kept[cells++] = counts[i];
    }
    expect_distribution("tokens", kept, expected, cells, TOTAL);
  }
}

/* --------------------------------------------------------------------------------------------------------------- replay */

static void replay_refuses_impossible_records(void) {
  static const struct {
    int32_t kind, length;
    double values[3];
    const char *text;
  } bad[] = {{4, 1, {0}, "kind 4"},
             {-1, 1, {0}, "kind -1"},
             {DIMPLE_DRAW_PERMUTATION, -1, {0}, "length -1"},
             {DIMPLE_DRAW_PERMUTATION, 4, {0}, "length 4"},
             {DIMPLE_DRAW_PERMUTATION, 2, {0, 1, 0}, "value_count is 3"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 1, 3}, "holds 3 at 2"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 2, 0}, "index 0 twice"},
             {DIMPLE_DRAW_PERMUTATION, 3, {0, 2, 0.5}, "holds 0.5 at 2"},
             {DIMPLE_DRAW_UNIFORM, 3, {0, 0.5, 1}, "holds 1 at 2"},
             {DIMPLE_DRAW_UNIFORM, 3, {-0.5, 0, 0}, "holds -0.5 at 0"},
             {DIMPLE_DRAW_UNIFORM, 3, {0, NAN, 0}, "nan"},
             {DIMPLE_DRAW_CATEGORICAL, 3, {0, 1.5, 0}, "holds 1.5 at 1"},
             {DIMPLE_DRAW_CATEGORICAL, 3, {0, 1e300, 0}, "1e+300"},
             {DIMPLE_DRAW_SUBSET, 3, {7, 1, 7}, "index 7 twice"}};
  for (int32_t i = 0; i < COUNT(bad); i++) {
    replay *r = NULL;
    EXPECT_FAILS(replay_create(&bad[i].kind, &bad[i].length, 1, bad[i].values, 3, &r), DIMPLE_ERROR_ARGUMENT, bad[i].text);
    EXPECT(r == NULL, "case %d", i);
  }
  replay *r = NULL;
  int32_t kind = 0, length = 0;
  EXPECT_FAILS(replay_create(NULL, &length, 1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, NULL, 1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, &length, 1, NULL, 1, &r), DIMPLE_ERROR_ARGUMENT, "null");
  EXPECT_FAILS(replay_create(&kind, &length, -1, NULL, 0, &r), DIMPLE_ERROR_ARGUMENT, "record_count -1");
  EXPECT_FAILS(replay_create(&kind, &length, 1, NULL, -1, &r), DIMPLE_ERROR_ARGUMENT, "value_count -1");
  EXPECT_OK(replay_create(&kind, &length, 1, NULL, 0, &r));
  replay_free(r);
  replay_free(NULL);
}

static void replay_refuses_unfitting_records(void) {
  static const int32_t kinds[] = {DIMPLE_DRAW_UNIFORM, DIMPLE_DRAW_PERMUTATION, DIMPLE_DRAW_SUBSET, DIMPLE_DRAW_CATEGORICAL};
  static const int32_t lengths[] = {2, 3, 1, 2};
  static const double values[] = {0.5, 0.25, 2, 0, 1, 9, 3, 12};
  static const float confidence[3] = {0}, z[24] = {0};
  replay *r = NULL;
  EXPECT_OK(replay_create(kinds, lengths, 4, values, 8, &r));
  const double *found;
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_PERMUTATION, 2, &found), DIMPLE_ERROR_STATE, "record 0 is a uniform of 2");
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_UNIFORM, 3, &found), DIMPLE_ERROR_STATE, "needs a uniform of 3");
  EXPECT_OK(replay_next(r, DIMPLE_DRAW_UNIFORM, 2, &found));
  EXPECT(found[0] == 0.5 && found[1] == 0.25 && replay_last(r) == found, "%g %g", found[0], found[1]);

  dimple_decoding d = plain_decoding(DIMPLE_ALGORITHM_ORIGIN);
  d.steps = 3;
  sampler_step step = plain_step(&d, 3);
  step.recorded = r;
  candidate candidates[3] = {{0, 0}};
  int32_t chosen[MAX_LENGTH], count = choose(&step, confidence, chosen);
  EXPECT(count == 1 && chosen[0] == 2, "%d chosen, first %d", count, chosen[0]);
  d.algorithm = DIMPLE_ALGORITHM_MASKGIT_PLUS;
  d.algorithm_temperature = 1;
  EXPECT_FAILS(sampler_choose(&step, candidates, chosen, &count), DIMPLE_ERROR_STATE, "index 9, but only 3");
  d.temperature = 1;
  EXPECT_FAILS(candidates_of(&step, z, 2, 12, candidates), DIMPLE_ERROR_STATE,
               "token 12 at 1, expected 0 .. 11");
  EXPECT_FAILS(replay_next(r, DIMPLE_DRAW_UNIFORM, 2, &found), DIMPLE_ERROR_STATE, "all 4 records are used");
  replay_seek(r, 1);
  EXPECT_OK(replay_next(r, DIMPLE_DRAW_PERMUTATION, 3, &found));
  EXPECT(found[0] == 2 && replay_position(r) == 2, "%g", found[0]);
  replay_free(r);
}

int main(void) {
  philox_known_answers();
  uniform_never_reaches_its_ends();
  uniform_is_uniform();
  defaults_are_confident_decoding();
  every_field_is_checked();
  candidates_equal_authors();
  summary_equals_logits();
  logits_only_where_they_show();
  filters_keep_what_sorting_keeps();
  ties_go_to_the_lowest_token();
  confidences_stay_in_range();
  broken_logits_are_survived();
  decodings_equal_reference();
  generator_decodings();
  autoregressive_goes_left_to_right();
  threshold_is_strict();
  entropy_never_passes_a_threshold();
  equal_confidences_go_to_the_lower_position();
  share_at_epsilon_reveals_the_rest();
  nothing_masked_chooses_nothing();
  subset_follows_sequential_draws();
  cold_subset_takes_the_best();
  permutation_is_even();
  ratio_is_binomial();
  tokens_follow_the_filtered_distribution();
  replay_refuses_impossible_records();
  replay_refuses_unfitting_records();
  return expect_summary("sampler");
}
