#include "test/sampler_fixture.h"

#include <stdlib.h>

float levels[MAX_STEPS + 1];

dimple_decoding plain_decoding(int32_t algorithm) {
  dimple_decoding d;
  dimple_decoding_defaults(&d);
  d.algorithm = algorithm;
  d.threshold = 0;
  return d;
}

sampler_step plain_step(const dimple_decoding *d, int32_t masked) {
  static int32_t positions[4096];
  for (int32_t i = 0; i < masked; i++) positions[i] = i;
  schedule_levels(d->steps, d->epsilon, levels);
  return (sampler_step){.decoding = d, .levels = levels, .total = masked, .masked = masked, .positions = positions};
}

head_row summarise(const float *z, int32_t vocab, float temperature, int32_t drawn) {
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

dimple_status candidates_of(const sampler_step *step, const float *z, int32_t count, int32_t vocab, candidate *out) {
  static head_row rows[512];
  for (int32_t i = 0; i < count; i++) rows[i] = summarise(z + i * vocab, vocab, 0, 0);
  size_t bytes = (size_t)count * (size_t)vocab * sizeof *z;
  float *own = malloc(bytes);
  memcpy(own, z, bytes);
  dimple_status status = candidates_from_logits(step, rows, own, count, vocab, step->positions, 0, count, out);
  free(own);
  return status;
}

int32_t choose(const sampler_step *step, const float *confidence, int32_t *chosen) {
  candidate found[MAX_LENGTH];
  int32_t count = -1;
  for (int32_t i = 0; i < step->masked; i++) found[i] = (candidate){.confidence = confidence[i]};
  EXPECT_OK(sampler_choose(step, found, chosen, &count));
  return count;
}
