/* Rules of pipeline llada and its algorithms for what is revealed, without a model. */
#include "diffusion/algorithm.h"
#include "test/sampler_fixture.h"

enum { MOST = 8 };

/* Confidences, entropies and positions of a step, and what is expected to go, as a string of 0 and 1. */
typedef struct step_case {
  int32_t count;
  float confidence[MOST], entropy[MOST];
  int32_t positions[MOST];
  const char *revealed;
} step_case;

static dimple_decoding llada(int32_t algorithm) {
  dimple_decoding d = plain_decoding(algorithm);
  d.pipeline = DIMPLE_PIPELINE_LLADA;
  return d;
}

static void expect_revealed(const char *what, const dimple_decoding *d, const step_case *s, int32_t due) {
  candidate found[MOST];
  sampler_step step = plain_step(d, s->count);
  int32_t chosen[MOST], count = 0;
  char revealed[MOST + 1] = "";
  for (int32_t i = 0; i < s->count; i++) found[i] = (candidate){.confidence = s->confidence[i], .entropy = s->entropy[i]};
  if (s->positions[s->count - 1] > 0) step.positions = s->positions;
  step.due = due;
  EXPECT_OK(dimple_decoding_validate(d));
  EXPECT_OK(sampler_choose(&step, found, chosen, &count));
  memset(revealed, '0', (size_t)s->count);
  for (int32_t i = 0; i < count; i++) revealed[chosen[i]] = '1';
  EXPECT(strcmp(revealed, s->revealed) == 0, "%s: %s, not %s", what, revealed, s->revealed);
}

static void quotas_take_the_surest(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  expect_revealed("two", &d, &(step_case){5, .confidence = {0.5f, 0.9f, 0.5f, 0.2f, 0.5f}, .revealed = "11000"}, 2);
  expect_revealed("none", &d, &(step_case){2, .confidence = {0.5f, 0.9f}, .revealed = "00"}, 0);
  d.algorithm = DIMPLE_ALGORITHM_ENTROPY; /* the authors' confidence is plus the entropy, ours minus */
  expect_revealed("the least sure", &d, &(step_case){4, .confidence = {-0.5f, -0.9f, -0.1f, -0.2f}, .revealed = "1100"}, 2);
  d.algorithm = DIMPLE_ALGORITHM_ORIGIN;
  expect_revealed("none at random", &d, &(step_case){2, .confidence = {0.5f, 0.9f}, .revealed = "00"}, 0);
}

/* The threshold itself is enough, and the surest goes in any case. */
static void thresholds_reveal_at_least_one(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.threshold = 0.75f;
  expect_revealed("two", &d, &(step_case){4, .confidence = {0.75f, 0.5f, 0.9f, 0.7f}, .revealed = "1010"}, 0);
  expect_revealed("the first of the best", &d, &(step_case){3, .confidence = {0.1f, 0.5f, 0.5f}, .revealed = "010"}, 0);
  d.threshold = 0.95f; /* the default, which says nothing beside a factor */
  d.factor = 1; /* of ranks 1, 2, .. at least 2/3, 3/4, .. */
  expect_revealed("three", &d, &(step_case){5, .confidence = {0.7f, 0.76f, 0.2f, 0.1f, 0.6f}, .revealed = "11000"}, 0);
  expect_revealed("one", &d, &(step_case){4, .confidence = {0.6f, 0.5f, 0.66f, 0.4f}, .revealed = "0010"}, 0);
  expect_revealed("a last failure goes as well", &d, &(step_case){3, .confidence = {0.7f, 0.1f, 0.9f}, .revealed = "111"}, 0);
  expect_revealed("so do both of two", &d, &(step_case){2, .confidence = {0.1f, 0.2f}, .revealed = "11"}, 0);
}

/* Sums of entropies less the largest; the order is another matter. */
static void entropies_are_bounded(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_ENTROPY_BOUND);
  d.gamma = 1.5f;
  expect_revealed("0.5 + 1 and another", &d,
                  &(step_case){4, .confidence = {-1, -0.5f, -4, -2}, .entropy = {1, 0.5f, 4, 2}, .revealed = "1101"}, 0);
  d.gamma = 0;
  expect_revealed("one", &d, &(step_case){2, .confidence = {-3, -2}, .entropy = {3, 2}, .revealed = "01"}, 0);
  expect_revealed("certainty costs nothing", &d, &(step_case){3, .confidence = {0, -2, 0}, .entropy = {0, 2, 0}, .revealed = "111"}, 0);
  d.order = DIMPLE_ORDER_CONFIDENCE;
  d.gamma = 2;
  expect_revealed("a large one first", &d, &(step_case){3, .confidence = {0.9f, 0.8f, 0.7f}, .entropy = {3, 2, 1}, .revealed = "110"}, 0);
}

