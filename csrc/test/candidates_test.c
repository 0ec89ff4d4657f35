/* Candidates and confidences against the authors' results and full sorts, and the statistics of drawn tokens. */
#include <float.h>
#include <stdlib.h>

#include "draws.h"
#include "backend/summary.h"
#include "test/chi_square.h"
#include "test/sampler_fixture.h"
#include "test/data/sampler_tables.h"

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
    candidates_from_summary(&step, rows, 4, summary);
    for (int r = 0; r < 4; r++) {
      int32_t token = golden_candidates[i].token[r];
      float confidence = golden_candidates[i].confidence[r];
      EXPECT(found[r].token == token, "case %d row %d: %d, not %d", i, r, found[r].token, token);
      EXPECT(fabsf(found[r].confidence - confidence) < 2e-6f, "case %d row %d: %.7f, not %.7f", i, r,
             (double)found[r].confidence, (double)confidence);
      if (candidates_need_logits(&step)) continue;
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
          EXPECT(!candidates_need_logits(&step), "no filter");
          candidate from_logits, from_summary;
          EXPECT_OK(candidates_of(&step, z, 1, 40, &from_logits));
          head_row row = summarise(z, 40, temperatures[t], from_logits.token);
          candidates_from_summary(&step, &row, 1, &from_summary);
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
  EXPECT(!candidates_need_logits(&step), "a filter does not show in the best token and its original confidence");
  d.original_confidence = 0;
  EXPECT(candidates_need_logits(&step), "confidence after the filter");
  d.original_confidence = 1;
  d.temperature = 0.5f;
  EXPECT(candidates_need_logits(&step), "a draw after the filter");
  d.top_p = 1;
  EXPECT(!candidates_need_logits(&step), "the head draws");
  d.top_k = 4;
  EXPECT(candidates_need_logits(&step), "a draw after top-k");
  d.temperature = 0;
  d.pipeline = DIMPLE_PIPELINE_DREAM;
  EXPECT(candidates_need_logits(&step), "dream always judges after the filter");
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
    candidates_from_summary(&step, &row, 1, &found);
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
        candidates_from_summary(&step, &row, 1, &summary);
        EXPECT(summary.confidence >= -FLT_MAX && summary.confidence <= 1, "row %d: %g", r, (double)summary.confidence);
      }
      EXPECT(d.temperature > 0 || (found[3].token == 2 && found[4].token == 0), "best of the rest: %d, %d", found[3].token,
             found[4].token);
      EXPECT_OK(sampler_choose(&step, found, chosen, &count));
      EXPECT(count >= 0 && count <= 5, "%d chosen", count);
    }
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