/* The surest of each run of masks above the low threshold, whatever is above the threshold, and the surest of all. */
static void runs_are_cut(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_HIERARCHY);
  d.threshold = 0.75f;
  d.low_threshold = 0.25f;
  expect_revealed("three runs", &d,
                  &(step_case){7, .confidence = {0.3f, 0.5f, 0.8f, 0.2f, 0.25f, 0.3f, 0.3f}, .positions = {0, 1, 2, 5, 6, 9, 10},
                               .revealed = "0010010"}, 0);
  expect_revealed("one run", &d, &(step_case){4, .confidence = {0.8f, 0.1f, 0.9f, 0.75f}, .revealed = "1010"}, 0);
  expect_revealed("nothing sure", &d, &(step_case){3, .confidence = {0.1f, 0.2f, 0.15f}, .positions = {1, 3, 5}, .revealed = "010"}, 0);
}

static void credits_add_up_and_decay(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_CREDIT);
  const note_keeper *keeper = algorithm_of(&d)->keeper;
  sampler_step step = plain_step(&d, 1);
  void *notes = NULL;
  double pile[2] = {0};
  EXPECT_OK(keeper->open(&d, 4, 3, &notes));
  for (int32_t i = 0; i < 4; i++) {
    float z[3] = {1, i < 2 ? 2 : 0.5f, -1}, plain[3];
    memcpy(plain, z, sizeof z);
    int32_t best = z[1] > z[0];
    double sum = exp(z[0]) + exp(z[1]) + exp(z[2]), p = exp(z[best]) / sum;
    for (int32_t j = 0; j < 2; j++) pile[j] = pile[j] * 0.8 + (j == best ? pow(p, 0.2) : 0);
    step.iteration = i;
    for (int again = 0; again < 2; again++) { /* an iteration that failed is repeated */
      memcpy(z, plain, sizeof z);
      head_row row = logits_summary(z, 3, 0);
      EXPECT_OK(keeper->see(notes, &step, 2, &row, 0));
      int32_t token, last = -1;
      float value;
      for (int32_t j = 0; keeper->raise(notes, &step, 2, j, &token, &value); j++) {
        EXPECT(token > last, "token %d behind %d", token, last);
        last = token;
        z[token] += value;
      }
      for (int32_t j = 0; j < 2; j++)
        EXPECT(fabs(z[j] - (plain[j] + 0.7 * log(1 + pile[j]))) < 1e-5, "iteration %d token %d: %g", i, j, (double)z[j]);
      EXPECT(z[2] == -1, "no credit: %g", (double)z[2]);
    }
  }
  keeper->close(notes);
}

/* `before`: the logits of the iteration before; null: there was none. */
static int32_t klass_reveals(const dimple_decoding *d, void *notes, int32_t iteration, const float (*z)[3], const float (*before)[3], int32_t *chosen) {
  candidate found[2];
  sampler_step step = plain_step(d, 2);
  int32_t count = -1;
  step.iteration = step.block_iteration = iteration;
  step.notes = notes;
  step.due = 0;
  for (int32_t i = 0; i < 2; i++) {
    head_row row = logits_summary(z[i], 3, 0);
    float divergence = logits_divergence(z[i], row.log_sum, before ? before[i] : NULL, before ? logits_summary(before[i], 3, 0).log_sum : 0, 3);
    EXPECT(before || fabsf(divergence - (row.mean_logit - row.log_sum - logf(1e-12f))) < 1e-5f, "%g from nothing", (double)divergence);
    EXPECT_OK(algorithm_of(d)->keeper->see(notes, &step, i, &row, divergence));
    found[i] = (candidate){.confidence = expf(row.best_logit - row.log_sum)};
  }
  EXPECT_OK(sampler_choose(&step, found, chosen, &count));
  return count;
}

/* Ready: sure, and settled as many times in a row. */
static void distributions_settle(void) {
  static const float start[2][3] = {{3, 0, 0}, {0, 4, 0}}, turned[2][3] = {{3, 0, 0}, {4, 0, 0}};
  for (int32_t unmask = DIMPLE_UNMASK_ALL; unmask <= DIMPLE_UNMASK_MIN_KL; unmask++) {
    dimple_decoding d = llada(DIMPLE_ALGORITHM_KLASS);
    d.threshold = 0.8f;
    d.unmask = unmask;
    void *notes = NULL;
    int32_t chosen[2];
    EXPECT_OK(algorithm_of(&d)->keeper->open(&d, 2, 3, &notes));
    EXPECT(klass_reveals(&d, notes, 0, start, NULL, chosen) == 0, "nothing before stands a divergence of 27");
    EXPECT(klass_reveals(&d, notes, 1, start, start, chosen) == 0, "settled once");
    int32_t count = klass_reveals(&d, notes, 2, start, start, chosen);
    EXPECT(count == (unmask == DIMPLE_UNMASK_ALL ? 2 : 1), "%d ready", count);
    EXPECT(chosen[0] == (unmask == DIMPLE_UNMASK_MAX_CONFIDENCE), "the first is %d", chosen[0]); /* equal divergences: the lower */
    EXPECT(klass_reveals(&d, notes, 3, turned, start, chosen) == 1 && chosen[0] == 0, "the second has turned");
    EXPECT(klass_reveals(&d, notes, 3, turned, turned, chosen) == 1 && chosen[0] == 0, "and has, when the iteration is repeated");
    d.kl_threshold = 0;
    EXPECT(klass_reveals(&d, notes, 4, turned, turned, chosen) == 0, "strictly below");
    algorithm_of(&d)->keeper->close(notes);
  }
}

/* One iteration of WINO over the positions 0 .. masked - 1 with equal confidences, and beliefs in what it watches. */
static int32_t wino_drops(const dimple_decoding *d, void *notes, int32_t iteration, int32_t revealed_count, const int32_t *revealed,
                          const float *beliefs, int32_t watched, const int32_t **dropped) {
  const reviser *r = algorithm_of(d)->reviser;
  sampler_step step = plain_step(d, revealed_count);
  const int32_t *positions;
  step.block_iteration = iteration;
  int32_t count = r->watch(notes, &step, &positions);
  EXPECT(count == watched, "iteration %d watches %d, not %d", iteration, count, watched);
  for (int32_t i = 0; i < count; i++) r->judge(notes, i, beliefs[i]);
  int32_t drops = r->drop(notes, &step, revealed_count, dropped);
  r->happened(notes, revealed, revealed_count);
  return drops;
}

static void disbelieved_tokens_are_masked_again(void) {
  dimple_decoding d = llada(DIMPLE_ALGORITHM_WINO);
  d.threshold = 0.6f;
  d.threshold_back = 0.5f;
  const int32_t *dropped;
  void *notes = NULL;
  EXPECT_OK(algorithm_of(&d)->keeper->open(&d, 16, 3, &notes));
  int32_t count = wino_drops(&d, notes, 0, 3, (int32_t[]){1, 4, 6}, NULL, 0, &dropped);
  EXPECT(count == 0, "%d dropped", count);
  count = wino_drops(&d, notes, 1, 1, (int32_t[]){5}, (float[]){0.1f, 0.1f, 0.1f}, 3, &dropped);
  EXPECT(count == 0, "after one alone nothing is taken back: %d", count);
  count = wino_drops(&d, notes, 2, 2, (int32_t[]){0, 9}, (float[]){0.1f, 0.1f, 0.1f, 0.1f}, 4, &dropped);
  EXPECT(count == 0, "fewer than the one before: %d", count);
  count = wino_drops(&d, notes, 3, 2, (int32_t[]){2, 3}, (float[]){0.9f, 0.4f, 0.3f, 0.5f, 0.2f, 0.2f}, 6, &dropped);
  EXPECT(count == 1 && dropped[0] == 6, "one less than the two before, the least believed: %d, first %d", count, dropped[0]);
  count = wino_drops(&d, notes, 4, 2, (int32_t[]){6, 7}, (float[]){1, 1, 1, 1, 1, 1, 1}, 7, &dropped);
  EXPECT(count == 0, "%d dropped", count);
  count = wino_drops(&d, notes, 0, 2, (int32_t[]){6, 7}, NULL, 0, &dropped);
  EXPECT(count == 0, "a new block");
  algorithm_of(&d)->keeper->close(notes);
  /* Between 5 and 20 of those above the threshold, strictly, and at least one. */
  expect_revealed("five", &d, &(step_case){6, .confidence = {0.7f, 0.7f, 0.9f, 0.7f, 0.7f, 0.7f}, .revealed = "111110"}, 0);
  expect_revealed("one", &d, &(step_case){3, .confidence = {0.5f, 0.6f, 0.6f}, .revealed = "010"}, 0);
}