/* From the highest logits of a row, as a backend lists them, come the same token and confidence as from all of it, or none. */
static void lists_equal_whole_rows(void) {
  enum { VOCAB = 6000, ROWS = 7 };
  static const float top_ps[] = {1, 0, 0.3f, 0.9f, 0.95f, 0.999f}, temperatures[] = {0, 0.4f, 1};
  static const int32_t top_ks[] = {0, 1, 5, 40, 3000};
  static float z[VOCAB];
  static int32_t scratch[VOCAB], tokens[HEAD_LIST_MOST];
  static float logits[HEAD_LIST_MOST];
  int32_t decided[ROWS] = {0}, tried = 0;
  for (uint32_t i = 0; i < ROWS * COUNT(top_ps) * COUNT(top_ks) * COUNT(temperatures) * 2; i++) {
    uint32_t row = i % ROWS, left = i / ROWS;
    for (uint32_t t = 0; t < VOCAB; t++) {
      float u = draw_uniform(row, 1, t, 0, 0);
      /* Usual rows, one with ties, a flat one, a peaked one, and one whose best token is the mask, which no pipeline but dream takes. */
      z[t] = row < 3 ? -4 * logf(u) : row == 3 ? floorf(-4 * logf(u)) : row == 4 ? u : row == 5 ? (t == 17 ? 90 : u) : t == 11 ? 30 : -3 * logf(u);
    }
    dimple_decoding d = plain_decoding(left % 2 ? DIMPLE_ALGORITHM_ENTROPY : DIMPLE_ALGORITHM_TOPK_MARGIN);
    d.top_p = top_ps[left / 2 % COUNT(top_ps)];
    d.top_k = top_ks[left / 2 / COUNT(top_ps) % COUNT(top_ks)];
    d.temperature = temperatures[left / 2 / COUNT(top_ps) / COUNT(top_ks)];
    d.pipeline = row % 2 ? DIMPLE_PIPELINE_DREAM : DIMPLE_PIPELINE_LLADA;
    d.seed = i;
    int32_t position = 3, length = candidates_list_length(&d, VOCAB);
    if (!candidates_are_filtered(&d)) continue;
    EXPECT(length > 0 && length <= HEAD_LIST_MOST, "a list of %d", length);
    sampler_step step = plain_step(&d, 1);
    step.positions = &position;
    step.tokens.mask = 11;
    head_list list = {.count = length, .tokens = tokens, .logits = logits};
    head_row summary, hot;
    head_call call = {.results = &summary, .list = &list, .positions = &position};
    summary = summarize_row(&call, z, VOCAB, 0);
    call.temperature = candidates_list_temperature(&d);
    hot = summarize_row(&call, z, VOCAB, 0);
    summarize_list(&call, z, VOCAB, 0, scratch);
    candidate whole, listed;
    bool undecided;
    EXPECT_OK(candidates_from_lists(&step, &hot, &list, 1, VOCAB, &position, &listed, &undecided));
    EXPECT_OK(candidates_from_logits(&step, &summary, z, 1, VOCAB, &position, 0, 1, &whole));
    decided[row] += !undecided;
    tried += row == 0;
    EXPECT(undecided || (whole.token == listed.token && whole.confidence == listed.confidence && whole.log_probability == listed.log_probability),
           "row %u, top_p %g, top_k %d at %g: %d with %.9g, not %d with %.9g", row, (double)d.top_p, d.top_k, (double)d.temperature, listed.token,
           (double)listed.confidence, whole.token, (double)whole.confidence);
  }
  EXPECT(tried > 0 && decided[0] == tried && decided[2] == tried, "usual rows are decided by their lists: %d and %d of %d", decided[0],
         decided[2], tried);
  EXPECT(decided[4] > 0 && decided[4] < tried, "of a flat row the rank decides, and mass does not: %d of %d", decided[4], tried);
}

/* Without a filter a candidate is as sure by its row of logits as by the head's summary: the mask, which is not taken, has its share. */
static void the_mask_has_its_share(void) {
  enum { VOCAB = 12, MASK = 5 };
  static const int32_t algorithms[] = {DIMPLE_ALGORITHM_MASKGIT_PLUS, DIMPLE_ALGORITHM_TOPK_MARGIN, DIMPLE_ALGORITHM_ENTROPY};
  for (uint32_t i = 0; i < 60; i++) {
    float z[VOCAB];
    for (uint32_t t = 0; t < VOCAB; t++) z[t] = -2 * logf(draw_uniform(i, 3, t, 0, 0));
    z[i % 4] = 9;
    z[MASK] = 8;
    dimple_decoding d = plain_decoding(algorithms[i % COUNT(algorithms)]);
    d.pipeline = DIMPLE_PIPELINE_LLADA;
    d.original_confidence = false;
    d.temperature = i % 2 ? 0.2f : 0;
    sampler_step step = plain_step(&d, 1);
    int32_t position = 3;
    step.positions = &position;
    step.tokens.mask = MASK;
    candidate whole, summed;
    head_row summary = summarise(z, VOCAB, d.temperature, 0);
    EXPECT_OK(candidates_from_logits(&step, &summary, z, 1, VOCAB, &position, 0, 1, &whole));
    summary = summarise(z, VOCAB, d.temperature, whole.token);
    candidates_from_summary(&step, &summary, 1, &summed);
    EXPECT(whole.token == summed.token && fabsf(whole.confidence - summed.confidence) < 1e-5f, "%u: token %d with %.9g, not %d with %.9g", i,
           whole.token, (double)whole.confidence, summed.token, (double)summed.confidence);
  }
}

int main(void) {
  the_mask_has_its_share();
  lists_equal_whole_rows();
  candidates_equal_authors();
  summary_equals_logits();
  logits_only_where_they_show();
  filters_keep_what_sorting_keeps();
  ties_go_to_the_lowest_token();
  confidences_stay_in_range();
  broken_logits_are_survived();
  tokens_follow_the_filtered_distribution();
  return expect_summary("candidates");
}