/* What the head would say, on the host. */
static void summaries_equal_the_heads(void) {
  static const float z[6] = {1.5f, -2, 3.25f, 3.25f, -INFINITY, 0.5f};
  head_row found = logits_summary(z, 6, 0), expected = summarise((float[]){1.5f, -2, 3.25f, 3.25f, -1e30f, 0.5f}, 6, 0, 0);
  EXPECT(found.best == 2 && found.second_logit == 3.25f && found.drawn == 2, "best %d, second %g", found.best, (double)found.second_logit);
  EXPECT(fabs(found.log_sum - expected.log_sum) < 1e-6, "%g, not %g", (double)found.log_sum, (double)expected.log_sum);
  EXPECT(fabs(found.mean_logit - expected.mean_logit) < 1e-6, "%g, not %g", (double)found.mean_logit, (double)expected.mean_logit);
  float c[2] = {2, 4}, u[2] = {1, 1};
  logits_guide(c, u, 2, 0.5f);
  EXPECT(c[0] == 2.5f && c[1] == 5.5f, "%g %g", (double)c[0], (double)c[1]);
  logits_forbid(c, 2, -1);
  logits_forbid(c, 2, 2);
  logits_forbid(c, 2, 1);
  EXPECT(c[0] == 2.5f && c[1] == -INFINITY, "%g %g", (double)c[0], (double)c[1]);
}

/* The mask is no candidate of pipeline llada; it keeps its share of the probability. */
static void masks_are_no_candidates(void) {
  static const float z[3] = {1, 5, 2};
  for (int32_t pipeline = DIMPLE_PIPELINE_DREAM; pipeline <= DIMPLE_PIPELINE_LLADA; pipeline++) {
    dimple_decoding d = llada(DIMPLE_ALGORITHM_MASKGIT_PLUS);
    d.pipeline = pipeline;
    sampler_step step = plain_step(&d, 1);
    step.tokens = (special_tokens){.mask = 1, .eos = -1, .eot = -1};
    candidate found;
    EXPECT_OK(candidates_of(&step, z, 1, 3, &found));
    bool mask_too = pipeline == DIMPLE_PIPELINE_DREAM;
    double p = exp(mask_too ? 5 : 2) / (exp(1) + exp(5) + exp(2));
    EXPECT(found.token == (mask_too ? 1 : 2) && fabs(found.confidence - p) < 1e-6, "token %d: %g", found.token, (double)found.confidence);
  }
}

/* End of text and end of turn lose their shares: the others' confidences rise, and theirs are 0. */
static void ends_have_no_share_in_confidences(void) {
  static const float rows[2][4] = {{1, 3, 2, 0}, {1, 0, 2, 3}};
  dimple_decoding d = llada(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.no_eos_confidence = 1;
  sampler_step step = plain_step(&d, 2);
  step.tokens = (special_tokens){.mask = -1, .eos = 3, .eot = 2};
  candidate found[2];
  EXPECT(candidates_need_logits(&step), "whole rows are needed");
  EXPECT_OK(candidates_of(&step, rows[0], 2, 4, found));
  EXPECT(found[0].token == 1 && fabs(found[0].confidence - exp(3) / (exp(1) + exp(3))) < 1e-6, "%g", (double)found[0].confidence);
  EXPECT(found[1].token == 3 && found[1].confidence == 0, "token %d: %g", found[1].token, (double)found[1].confidence);
}

/* Confidences at the temperature are of the others alone, too. */
static void nor_in_hot_confidences(void) {
  static const float row[5] = {1, 1.5f, 2, 3, 0.5f};
  dimple_decoding d = llada(DIMPLE_ALGORITHM_MASKGIT_PLUS);
  d.no_eos_confidence = 1;
  d.original_confidence = 0;
  d.temperature = 0.5f;
  sampler_step step = plain_step(&d, 1);
  step.tokens = (special_tokens){.mask = -1, .eos = 3, .eot = 2};
  int32_t others = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    candidate found;
    d.seed = seed;
    EXPECT_OK(candidates_of(&step, row, 1, 5, &found));
    bool ends = found.token == 2 || found.token == 3;
    double p = ends ? 0 : exp(2 * row[found.token]) / (exp(2) + exp(3) + exp(1)); /* of 1, 1.5 and 0.5, doubled */
    EXPECT(fabs(found.confidence - p) < 1e-6, "token %d: %g, expected %g", found.token, (double)found.confidence, p);
    others += !ends;
  }
  EXPECT(others > 3, "%d draws of others", others);
}

int main(void) {
  quotas_take_the_surest();
  thresholds_reveal_at_least_one();
  entropies_are_bounded();
  runs_are_cut();
  credits_add_up_and_decay();
  distributions_settle();
  disbelieved_tokens_are_masked_again();
  summaries_equal_the_heads();
  masks_are_no_candidates();
  ends_have_no_share_in_confidences();
  nor_in_hot_confidences();
  return expect_summary("rules");
}
